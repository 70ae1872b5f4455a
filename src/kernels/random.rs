//! Random tensors: functions of a draw, the samples and the elements, the same on every device and however a batch is split.

use burn::{
    backend::Flex,
    tensor::{Device, Tensor},
};

use super::{
    array::Array,
    cpu::random::{self as cpu, Dropping},
    engine::{Engine, on_device, on_engine},
    meaning,
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::random as gpu};
use crate::seed::Draw;

/// Standard normals, f32. The first extent counts samples, from the number `first` on.
pub fn normals<const D: usize>(draw: Draw, first: u64, dims: [usize; D], device: &Device) -> Tensor<D> {
    drawn(Kind::Normals, draw, first, dims, device)
}

/// Uniforms in [0, 1), likewise.
pub fn uniforms<const D: usize>(draw: Draw, first: u64, dims: [usize; D], device: &Device) -> Tensor<D> {
    drawn(Kind::Uniforms, draw, first, dims, device)
}

/// Drops a share of the activations and scales the others up; `first` is the number of the first sample. The mask is drawn
/// again in the backward pass, and kept nowhere. x `[n, h, w, c]`
pub fn drop_activations(x: Tensor<4>, draw: Draw, first: u64, share: f64) -> Tensor<4> {
    on_engine!(x, |x| dropped(x, draw, first, Dropping::share(share)), |x| {
        meaning::drop_activations(x, draw, first, share)
    })
}

fn dropped<E: Random>(x: Operand<E>, draw: Draw, first: u64, dropping: Dropping) -> Tensor<4> {
    let output = E::drop_activations(&x.array, draw, first, dropping);
    record([Some(x)], output, |_| {
        move |gradient: E::Array, _: [bool; 1]| [Some(E::drop_activations(&gradient, draw, first, dropping))]
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Normals,
    Uniforms,
}

fn drawn<const D: usize>(kind: Kind, draw: Draw, first: u64, dims: [usize; D], device: &Device) -> Tensor<D> {
    on_device!(device, |there| drawn_at(there, kind, draw, first, dims))
}

fn drawn_at<E: Random, const D: usize>(
    there: Operand<E>,
    kind: Kind,
    draw: Draw,
    first: u64,
    dims: [usize; D],
) -> Tensor<D> {
    let (context, there) = there.into_parts();
    context.constant::<E, D>(E::draw(kind, draw, first, dims, &there))
}

/// What an engine computes.
trait Random: Engine {
    /// Numbers on the device of `there`.
    fn draw<const D: usize>(
        kind: Kind,
        draw: Draw,
        first: u64,
        dims: [usize; D],
        there: &Self::Array,
    ) -> Self::Array;

    fn drop_activations(x: &Self::Array, draw: Draw, first: u64, dropping: Dropping) -> Self::Array;
}

impl Random for Flex {
    fn draw<const D: usize>(kind: Kind, draw: Draw, first: u64, dims: [usize; D], _: &Array) -> Array {
        let per_sample = dims[1..].iter().product();
        Array::build(dims, |out| match kind {
            Kind::Normals => cpu::normals(draw.key(), first, per_sample, out),
            Kind::Uniforms => cpu::uniforms(draw.key(), first, per_sample, out),
        })
    }

    fn drop_activations(x: &Array, draw: Draw, first: u64, dropping: Dropping) -> Array {
        let dims: [usize; 4] = x.dims();
        let per_sample = dims[1..].iter().product();
        Array::build(dims, |out| {
            cpu::drop_activations(draw.key(), first, per_sample, dropping, x.values(), out);
        })
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Random for Cube {
    fn draw<const D: usize>(
        kind: Kind,
        draw: Draw,
        first: u64,
        dims: [usize; D],
        there: &Self::Array,
    ) -> Self::Array {
        let draws = gpu::Draws { key: draw.key().words(), first };
        match kind {
            Kind::Normals => gpu::normals(draws, dims, there),
            Kind::Uniforms => gpu::uniforms(draws, dims, there),
        }
    }

    fn drop_activations(x: &Self::Array, draw: Draw, first: u64, dropping: Dropping) -> Self::Array {
        let draws = gpu::Draws { key: draw.key().words(), first };
        gpu::drop_activations(x.clone(), draws, dropping.threshold, dropping.kept)
    }
}
