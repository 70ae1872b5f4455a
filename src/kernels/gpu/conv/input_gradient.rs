//! The gradient of a convolution to its input.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{EACH, Shape, TILE, Windows};
use crate::{
    launch::{cubes, dims, element, empty},
    product::{DEPTH, SIDE, accumulate, pitch, zeros},
};

/// Rows of the product are pixels of x, columns its channels; the sum goes over taps and channels of y.
/// gradient `[n, h', w', k]`, weight `[k, kh, kw, c]`, dx `[n, h, w, c]`
#[cube(launch)]
fn input_gradient_kernel<F: Float>(
    gradient: &Tensor<F>,
    weight: &Tensor<F>,
    dx: &mut Tensor<F>,
    #[comptime] shape: Shape,
    #[define(F)] _dtype: ElemType,
) {
    let (h, w, c) = (dx.shape(1), dx.shape(2), dx.shape(3));
    let (out_h, out_w, k) = (gradient.shape(1), gradient.shape(2), gradient.shape(3));
    let rows = dx.shape(0) * h * w;
    let [kernel_h, kernel_w] = comptime!(shape.kernel);
    let stride = comptime!(shape.stride);
    let [top, left] = comptime!(shape.padding);
    let depth = kernel_h * kernel_w * k;

    let column_tiles = c.div_ceil(TILE);
    let first_row = CUBE_POS / column_tiles * TILE;
    let first_column = CUBE_POS % column_tiles * TILE;
    // Each unit looks up one step of the sum for every 16th row, and every 4th step for one column.
    let (step, line) = (UNIT_POS as usize % DEPTH, UNIT_POS as usize / DEPTH);
    let (column, step_of_weight) = (UNIT_POS as usize % TILE, UNIT_POS as usize / TILE);
    let mut images = Array::<usize>::new(EACH);
    let mut ys = Array::<usize>::new(EACH);
    let mut xs = Array::<usize>::new(EACH);
    #[unroll]
    for i in 0..EACH {
        let row = first_row + line + i * SIDE;
        images[i] = row / (h * w) * gradient.stride(0);
        ys[i] = row / w % h + top;
        xs[i] = row % w + left;
    }

    let mut a = Shared::<[f32]>::new_slice(comptime!(DEPTH * pitch(TILE)));
    let mut b = Shared::<[f32]>::new_slice(comptime!(DEPTH * pitch(TILE)));
    let mut sums = zeros(comptime!(EACH * EACH));
    let mut first = 0;
    while first < depth {
        let at = first + step;
        let (tap, channel) = (at / k, at % k);
        let (tap_y, tap_x) = (tap / kernel_w, tap % kernel_w);
        #[unroll]
        for i in 0..EACH {
            let row = first_row + line + i * SIDE;
            let mut value = 0.0f32;
            if row < rows && at < depth && ys[i] >= tap_y && xs[i] >= tap_x {
                let (down, right) = ((ys[i] - tap_y) / stride, (xs[i] - tap_x) / stride);
                let hit = down * stride + tap_y == ys[i] && right * stride + tap_x == xs[i];
                if hit && down < out_h && right < out_w {
                    let pixel = images[i] + down * gradient.stride(1) + right * gradient.stride(2);
                    value = f32::cast_from(gradient[pixel + channel * gradient.stride(3)]);
                }
            }
            a[step * comptime!(pitch(TILE)) + line + i * SIDE] = value;
        }
        #[unroll]
        for i in 0..comptime!(DEPTH / EACH) {
            let step = step_of_weight + i * EACH;
            let at = first + step;
            let (tap, channel) = (at / k, at % k);
            let (tap_y, tap_x) = (tap / kernel_w, tap % kernel_w);
            let mut value = 0.0f32;
            if first_column + column < c && at < depth {
                let from = channel * weight.stride(0) + tap_y * weight.stride(1) + tap_x * weight.stride(2);
                value = f32::cast_from(weight[from + (first_column + column) * weight.stride(3)]);
            }
            b[step * comptime!(pitch(TILE)) + column] = value;
        }
        sync_cube();
        accumulate(&a, 0, &b, &mut sums, 0usize, EACH, EACH);
        sync_cube();
        first += DEPTH;
    }

    #[unroll]
    for i in 0..EACH {
        let row = first_row + UNIT_POS_Y as usize + i * SIDE;
        #[unroll]
        for j in 0..EACH {
            let column = first_column + UNIT_POS_X as usize + j * SIDE;
            if row < rows && column < c {
                dx[row * c + column] = F::cast_from(sums[i * EACH + j]);
            }
        }
    }
}

/// gradient `[n, h', w', k]`, weight `[k, kh, kw, c]` => `x`: `[n, h, w, c]`
pub(super) fn input_gradient(
    gradient: CubeTensor,
    weight: CubeTensor,
    x: [usize; 4],
    windows: Windows,
) -> CubeTensor {
    let ([n, h, w, c], [_, kernel_h, kernel_w, _]) = (x, dims(&weight));
    let (dx, dtype, client) = (empty(&gradient, x), element(&gradient), gradient.client.clone());
    input_gradient_kernel::launch(
        &client,
        cubes((n * h * w).div_ceil(TILE) * c.div_ceil(TILE)),
        CubeDim::new_2d(SIDE as u32, SIDE as u32),
        gradient.into_tensor_arg(),
        weight.into_tensor_arg(),
        dx.clone().into_tensor_arg(),
        windows.shape([kernel_h, kernel_w]),
        dtype,
    );
    dx
}
