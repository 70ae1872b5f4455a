//! What a convolution makes of its input.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{EACH, Shape, TILE, Windows};
use crate::{
    launch::{cubes, dims, element, empty},
    product::{DEPTH, SIDE, accumulate, pitch, zeros},
};

/// Rows of the product are pixels of y, columns its channels; the sum goes over taps and channels of x.
/// x `[n, h, w, c]`, weight `[k, kh, kw, c]`, y `[n, h', w', k]`
#[cube(launch)]
fn forward_kernel<F: Float>(
    x: &Tensor<F>,
    weight: &Tensor<F>,
    bias: ComptimeOption<&[F]>,
    y: &mut Tensor<F>,
    #[comptime] shape: Shape,
    #[define(F)] _dtype: ElemType,
) {
    let (h, w, c) = (x.shape(1), x.shape(2), x.shape(3));
    let (out_h, out_w, k) = (y.shape(1), y.shape(2), y.shape(3));
    let rows = y.shape(0) * out_h * out_w;
    let [kernel_h, kernel_w] = comptime!(shape.kernel);
    let [top, left] = comptime!(shape.padding);
    let depth = kernel_h * kernel_w * c;

    let column_tiles = k.div_ceil(TILE);
    let first_row = CUBE_POS / column_tiles * TILE;
    let first_column = CUBE_POS % column_tiles * TILE;
    // Each unit looks up one step of the sum, for every 16th row and column.
    let (step, line) = (UNIT_POS as usize % DEPTH, UNIT_POS as usize / DEPTH);
    let mut images = Array::<usize>::new(EACH);
    let mut ys = Array::<usize>::new(EACH);
    let mut xs = Array::<usize>::new(EACH);
    #[unroll]
    for i in 0..EACH {
        let row = first_row + line + i * SIDE;
        images[i] = row / (out_h * out_w) * x.stride(0);
        ys[i] = row / out_w % out_h * shape.stride;
        xs[i] = row % out_w * shape.stride;
    }

    let mut a = Shared::<[f32]>::new_slice(comptime!(DEPTH * pitch(TILE)));
    let mut b = Shared::<[f32]>::new_slice(comptime!(DEPTH * pitch(TILE)));
    let mut sums = zeros(comptime!(EACH * EACH));
    let mut first = 0;
    while first < depth {
        let at = first + step;
        let (tap, channel) = (at / c, at % c);
        let (tap_y, tap_x) = (tap / kernel_w, tap % kernel_w);
        let from_x = channel * x.stride(3);
        let from_weight = tap_y * weight.stride(1) + tap_x * weight.stride(2) + channel * weight.stride(3);
        #[unroll]
        for i in 0..EACH {
            let row = first_row + line + i * SIDE;
            let (down, right) = (ys[i] + tap_y, xs[i] + tap_x);
            let inside = down >= top && down < h + top && right >= left && right < w + left;
            let mut value = 0.0f32;
            if inside && row < rows && at < depth {
                let pixel = images[i] + (down - top) * x.stride(1) + (right - left) * x.stride(2);
                value = f32::cast_from(x[pixel + from_x]);
            }
            a[step * comptime!(pitch(TILE)) + line + i * SIDE] = value;

            let column = first_column + line + i * SIDE;
            let mut value = 0.0f32;
            if column < k && at < depth {
                value = f32::cast_from(weight[column * weight.stride(0) + from_weight]);
            }
            b[step * comptime!(pitch(TILE)) + line + i * SIDE] = value;
        }
        sync_cube();
        accumulate(&a, 0, &b, &mut sums, 0usize, EACH, EACH);
        sync_cube();
        first += DEPTH;
    }

    #[unroll]
    for j in 0..EACH {
        let column = first_column + UNIT_POS_X as usize + j * SIDE;
        if column < k {
            let shift: ComptimeOption<F> = bias.map(|bias| bias[column]);
            let shift = f32::cast_from(shift.unwrap_or_else(|| F::new(0.0)));
            #[unroll]
            for i in 0..EACH {
                let row = first_row + UNIT_POS_Y as usize + i * SIDE;
                if row < rows {
                    y[row * k + column] = F::cast_from(sums[i * EACH + j] + shift);
                }
            }
        }
    }
}

/// x `[n, h, w, c]`, weight `[k, kh, kw, c]`, bias `[k]` => `[n, h', w', k]`
pub(super) fn forward(
    x: CubeTensor,
    weight: CubeTensor,
    bias: Option<CubeTensor>,
    windows: Windows,
) -> CubeTensor {
    let ([n, h, w, _], [k, kernel_h, kernel_w, _]) = (dims(&x), dims(&weight));
    let shape = windows.shape([kernel_h, kernel_w]);
    let [h, w] = shape.output([h, w]);
    let (y, dtype, client) = (empty(&x, [n, h, w, k]), element(&x), x.client.clone());
    forward_kernel::launch(
        &client,
        cubes((n * h * w).div_ceil(TILE) * k.div_ceil(TILE)),
        CubeDim::new_2d(SIDE as u32, SIDE as u32),
        x.into_tensor_arg(),
        weight.into_tensor_arg(),
        bias.map(CubeTensor::into_buffer_arg).into(),
        y.clone().into_tensor_arg(),
        shape,
        dtype,
    );
    y
}
