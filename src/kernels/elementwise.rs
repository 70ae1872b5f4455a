//! Weighted sums, activations.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use super::{
    array::Array,
    cpu::elementwise as cpu,
    engine::{Engine, on_engine},
    meaning,
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::elementwise as gpu};

/// `a * weight_a + b * weight_b`: residual sums and EDM2's `mp_sum`. With a limit, values beyond +-limit are held
/// there and pass no gradient. All `[n, h, w, c]`
pub fn weighted_sum(
    a: Tensor<4>,
    weight_a: f64,
    b: Tensor<4>,
    weight_b: f64,
    limit: Option<f64>,
) -> Tensor<4> {
    on_engine!(a, |a| sum(a, b, [weight_a, weight_b], limit), |a| {
        meaning::weighted_sum(a, weight_a, b, weight_b, limit)
    })
}

fn sum<E: Elementwise>(a: Operand<E>, b: Tensor<4>, weights: [f64; 2], limit: Option<f64>) -> Tensor<4> {
    let b = Operand::of(b);
    assert_eq!(a.dims::<4>(), b.dims(), "a sum needs equal extents");
    let weights = weights.map(|weight| weight as f32);
    let (output, held) = E::weighted_sum(&a.array, &b.array, weights, limit.map(|limit| limit as f32));
    record([Some(a), Some(b)], output, |_| {
        move |gradient: E::Array, wanted: [bool; 2]| {
            E::weighted_sum_gradients(&gradient, held.as_ref(), weights, wanted)
        }
    })
}

/// x times sigmoid(x), elementwise.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation(x, Activation::Silu)
}

/// The larger of x and 0, elementwise.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation(x, Activation::Relu)
}

/// What is done to every value alone.
#[derive(Clone, Copy)]
enum Activation {
    Silu,
    Relu,
}

fn activation<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    on_engine!(x, |x| activated::<_, D>(x, kind), |x| {
        let dtype = x.dtype();
        activation(x.cast(DType::F32), kind).cast(dtype)
    })
}

fn activated<E: Elementwise, const D: usize>(x: Operand<E>, activation: Activation) -> Tensor<D> {
    let output = E::activation::<D>(activation, &x.array);
    record([Some(x)], output, |[x]| {
        let x = x.expect("always given");
        move |dy: E::Array, _: [bool; 1]| [Some(E::activation_gradient::<D>(activation, &x, &dy))]
    })
}

/// What an engine computes.
trait Elementwise: Engine {
    /// What says which values of a sum were beyond its limit.
    type Held: Clone + Send + Sync + 'static;

    /// The sum; and what the gradient needs to know of the limit, where anything.
    fn weighted_sum(
        a: &Self::Array,
        b: &Self::Array,
        weights: [f32; 2],
        limit: Option<f32>,
    ) -> (Self::Array, Option<Self::Held>);

    fn weighted_sum_gradients(
        gradient: &Self::Array,
        held: Option<&Self::Held>,
        weights: [f32; 2],
        wanted: [bool; 2],
    ) -> [Option<Self::Array>; 2];

    fn activation<const D: usize>(activation: Activation, x: &Self::Array) -> Self::Array;

    fn activation_gradient<const D: usize>(
        activation: Activation,
        x: &Self::Array,
        gradient: &Self::Array,
    ) -> Self::Array;
}

impl Elementwise for Flex {
    /// The sum before the limit, and the limit.
    type Held = (Array, f32);

    fn weighted_sum(
        a: &Array,
        b: &Array,
        weights: [f32; 2],
        limit: Option<f32>,
    ) -> (Array, Option<Self::Held>) {
        let dims: [usize; 4] = a.dims();
        let mut largest = 0.0;
        let sum = Array::build(dims, |out| {
            largest = cpu::weighted_sum(a.values(), weights[0], b.values(), weights[1], out);
        });
        // As a rule nothing is that large, and the limit costs nothing. (NaN is not; it stays what it is.)
        match limit.filter(|limit| largest > *limit) {
            Some(limit) => {
                let held = Array::build(dims, |out| cpu::hold(sum.values(), limit, out));
                (held, Some((sum, limit)))
            }
            None => (sum, None),
        }
    }

    fn weighted_sum_gradients(
        gradient: &Array,
        held: Option<&Self::Held>,
        weights: [f32; 2],
        wanted: [bool; 2],
    ) -> [Option<Array>; 2] {
        let dims: [usize; 4] = gradient.dims();
        let gradient = match held {
            Some((sum, limit)) => {
                Array::build(dims, |out| cpu::within(sum.values(), *limit, gradient.values(), out))
            }
            None => gradient.clone(),
        };
        let times = |weight: f32| match weight {
            1.0 => gradient.clone(),
            _ => Array::build(dims, |out| cpu::scale(gradient.values(), weight, out)),
        };
        let a = wanted[0].then(|| times(weights[0]));
        let b = wanted[1].then(|| match &a {
            Some(a) if weights[0].to_bits() == weights[1].to_bits() => a.clone(),
            _ => times(weights[1]),
        });
        [a, b]
    }

    fn activation<const D: usize>(activation: Activation, x: &Array) -> Array {
        let forward = match activation {
            Activation::Silu => cpu::silu,
            Activation::Relu => cpu::relu,
        };
        Array::build(x.dims::<D>(), |out| forward(x.values(), out))
    }

    fn activation_gradient<const D: usize>(activation: Activation, x: &Array, gradient: &Array) -> Array {
        let backward = match activation {
            Activation::Silu => cpu::silu_gradient,
            Activation::Relu => cpu::relu_gradient,
        };
        Array::build(x.dims::<D>(), |dx| backward(x.values(), gradient.values(), dx))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Elementwise for Cube {
    type Held = gpu::Held;

    fn weighted_sum(
        a: &Self::Array,
        b: &Self::Array,
        weights: [f32; 2],
        limit: Option<f32>,
    ) -> (Self::Array, Option<Self::Held>) {
        gpu::weighted_sum(a.clone(), b.clone(), weights, limit)
    }

    fn weighted_sum_gradients(
        gradient: &Self::Array,
        held: Option<&Self::Held>,
        weights: [f32; 2],
        wanted: [bool; 2],
    ) -> [Option<Self::Array>; 2] {
        gpu::weighted_sum_gradients(gradient.clone(), held.cloned(), weights, wanted)
    }

    fn activation<const D: usize>(activation: Activation, x: &Self::Array) -> Self::Array {
        gpu::activation(activation.into(), x.clone())
    }

    fn activation_gradient<const D: usize>(
        activation: Activation,
        x: &Self::Array,
        gradient: &Self::Array,
    ) -> Self::Array {
        gpu::activation_gradient(activation.into(), x.clone(), gradient.clone())
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl From<Activation> for gpu::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Silu => Self::Silu,
            Activation::Relu => Self::Relu,
        }
    }
}
