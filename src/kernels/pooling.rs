//! Pools of three by three pixels: what detectors of images have between their convolutions.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::pooling::{self as cpu, Pooling},
    meaning,
    tape::Operand,
};

/// The largest value of every 3x3 window; padding (0 or 1 on every side) never is.
/// x `[n, h, w, c]` => `[n, h', w', c]` with `h' = (h + 2 padding - 3) / stride + 1`
pub fn max_pool(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    match untracked(&x) {
        Some(operand) => pooled(operand, stride, padding, cpu::max),
        None => meaning::max_pool(x, stride, padding),
    }
}

/// The average of every 3x3 window of stride 1, over the pixels that lie within the image.
/// x `[n, h, w, c]` => `[n, h, w, c]`
pub fn average_pool(x: Tensor<4>) -> Tensor<4> {
    match untracked(&x) {
        Some(operand) => pooled(operand, 1, 1, cpu::average),
        None => meaning::average_pool(x),
    }
}

/// An f32 tensor of the CPU that no gradient is wanted of: the fast path has no backward pass.
fn untracked(x: &Tensor<4>) -> Option<Operand> {
    Operand::of_cpu(x).filter(|x| !x.is_tracked())
}

fn pooled(
    x: Operand,
    stride: usize,
    padding: usize,
    pool: impl FnOnce(Pooling, &[f32], &mut [f32]),
) -> Tensor<4> {
    let (context, x) = x.into_parts();
    let extents @ [n, h, w, c] = x.dims();
    let out = [h, w].map(|len| (len + 2 * padding - 3) / stride + 1);
    let e = Pooling { x: extents, out, stride, padding };
    context.constant(Array::build([n, out[0], out[1], c], |y| pool(e, x.values(), y)))
}
