//! Group normalisation.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use super::{
    array::Array,
    cpu::{
        norm::{self as cpu, Normalization, Parameters},
        norm_gradient::{self, Gradients},
    },
    engine::{Engine, on_engine},
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::group_norm as gpu};

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
    /// Scale and shift of the normalised values, one after the other, per sample and channel (ADM). `[n, 2 c]`
    pub scale_shift: Option<Tensor<2>>,
    /// Whether a SiLU follows.
    pub silu: bool,
}

/// Group normalisation with what surrounds it, computed in f32 whatever the type of x: squares overflow in half
/// precision. x `[n, h, w, c]` => `[n, h, w, c]`
pub fn group_norm(x: Tensor<4>, norm: GroupNorm) -> Tensor<4> {
    on_engine!(x, |x| normalized(x, norm), |x| {
        let dtype = x.dtype();
        group_norm(x.cast(DType::F32), norm).cast(dtype)
    })
}

fn normalized<E: Norm>(x: Operand<E>, norm: GroupNorm) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let e = Normalization { n, hw: h * w, c, groups: norm.groups, eps: norm.eps as f32, silu: norm.silu };
    let [weight, bias]: [Operand<E>; 2] = [norm.weight, norm.bias].map(Operand::of);
    let [before, scale_shift] = [norm.shift_before, norm.scale_shift].map(|part| part.map(Operand::of));
    let values = |part: &Option<Operand<E>>| part.as_ref().map(|part| part.array.clone());
    let parts = Parts {
        weight: weight.array.clone(),
        bias: bias.array.clone(),
        before: values(&before),
        scale_shift: values(&scale_shift),
    };
    let (output, stats) = E::group_norm(e, &x.array, &parts);
    let operands = [Some(x), Some(weight), Some(bias), before, scale_shift];
    record(operands, output, |[x, ..]| {
        let x = x.expect("always given");
        move |gradient: E::Array, wanted: [bool; 5]| {
            E::group_norm_gradients(e, &x, &parts, &stats, &gradient, wanted)
        }
    })
}

/// What a normalisation is given besides x.
#[derive(Clone)]
struct Parts<A> {
    weight: A,
    bias: A,
    before: Option<A>,
    scale_shift: Option<A>,
}

/// What an engine computes.
trait Norm: Engine {
    /// Mean and reciprocal deviation of every sample's groups.
    type Stats: Clone + Send + Sync + 'static;

    fn group_norm(
        e: Normalization,
        x: &Self::Array,
        parts: &Parts<Self::Array>,
    ) -> (Self::Array, Self::Stats);

    /// The gradients to x, weight, bias, shift before, scale with shift: those that are `wanted`, and maybe others.
    fn group_norm_gradients(
        e: Normalization,
        x: &Self::Array,
        parts: &Parts<Self::Array>,
        stats: &Self::Stats,
        gradient: &Self::Array,
        wanted: [bool; 5],
    ) -> [Option<Self::Array>; 5];
}

impl Parts<Array> {
    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            weight: self.weight.values(),
            bias: self.bias.values(),
            shift_before: self.before.as_ref().map(Array::values),
            scale_shift: self.scale_shift.as_ref().map(Array::values),
        }
    }
}

impl Norm for Flex {
    type Stats = Vec<f32>;

    fn group_norm(e: Normalization, x: &Array, parts: &Parts<Array>) -> (Array, Vec<f32>) {
        let mut stats = vec![0.0; e.n * e.groups * 2];
        let output = Array::build(x.dims::<4>(), |y| {
            cpu::forward(e, x.values(), parts.parameters(), y, &mut stats);
        });
        (output, stats)
    }

    fn group_norm_gradients(
        e: Normalization,
        x: &Array,
        parts: &Parts<Array>,
        stats: &Vec<f32>,
        gradient: &Array,
        _: [bool; 5],
    ) -> [Option<Array>; 5] {
        let (n, c) = (e.n, e.c);
        let zeros = |part: &Option<Array>, len: usize| vec![0.0; if part.is_some() { len } else { 0 }];
        let (mut before, mut scale_shift) =
            (zeros(&parts.before, n * c), zeros(&parts.scale_shift, n * 2 * c));
        let (mut weight, mut bias) = (vec![0.0; c], vec![0.0; c]);
        let dx = Array::build(x.dims::<4>(), |dx| {
            let to = Gradients {
                x: dx,
                weight: &mut weight,
                bias: &mut bias,
                shift_before: &mut before,
                scale_shift: &mut scale_shift,
            };
            norm_gradient::backward(e, x.values(), parts.parameters(), stats, gradient.values(), to);
        });
        let array = |values: Vec<f32>| Some(Array::from_values(values, [c]));
        let per_sample = |values: Vec<f32>, channels: usize| {
            (!values.is_empty()).then(|| Array::from_values(values, [n, channels]))
        };
        [Some(dx), array(weight), array(bias), per_sample(before, c), per_sample(scale_shift, 2 * c)]
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl From<&Parts<<Cube as Engine>::Array>> for gpu::Parameters {
    fn from(parts: &Parts<<Cube as Engine>::Array>) -> Self {
        Self {
            weight: parts.weight.clone(),
            bias: parts.bias.clone(),
            shift_before: parts.before.clone(),
            scale_shift: parts.scale_shift.clone(),
        }
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Norm for Cube {
    type Stats = Self::Array;

    fn group_norm(
        e: Normalization,
        x: &Self::Array,
        parts: &Parts<Self::Array>,
    ) -> (Self::Array, Self::Array) {
        gpu::group_norm(x.clone(), e.groups, e.eps, e.silu, parts.into())
    }

    fn group_norm_gradients(
        e: Normalization,
        x: &Self::Array,
        parts: &Parts<Self::Array>,
        stats: &Self::Array,
        gradient: &Self::Array,
        wanted: [bool; 5],
    ) -> [Option<Self::Array>; 5] {
        let (x, stats, gradient) = (x.clone(), stats.clone(), gradient.clone());
        gpu::group_norm_gradients(x, e.groups, e.silu, parts.into(), stats, gradient, wanted)
    }
}
