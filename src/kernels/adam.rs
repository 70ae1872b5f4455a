//! Updates of parameters: Adam, the exponential moving average. Not differentiable.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{
    cpu::adam::{self as cpu, Constants},
    meaning,
    tape::Operand,
};

/// One step of Adam: what the recipe says, and how many steps there have been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Number of this step, from 1; for bias correction.
    pub step: u64,
}

/// Adam without weight decay, bias correction on (torch's arithmetic), of the values that are in `runs`, all others stay:
/// the new [parameters, first moments, second moments]. On the CPU it works in place where a tensor is the only handle to
/// its memory. The results carry no history. All `[m]`
pub fn adam(
    [parameter, moment1, moment2]: [Tensor<1>; 3],
    gradient: Tensor<1>,
    runs: &[Range<usize>],
    adam: AdamStep,
) -> [Tensor<1>; 3] {
    let parameter = match Operand::try_from(parameter) {
        Ok(parameter) => parameter,
        Err(parameter) => return meaning::adam([parameter, moment1, moment2], gradient, runs, adam),
    };
    let [mut m, mut v] = [moment1, moment2].map(|moment| Operand::of(moment).into_array());
    let (context, mut p) = parameter.into_parts();
    let gradient = Operand::of(gradient).into_array();
    let correction = |beta: f64| 1.0 - beta.powf(adam.step as f64);
    let pair = |beta: f64| [beta as f32, (1.0 - beta) as f32];
    let constants = Constants {
        beta1: pair(adam.betas[0]),
        beta2: pair(adam.betas[1]),
        step: (adam.lr / correction(adam.betas[0])) as f32,
        root_correction: correction(adam.betas[1]).sqrt() as f32,
        eps: adam.eps as f32,
    };
    for run in runs {
        let moments = (m.values_mut(), v.values_mut());
        cpu::adam(p.values_mut(), moments.0, moments.1, gradient.values(), run.clone(), constants);
    }
    [p, m, v].map(|array| context.constant(array))
}

/// `from + (to - from) * weight`: an EMA's update with weight 1 - beta. On the CPU it works in place where `from` is
/// the only handle to its memory; the result carries no history.
pub fn lerp<const D: usize>(from: Tensor<D>, to: Tensor<D>, weight: f64) -> Tensor<D> {
    let from = match Operand::try_from(from) {
        Ok(from) => from,
        Err(from) => return meaning::lerp(from, to, weight),
    };
    let (context, mut from) = from.into_parts();
    cpu::lerp(from.values_mut(), Operand::of(to).into_array().values(), weight as f32);
    context.constant(from)
}
