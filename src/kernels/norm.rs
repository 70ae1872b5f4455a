//! Group normalisation.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::{
        norm::{self as cpu, Normalization, Parameters},
        norm_gradient::{self, Gradients},
    },
    meaning,
    tape::{Operand, record},
};

/// The settings of one fused group normalisation:
/// `y = norm(x + shift_before) * weight + bias`, then `y * (1 + scale) + shift`, then SiLU; the optional parts
/// where given.
#[derive(Debug)]
pub struct GroupNorm {
    /// Number of groups; divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// `[c]`
    pub weight: Tensor<1>,
    /// `[c]`
    pub bias: Tensor<1>,
    /// Added to x before the normalisation, one value per sample and channel (DDPM++). `[n, c]`
    pub shift_before: Option<Tensor<2>>,
    /// `(scale, shift)` of the normalised values, per sample and channel (ADM). Each `[n, c]`
    pub scale_shift: Option<(Tensor<2>, Tensor<2>)>,
    /// Whether a SiLU follows.
    pub silu: bool,
}

/// Group normalisation with what surrounds it. x `[n, h, w, c]` => `[n, h, w, c]`
pub fn group_norm(x: Tensor<4>, norm: GroupNorm) -> Tensor<4> {
    let Some(x) = Operand::of_cpu(&x) else { return meaning::group_norm(x, norm) };
    let dims @ [n, h, w, c] = x.array.dims();
    let e = Normalization { n, hw: h * w, c, groups: norm.groups, eps: norm.eps as f32, silu: norm.silu };
    let (scale, shift) = norm.scale_shift.unzip();
    let [weight, bias] = [norm.weight, norm.bias].map(Operand::of);
    let [before, scale, shift] = [norm.shift_before, scale, shift].map(|part| part.map(Operand::of));
    let mut stats = vec![0.0; n * norm.groups * 2];
    let output = Array::build(dims, |y| {
        let values = |part: &Option<Operand>| part.as_ref().map(|part| part.array.clone());
        let parts = Parts {
            weight: weight.array.clone(),
            bias: bias.array.clone(),
            before: values(&before),
            scale: values(&scale),
            shift: values(&shift),
        };
        cpu::forward(e, x.array.values(), parts.parameters(), y, &mut stats);
    });
    let operands = [Some(x), Some(weight), Some(bias), before, scale, shift];
    record(operands, output, |[x, weight, bias, before, scale, shift]| {
        let (Some(x), Some(weight), Some(bias)) = (x, weight, bias) else { unreachable!("always given") };
        let parts = Parts { weight, bias, before, scale, shift };
        move |gradient: Array, _: [bool; 6]| parts.gradients(e, &x, &stats, &gradient)
    })
}

/// What a normalisation is given besides x.
#[derive(Clone)]
struct Parts {
    weight: Array,
    bias: Array,
    before: Option<Array>,
    scale: Option<Array>,
    shift: Option<Array>,
}

impl Parts {
    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            weight: self.weight.values(),
            bias: self.bias.values(),
            shift_before: self.before.as_ref().map(Array::values),
            scale_shift: self.scale.as_ref().map(Array::values).zip(self.shift.as_ref().map(Array::values)),
        }
    }

    /// The gradients to x and to all of these.
    fn gradients(&self, e: Normalization, x: &Array, stats: &[f32], gradient: &Array) -> [Option<Array>; 6] {
        let (n, c) = (e.n, e.c);
        let per_sample = |part: &Option<Array>| vec![0.0; if part.is_some() { n * c } else { 0 }];
        let [mut before, mut scale, mut shift] = [&self.before, &self.scale, &self.shift].map(per_sample);
        let (mut weight, mut bias) = (vec![0.0; c], vec![0.0; c]);
        let dx = Array::build(x.dims::<4>(), |dx| {
            let to = Gradients {
                x: dx,
                weight: &mut weight,
                bias: &mut bias,
                shift_before: &mut before,
                scale: &mut scale,
                shift: &mut shift,
            };
            norm_gradient::backward(e, x.values(), self.parameters(), stats, gradient.values(), to);
        });
        let array = |values: Vec<f32>| Some(Array::from_values(values, [c]));
        let per_sample = |values: Vec<f32>| (!values.is_empty()).then(|| Array::from_values(values, [n, c]));
        [Some(dx), array(weight), array(bias), per_sample(before), per_sample(scale), per_sample(shift)]
    }
}
