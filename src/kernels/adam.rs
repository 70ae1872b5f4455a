//! Updates of parameters: Adam, the exponential moving average, magnitudes of gradients. Not differentiable.

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
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

/// Adam without weight decay, bias correction on (torch's arithmetic): the new (parameter, first moment, second moment).
/// On the CPU it works in place where a tensor is the only handle to its memory. The results carry no history.
pub fn adam<const D: usize>(
    parameter: Tensor<D>,
    moment1: Tensor<D>,
    moment2: Tensor<D>,
    gradient: Tensor<D>,
    adam: AdamStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let parameter = match Operand::<Flex>::try_from(parameter) {
        Ok(parameter) => parameter,
        Err(parameter) => return meaning::adam(parameter, moment1, moment2, gradient, adam),
    };
    let [mut m, mut v] = [moment1, moment2].map(|moment| Operand::<Flex>::of(moment).into_array());
    let (context, mut p) = parameter.into_parts();
    let gradient = Operand::<Flex>::of(gradient).into_array();
    let correction = |beta: f64| 1.0 - beta.powf(adam.step as f64);
    let pair = |beta: f64| [beta as f32, (1.0 - beta) as f32];
    let constants = Constants {
        beta1: pair(adam.betas[0]),
        beta2: pair(adam.betas[1]),
        step: (adam.lr / correction(adam.betas[0])) as f32,
        root_correction: correction(adam.betas[1]).sqrt() as f32,
        eps: adam.eps as f32,
    };
    cpu::adam(p.values_mut(), m.values_mut(), v.values_mut(), gradient.values(), constants);
    (context.constant::<Flex, D>(p), context.constant::<Flex, D>(m), context.constant::<Flex, D>(v))
}

/// `from + (to - from) * weight`: an EMA's update with weight 1 - beta. On the CPU it works in place where `from` is
/// the only handle to its memory; the result carries no history.
pub fn lerp<const D: usize>(from: Tensor<D>, to: Tensor<D>, weight: f64) -> Tensor<D> {
    let from = match Operand::<Flex>::try_from(from) {
        Ok(from) => from,
        Err(from) => return meaning::lerp(from, to, weight),
    };
    let (context, mut from) = from.into_parts();
    cpu::lerp(from.values_mut(), Operand::<Flex>::of(to).into_array().values(), weight as f32);
    context.constant::<Flex, D>(from)
}

/// The sum of squares of every tensor, in one tensor: one number each, infinite or NaN where one of its values is or
/// where it overflows. `[m]` each => `[number of tensors]`
pub fn square_sums(tensors: &[Tensor<1>]) -> Tensor<1> {
    let mut context = None;
    let mut sums = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let Ok(operand) = Operand::<Flex>::try_from(tensor.clone()) else {
            return meaning::square_sums(tensors);
        };
        let (of_tensor, array) = operand.into_parts();
        context = Some(of_tensor);
        sums.push(cpu::square_sum(array.values()));
    }
    let Some(context) = context else { return meaning::square_sums(tensors) };
    let count = sums.len();
    context.constant::<Flex, 1>(Array::from_values(sums, [count]))
}
