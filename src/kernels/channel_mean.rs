//! The mean over an image's channels: what SiDA takes for a logit.

use burn::{
    backend::Flex,
    tensor::{Shape, Tensor},
};

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::engine::Cube;
use super::{
    array::Array,
    cpu::sums,
    engine::{Engine, on_engine},
    meaning,
    tape::{Operand, record},
};

/// The mean over the channels of every pixel. x `[n, h, w, c]` => `[n, 1, h, w]`
pub fn channel_mean(x: Tensor<4>) -> Tensor<4> {
    on_engine!(x, |x| averaged(x), |x| meaning::channel_mean(x))
}

fn averaged<E: ChannelMean>(x: Operand<E>) -> Tensor<4> {
    let dims = x.dims::<4>();
    let output = E::mean(&x.array, dims);
    record([Some(x)], output, |_| move |gradient: E::Array, _: [bool; 1]| [Some(E::share(gradient, dims))])
}

/// What an engine computes.
trait ChannelMean: Engine {
    /// `[n, h, w, c]` => `[n, 1, h, w]`
    fn mean(x: &Self::Array, [n, h, w, _]: [usize; 4]) -> Self::Array {
        let mean = Self::float_mean_dim(Self::give(x.clone()), 3);
        Self::take(Self::float_reshape(mean, Shape::from([n, 1, h, w])))
    }

    /// A pixel's gradient, shared out among its channels. `[n, 1, h, w]` => `[n, h, w, c]`
    fn share(gradient: Self::Array, dims: [usize; 4]) -> Self::Array {
        let [n, h, w, c] = dims;
        let share = Self::float_mul_scalar(Self::give(gradient), (1.0 / c as f64).into());
        let share = Self::float_reshape(share, Shape::from([n, h, w, 1]));
        Self::take(Self::float_expand(share, Shape::from(dims)))
    }
}

impl ChannelMean for Flex {
    fn mean(x: &Array, [n, h, w, c]: [usize; 4]) -> Array {
        let pixels = x.values().chunks_exact(c);
        let means = pixels.map(|pixel| (sums::sum(pixel) / c as f64) as f32);
        Array::from_values(means.collect(), [n, 1, h, w])
    }

    fn share(gradient: Array, dims: [usize; 4]) -> Array {
        let [.., c] = dims;
        let share = (1.0 / c as f64) as f32;
        Array::build(dims, |out| {
            for (pixel, gradient) in out.chunks_exact_mut(c).zip(gradient.values()) {
                pixel.fill(share * gradient);
            }
        })
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl ChannelMean for Cube {}
