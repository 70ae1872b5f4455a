//! Concatenation along channels.

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
    cpu::elementwise::{self as cpu, Columns},
    engine::{Engine, on_engine},
    meaning,
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::concat as gpu};

/// Concatenation along channels, each part times its weight (EDM2's `mp_cat`; weights 1 elsewhere).
/// `[n, h, w, ca]`, `[n, h, w, cb]` => `[n, h, w, ca + cb]`
pub fn concat(a: Tensor<4>, weight_a: f64, b: Tensor<4>, weight_b: f64) -> Tensor<4> {
    on_engine!(a, |a| joined(a, b, [weight_a as f32, weight_b as f32]), |a| {
        meaning::concat(a, weight_a, b, weight_b)
    })
}

fn joined<E: Concatenate>(a: Operand<E>, b: Tensor<4>, weights: [f32; 2]) -> Tensor<4> {
    let b = Operand::of(b);
    let [n, h, w, ca] = a.dims();
    let [_, _, _, cb] = b.dims();
    assert_eq!(b.dims(), [n, h, w, cb], "a concatenation needs equal positions");
    let output = E::concat([&a.array, &b.array], weights);
    record([Some(a), Some(b)], output, |_| {
        move |gradient: E::Array, wanted: [bool; 2]| E::split(&gradient, [ca, cb], weights, wanted)
    })
}

/// What an engine computes.
trait Concatenate: Engine {
    /// Along channels.
    fn concat(parts: [&Self::Array; 2], weights: [f32; 2]) -> Self::Array;

    /// The gradients to parts of these many channels.
    fn split(
        gradient: &Self::Array,
        channels: [usize; 2],
        weights: [f32; 2],
        wanted: [bool; 2],
    ) -> [Option<Self::Array>; 2];
}

impl Concatenate for Flex {
    fn concat(parts: [&Array; 2], weights: [f32; 2]) -> Array {
        let [n, h, w, ca] = parts[0].dims();
        let [_, _, _, cb] = parts[1].dims();
        Array::build([n, h, w, ca + cb], |out| {
            for (part, side) in parts.into_iter().zip(sides([ca, cb], weights)) {
                cpu::put_columns(part.values(), out, side);
            }
        })
    }

    fn split(
        gradient: &Array,
        channels: [usize; 2],
        weights: [f32; 2],
        wanted: [bool; 2],
    ) -> [Option<Array>; 2] {
        let [n, h, w, _] = gradient.dims();
        let sides = sides(channels, weights);
        std::array::from_fn(|i| {
            let take = |out: &mut [f32]| cpu::take_columns(gradient.values(), out, sides[i]);
            wanted[i].then(|| Array::build([n, h, w, channels[i]], take))
        })
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Concatenate for Cube {
    fn concat([a, b]: [&Self::Array; 2], weights: [f32; 2]) -> Self::Array {
        gpu::concat(a.clone(), b.clone(), weights)
    }

    fn split(
        gradient: &Self::Array,
        channels: [usize; 2],
        weights: [f32; 2],
        wanted: [bool; 2],
    ) -> [Option<Self::Array>; 2] {
        gpu::split(gradient.clone(), channels, weights, wanted)
    }
}

/// Where each of two parts lies in their concatenation.
fn sides([a, b]: [usize; 2], weights: [f32; 2]) -> [Columns; 2] {
    [
        Columns { wide: a + b, offset: 0, width: a, weight: weights[0] },
        Columns { wide: a + b, offset: a, width: b, weight: weights[1] },
    ]
}
