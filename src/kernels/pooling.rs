//! Pools of three by three pixels: what detectors of images have between their convolutions.

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
    cpu::pooling::{self as cpu, Pooling},
    engine::Engine,
    meaning,
    tape::Operand,
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::pooling as gpu};

/// The largest value of every 3x3 window; padding (0 or 1 on every side) never is.
/// x `[n, h, w, c]` => `[n, h', w', c]` with `h' = (h + 2 padding - 3) / stride + 1`
pub fn max_pool(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    pooled(x, Kind::Max, stride, padding).unwrap_or_else(|x| meaning::max_pool(x, stride, padding))
}

/// The average of every 3x3 window of stride 1, over the pixels that lie within the image.
/// x `[n, h, w, c]` => `[n, h, w, c]`
pub fn average_pool(x: Tensor<4>) -> Tensor<4> {
    pooled(x, Kind::Average, 1, 1).unwrap_or_else(meaning::average_pool)
}

/// What is made of a window.
#[derive(Clone, Copy)]
enum Kind {
    Max,
    Average,
}

/// The pool, by an engine; gives x back where a gradient is wanted, as there is no backward pass.
#[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
fn pooled(x: Tensor<4>, kind: Kind, stride: usize, padding: usize) -> Result<Tensor<4>, Tensor<4>> {
    let x = match untracked::<Flex>(x) {
        Ok(x) => return Ok(pool(x, kind, stride, padding)),
        Err(x) => x,
    };
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    let x = match untracked::<Cube>(x) {
        Ok(x) => return Ok(pool(x, kind, stride, padding)),
        Err(x) => x,
    };
    Err(x)
}

#[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
fn untracked<E: Engine>(x: Tensor<4>) -> Result<Operand<E>, Tensor<4>> {
    Operand::try_from(x.clone()).ok().filter(|x| !x.is_tracked()).ok_or(x)
}

fn pool<E: Pool>(x: Operand<E>, kind: Kind, stride: usize, padding: usize) -> Tensor<4> {
    let (context, x) = x.into_parts();
    let extents @ [_, h, w, _] = E::dims(&x);
    let out = [h, w].map(|len| (len + 2 * padding - 3) / stride + 1);
    context.constant::<E, 4>(E::pool(kind, Pooling { x: extents, out, stride, padding }, &x))
}

/// What an engine computes.
trait Pool: Engine {
    fn pool(kind: Kind, e: Pooling, x: &Self::Array) -> Self::Array;
}

impl Pool for Flex {
    fn pool(kind: Kind, e: Pooling, x: &Array) -> Array {
        let forward = match kind {
            Kind::Max => cpu::max,
            Kind::Average => cpu::average,
        };
        let ([n, _, _, c], [h, w]) = (e.x, e.out);
        Array::build([n, h, w, c], |y| forward(e, x.values(), y))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Pool for Cube {
    fn pool(kind: Kind, e: Pooling, x: &Self::Array) -> Self::Array {
        let kind = match kind {
            Kind::Max => gpu::Pool::Max,
            Kind::Average => gpu::Pool::Average,
        };
        gpu::pool(kind, x.clone(), e.stride, e.padding)
    }
}
