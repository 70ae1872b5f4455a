//! Pools of three by three pixels: a unit, a vector of the output.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{cubes_for, dims, element, empty, vector},
    silu::splat,
};

/// What is made of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// Its largest value.
    Max,
    /// The average of the pixels that lie within the image.
    Average,
}

#[cube(launch)]
fn pool_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    y: &mut [Vector<F, N>],
    h: usize,
    w: usize,
    columns: usize,
    out_h: usize,
    out_w: usize,
    stride: usize,
    padding: usize,
    count: usize,
    #[comptime] pool: Pool,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let column = ABSOLUTE_POS % columns;
        let window = ABSOLUTE_POS / columns;
        let left = window % out_w * stride;
        let top = window / out_w % out_h * stride;
        let image = window / out_w / out_h;
        let mut result = splat::<N>(0.0f32);
        let mut taps = 0.0f32;
        for i in 0..3usize {
            for j in 0..3usize {
                // Rows and columns that count from the padding.
                let (row, at) = (top + i, left + j);
                if row >= padding && row < h + padding && at >= padding && at < w + padding {
                    let pixel = (image * h + row - padding) * w + at - padding;
                    let value = Vector::<f32, N>::cast_from(x[pixel * columns + column]);
                    if comptime!(pool == Pool::Average) {
                        result += value;
                    } else {
                        #[unroll]
                        for lane in 0..N::value() {
                            let (new, largest) = (value.extract(lane), result.extract(lane));
                            result.insert(lane, select(taps == 0.0f32 || new > largest, new, largest));
                        }
                    }
                    taps += 1.0f32;
                }
            }
        }
        if comptime!(pool == Pool::Average) {
            result *= splat::<N>(1.0f32 / taps);
        }
        y[ABSOLUTE_POS] = Vector::cast_from(result);
    }
}

/// The pool of every 3x3 window; padding is no pixel. x `[n, h, w, c]` => `[n, h', w', c]` with
/// `h' = (h + 2 padding - 3) / stride + 1`
pub fn pool(pool: Pool, x: CubeTensor, stride: usize, padding: usize) -> CubeTensor {
    let x = into_contiguous(x);
    let [n, h, w, c] = dims(&x);
    let [out_h, out_w] = [h, w].map(|len| (len + 2 * padding - 3) / stride + 1);
    let y = empty(&x, [n, out_h, out_w, c]);
    let (client, dtype, width) = (x.client.clone(), element(&x), vector(&[&x], c));
    let vectors = n * out_h * out_w * c / width;
    let (count, dim) = cubes_for(vectors);
    pool_kernel::launch(
        &client,
        count,
        dim,
        width,
        x.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        h,
        w,
        c / width,
        out_h,
        out_w,
        stride,
        padding,
        vectors,
        pool,
        dtype,
    );
    y
}
