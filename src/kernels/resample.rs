//! Halving and doubling the resolution.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use super::{
    array::Array,
    cpu::resample::Resampling,
    engine::{Engine, on_engine},
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::resample as gpu};

/// Halves the resolution with a separable depthwise filter: outer product over sum squared, padding
/// `(len - 1) / 2`, stride 2. x `[n, h, w, c]` => `[n, h / 2, w / 2, c]`
pub fn downsample(x: Tensor<4>, filter: &[f32]) -> Tensor<4> {
    downsample_with(x, filter, same(filter))
}

/// The same with so many zeros around x.
pub fn downsample_with(x: Tensor<4>, filter: &[f32], padding: usize) -> Tensor<4> {
    on_engine!(x, |x| resampled(x, filter, padding, true), |x| {
        let dtype = x.dtype();
        downsample_with(x.cast(DType::F32), filter, padding).cast(dtype)
    })
}

/// Doubles the resolution with a separable depthwise filter, transposed, times 4.
/// x `[n, h, w, c]` => `[n, 2 h, 2 w, c]`
pub fn upsample(x: Tensor<4>, filter: &[f32]) -> Tensor<4> {
    on_engine!(x, |x| resampled(x, filter, same(filter), false), |x| {
        let dtype = x.dtype();
        upsample(x.cast(DType::F32), filter).cast(dtype)
    })
}

/// The padding that makes half, or twice, the resolution of it.
fn same(filter: &[f32]) -> usize {
    (filter.len() - 1) / 2
}

fn resampled<E: Resampler>(x: Operand<E>, filter: &[f32], padding: usize, down: bool) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let (large, small) = if down {
        ([h, w], [h, w].map(|len| (len + 2 * padding - filter.len()) / 2 + 1))
    } else {
        ([h, w].map(|len| 2 * len - 2 + filter.len() - 2 * padding), [h, w])
    };
    let sum: f32 = filter.iter().sum();
    let taps = filter.iter().map(|tap| tap / sum).collect();
    let resample = Resample { n, c, large, small, taps, padding, gain: if down { 1.0 } else { 4.0 } };
    let output = E::resample(&resample, &x.array, down);
    record([Some(x)], output, |_| {
        // The backward pass is the transpose.
        move |gradient: E::Array, _: [bool; 1]| [Some(E::resample(&resample, &gradient, !down))]
    })
}

/// One change of resolution.
#[derive(Clone)]
struct Resample {
    n: usize,
    c: usize,
    large: [usize; 2],
    small: [usize; 2],
    /// The filter, normalised.
    taps: Vec<f32>,
    padding: usize,
    gain: f32,
}

/// What an engine computes.
trait Resampler: Engine {
    /// From the large side to the small one where `down`, or its transpose.
    fn resample(resample: &Resample, x: &Self::Array, down: bool) -> Self::Array;
}

impl Resampler for Flex {
    fn resample(resample: &Resample, x: &Array, down: bool) -> Array {
        let Resample { n, c, large, small, ref taps, padding, gain } = *resample;
        let resampling = Resampling { n, large, small, c, taps, padding };
        let [h, w] = if down { small } else { large };
        let x = x.values();
        Array::build(
            [n, h, w, c],
            |y| {
                if down { resampling.down(x, gain, y) } else { resampling.up(x, gain, y) }
            },
        )
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Resampler for Cube {
    fn resample(resample: &Resample, x: &Self::Array, down: bool) -> Self::Array {
        let Resample { large, small, ref taps, padding, gain, .. } = *resample;
        let filter = gpu::Filter { taps, padding, gain };
        if down { gpu::down(x.clone(), filter, small) } else { gpu::up(x.clone(), filter, large) }
    }
}
