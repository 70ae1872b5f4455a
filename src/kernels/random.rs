//! Random tensors: functions of a draw, the samples and the elements, the same on every device and however a batch is split.

use std::sync::Arc;

use burn::{
    backend::Flex,
    tensor::{Device, Tensor},
};

use super::{
    array::Array,
    cpu::random::{self as cpu, Dropping, Key},
    engine::{Engine, on_device, on_engine},
    meaning,
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{
    engine::{Cube, on_gpu},
    gpu::random as gpu,
};
use crate::seed::Draw;

/// The keys of several draws about the same samples, where a device reads them: in one upload, and what is launched with
/// them can be launched again with others.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: Arc<[Key]>,
    first: u64,
    /// On a GPU.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    there: Option<<Cube as Engine>::Array>,
}

impl Keys {
    /// Of these draws, for the samples from the number `first` on.
    pub fn new(draws: impl IntoIterator<Item = Draw>, first: u64, device: &Device) -> Self {
        let keys: Arc<[Key]> = draws.into_iter().map(Draw::key).collect();
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        let there = on_gpu(device).filter(|_| !keys.is_empty()).map(|there| {
            let draws: Vec<_> = keys.iter().map(|key| gpu::Draws { key: key.words(), first }).collect();
            gpu::keys(&draws, &there)
        });
        #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
        let _ = device;
        Self {
            keys,
            first,
            #[cfg(any(feature = "cuda", feature = "wgpu"))]
            there,
        }
    }

    /// The device's memory of them.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(super) fn there_mut(&mut self) -> Option<&mut <Cube as Engine>::Array> {
        self.there.as_mut()
    }

    /// One of them, and the number of the first sample.
    pub(super) fn of(&self, draw: usize) -> (Key, u64) {
        (self.keys[draw], self.first)
    }
}

/// Standard normals, f32. The first extent counts samples, from the number `first` on.
pub fn normals<const D: usize>(draw: Draw, first: u64, dims: [usize; D], device: &Device) -> Tensor<D> {
    drawn(Kind::Normals, draw, first, dims, device)
}

/// Uniforms in [0, 1), likewise.
pub fn uniforms<const D: usize>(draw: Draw, first: u64, dims: [usize; D], device: &Device) -> Tensor<D> {
    drawn(Kind::Uniforms, draw, first, dims, device)
}

/// Drops a share of the activations, by the draw of this number, and scales the others up. The mask is drawn again in the
/// backward pass, and kept nowhere. x `[n, h, w, c]`
pub fn drop_activations(x: Tensor<4>, keys: &Keys, draw: usize, share: f64) -> Tensor<4> {
    on_engine!(x, |x| dropped(x, keys.clone(), draw, Dropping::share(share)), |x| {
        meaning::drop_activations(x, keys, draw, share)
    })
}

fn dropped<E: Random>(x: Operand<E>, keys: Keys, draw: usize, dropping: Dropping) -> Tensor<4> {
    let output = E::drop_activations(&x.array, &keys, draw, dropping);
    record([Some(x)], output, |_| {
        move |gradient: E::Array, _: [bool; 1]| [Some(E::drop_activations(&gradient, &keys, draw, dropping))]
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

    fn drop_activations(x: &Self::Array, keys: &Keys, draw: usize, dropping: Dropping) -> Self::Array;
}

impl Random for Flex {
    fn draw<const D: usize>(kind: Kind, draw: Draw, first: u64, dims: [usize; D], _: &Array) -> Array {
        let per_sample = dims[1..].iter().product();
        Array::build(dims, |out| match kind {
            Kind::Normals => cpu::normals(draw.key(), first, per_sample, out),
            Kind::Uniforms => cpu::uniforms(draw.key(), first, per_sample, out),
        })
    }

    fn drop_activations(x: &Array, keys: &Keys, draw: usize, dropping: Dropping) -> Array {
        let dims: [usize; 4] = x.dims();
        let (per_sample, (key, first)) = (dims[1..].iter().product(), keys.of(draw));
        Array::build(dims, |out| cpu::drop_activations(key, first, per_sample, dropping, x.values(), out))
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

    fn drop_activations(x: &Self::Array, keys: &Keys, draw: usize, dropping: Dropping) -> Self::Array {
        let there = keys.there.clone().expect("the keys are where the activations are");
        gpu::drop_activations(x.clone(), there, draw, dropping.threshold, dropping.kept)
    }
}
