//! Pools of three by three pixels: what detectors of images have between their convolutions.

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
    cpu::pooling::{self as cpu, Pooling},
    meaning,
    tape::Operand,
};

/// The largest value of every 3x3 window; padding (0 or 1 on every side) never is.
/// x `[n, h, w, c]` => `[n, h', w', c]` with `h' = (h + 2 padding - 3) / stride + 1`
pub fn max_pool(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    pool(x, stride, padding, cpu::max, |x| meaning::max_pool(x, stride, padding))
}

/// The average of every 3x3 window of stride 1, over the pixels that lie within the image.
/// x `[n, h, w, c]` => `[n, h, w, c]`
pub fn average_pool(x: Tensor<4>) -> Tensor<4> {
    pool(x, 1, 1, cpu::average, meaning::average_pool)
}

/// The fast path is the CPU's, where no gradient is wanted: it has no backward pass.
fn pool(
    x: Tensor<4>,
    stride: usize,
    padding: usize,
    fast: impl FnOnce(Pooling, &[f32], &mut [f32]),
    elsewhere: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    match Operand::<Flex>::try_from(x.clone()) {
        Ok(x) if !x.is_tracked() => {
            let (context, x) = x.into_parts();
            let extents @ [n, h, w, c] = x.dims();
            let out = [h, w].map(|len| (len + 2 * padding - 3) / stride + 1);
            let e = Pooling { x: extents, out, stride, padding };
            let output = Array::build([n, out[0], out[1], c], |y| fast(e, x.values(), y));
            context.constant::<Flex, 4>(output)
        }
        _ => elsewhere(x),
    }
}
