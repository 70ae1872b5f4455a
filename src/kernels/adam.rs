//! Updates of flat tensors: Adam, the exponential moving average. Not differentiable.

use std::ops::Range;

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
    cpu::adam::{self as cpu, Constants},
    engine::{Engine, on_engine},
    meaning,
    tape::Operand,
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::adam as gpu};

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

impl AdamStep {
    fn constants(self) -> Constants {
        let correction = |beta: f64| 1.0 - beta.powf(self.step as f64);
        let pair = |beta: f64| [beta as f32, (1.0 - beta) as f32];
        Constants {
            beta1: pair(self.betas[0]),
            beta2: pair(self.betas[1]),
            step: (self.lr / correction(self.betas[0])) as f32,
            root_correction: correction(self.betas[1]).sqrt() as f32,
            eps: self.eps as f32,
        }
    }
}

/// Adam without weight decay, bias correction on (torch's arithmetic), of the values that are in `runs`, all others stay:
/// the new [parameters, first moments, second moments]. In place where a tensor is the only handle to its memory. The
/// results carry no history. All `[m]`
pub fn adam(
    [parameter, moment1, moment2]: [Tensor<1>; 3],
    gradient: Tensor<1>,
    runs: &[Range<usize>],
    adam: AdamStep,
) -> [Tensor<1>; 3] {
    on_engine!(
        parameter,
        |parameter| stepped(parameter, [moment1, moment2], gradient, runs, adam.constants()),
        |parameter| meaning::adam([parameter, moment1, moment2], gradient, runs, adam)
    )
}

/// `from + (to - from) * weight`: an EMA's update with weight 1 - beta. In place where `from` is the only handle to its
/// memory; the result carries no history. All `[m]`
pub fn lerp(from: Tensor<1>, to: Tensor<1>, weight: f64) -> Tensor<1> {
    on_engine!(from, |from| between(from, to, weight as f32), |from| meaning::lerp(from, to, weight))
}

fn stepped<E: Update>(
    parameter: Operand<E>,
    moments: [Tensor<1>; 2],
    gradient: Tensor<1>,
    runs: &[Range<usize>],
    constants: Constants,
) -> [Tensor<1>; 3] {
    let (context, p) = parameter.into_parts();
    let [m, v] = moments.map(|moment| Operand::<E>::of(moment).into_array());
    let gradient = Operand::<E>::of(gradient).into_array();
    E::adam([p, m, v], gradient, runs, constants).map(|array| context.constant::<E, 1>(array))
}

fn between<E: Update>(from: Operand<E>, to: Tensor<1>, weight: f32) -> Tensor<1> {
    let (context, from) = from.into_parts();
    context.constant::<E, 1>(E::lerp(from, Operand::<E>::of(to).into_array(), weight))
}

/// What an engine computes.
trait Update: Engine {
    fn adam(
        state: [Self::Array; 3],
        gradient: Self::Array,
        runs: &[Range<usize>],
        constants: Constants,
    ) -> [Self::Array; 3];

    fn lerp(from: Self::Array, to: Self::Array, weight: f32) -> Self::Array;
}

impl Update for Flex {
    fn adam(
        [mut p, mut m, mut v]: [Array; 3],
        gradient: Array,
        runs: &[Range<usize>],
        constants: Constants,
    ) -> [Array; 3] {
        for run in runs {
            let moments = (m.values_mut(), v.values_mut());
            cpu::adam(p.values_mut(), moments.0, moments.1, gradient.values(), run.clone(), constants);
        }
        [p, m, v]
    }

    fn lerp(mut from: Array, to: Array, weight: f32) -> Array {
        cpu::lerp(from.values_mut(), to.values(), weight);
        from
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Update for Cube {
    fn adam(
        state: [Self::Array; 3],
        gradient: Self::Array,
        runs: &[Range<usize>],
        Constants { beta1, beta2, step, root_correction, eps }: Constants,
    ) -> [Self::Array; 3] {
        let constants = gpu::Constants { beta1, beta2, step, root_correction, eps };
        gpu::adam(state, gradient, runs, constants)
    }

    fn lerp(from: Self::Array, to: Self::Array, weight: f32) -> Self::Array {
        gpu::lerp(from, to, weight)
    }
}
