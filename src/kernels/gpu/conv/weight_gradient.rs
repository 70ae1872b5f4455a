//! The gradients of a convolution to its weight and bias.

use burn_backend::DType;
use burn_cubecl::{ops::reshape, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use super::{EACH, Shape, TILE, Windows, parts::add_parts};
use crate::{
    launch::{dims, element, empty_of},
    product::{DEPTH, SIDE, accumulate, pitch, zeros},
};

/// Rows of the product are channels of y, columns the taps and channels of x; the sum goes over pixels of y, a part of
/// them for each cube along z. The first cube of a row adds up its part of the bias on the way. x `[n, h, w, c]`, gradient
/// `[n, h', w', k]`, dw `[parts, k, kh, kw, c]`, db `[parts, k]`
#[cube(launch)]
fn weight_gradient_kernel<F: Float, O: Float>(
    x: &Tensor<F>,
    gradient: &Tensor<F>,
    dw: &mut [O],
    db: &mut [O],
    part: usize,
    #[comptime] shape: Shape,
    #[define(F)] _dtype: ElemType,
    #[define(O)] _out: ElemType,
) {
    let (h, w, c) = (x.shape(1), x.shape(2), x.shape(3));
    let (out_h, out_w, k) = (gradient.shape(1), gradient.shape(2), gradient.shape(3));
    let pixels = gradient.shape(0) * out_h * out_w;
    let [kernel_h, kernel_w] = comptime!(shape.kernel);
    let [top, left] = comptime!(shape.padding);
    let columns = kernel_h * kernel_w * c;
    let begin = CUBE_POS_Z as usize * part;
    let end = (begin + part).min(pixels);

    let first_row = CUBE_POS_Y as usize * TILE;
    let first_column = CUBE_POS_X as usize * TILE;
    // Each unit looks up every 4th step of the sum for one row and one column.
    let (line, step) = (UNIT_POS as usize % TILE, UNIT_POS as usize / TILE);
    let (row, column) = (first_row + line, first_column + line);
    let (tap, channel) = (column / c, column % c);
    let (tap_y, tap_x) = (tap / kernel_w, tap % kernel_w);

    let mut a = Shared::<[f32]>::new_slice(comptime!(DEPTH * pitch(TILE)));
    let mut b = Shared::<[f32]>::new_slice(comptime!(DEPTH * pitch(TILE)));
    let mut sums = zeros(comptime!(EACH * EACH));
    let mut of_row = 0.0f32;
    let mut first = begin;
    while first < end {
        #[unroll]
        for i in 0..comptime!(DEPTH / EACH) {
            let step = step + i * EACH;
            let at = first + step;
            let (image, out_y, out_x) = (at / (out_h * out_w), at / out_w % out_h, at % out_w);
            let mut value = 0.0f32;
            if at < end && row < k {
                let pixel =
                    image * gradient.stride(0) + out_y * gradient.stride(1) + out_x * gradient.stride(2);
                value = f32::cast_from(gradient[pixel + row * gradient.stride(3)]);
            }
            a[step * comptime!(pitch(TILE)) + line] = value;
            of_row += value;

            let (down, right) = (out_y * shape.stride + tap_y, out_x * shape.stride + tap_x);
            let inside = down >= top && down < h + top && right >= left && right < w + left;
            let mut value = 0.0f32;
            if inside && at < end && column < columns {
                let pixel = image * x.stride(0) + (down - top) * x.stride(1) + (right - left) * x.stride(2);
                value = f32::cast_from(x[pixel + channel * x.stride(3)]);
            }
            b[step * comptime!(pitch(TILE)) + line] = value;
        }
        sync_cube();
        accumulate(&a, 0, &b, &mut sums, 0usize, EACH, EACH);
        sync_cube();
        first += DEPTH;
    }

    // Units that looked up the same row; all have read the panels.
    a[UNIT_POS as usize] = of_row;
    sync_cube();
    if CUBE_POS_X == 0 && step == 0 && row < k {
        let mut sum = of_row;
        #[unroll]
        for i in 1..EACH {
            sum += a[line + i * TILE];
        }
        db[CUBE_POS_Z as usize * k + row] = O::cast_from(sum);
    }

    #[unroll]
    for i in 0..EACH {
        let row = first_row + UNIT_POS_Y as usize + i * SIDE;
        #[unroll]
        for j in 0..EACH {
            let column = first_column + UNIT_POS_X as usize + j * SIDE;
            if row < k && column < columns {
                let at = (CUBE_POS_Z as usize * k + row) * columns + column;
                dw[at] = O::cast_from(sums[i * EACH + j]);
            }
        }
    }
}

/// Cubes that keep a GPU busy.
const BUSY: usize = 256;

/// Pixels that are worth a cube of their own.
const PIXELS: usize = 1024;

/// x `[n, h, w, c]`, gradient `[n, h', w', k]` => that to the weight `[k, kh, kw, c]`, to the bias `[k]`. A small weight's
/// gradient is summed in parts, which are then added: two launches.
pub(super) fn weight_gradient(
    x: CubeTensor,
    gradient: CubeTensor,
    kernel: [usize; 2],
    windows: Windows,
) -> [CubeTensor; 2] {
    let ([_, _, _, c], [n, h, w, k]) = (dims(&x), dims(&gradient));
    let shape = [k, kernel[0], kernel[1], c];
    let (columns, pixels, dtype, client) = (kernel[0] * kernel[1] * c, n * h * w, x.dtype, x.client.clone());
    let tiles = [columns.div_ceil(TILE), k.div_ceil(TILE)];
    let parts = (BUSY / (tiles[0] * tiles[1])).min(pixels / PIXELS).max(1);
    let of_parts = if parts == 1 { dtype } else { DType::F32 };
    let dw = empty_of(&x, [parts, k, kernel[0], kernel[1], c], of_parts);
    let db = empty_of(&x, [parts, k], of_parts);
    let types = [element(&x), element(&dw)];
    weight_gradient_kernel::launch(
        &client,
        CubeCount::new_3d(tiles[0] as u32, tiles[1] as u32, parts as u32),
        CubeDim::new_2d(SIDE as u32, SIDE as u32),
        x.into_tensor_arg(),
        gradient.into_tensor_arg(),
        dw.clone().into_buffer_arg(),
        db.clone().into_buffer_arg(),
        pixels.div_ceil(parts),
        windows.shape(kernel),
        types[0],
        types[1],
    );
    if parts == 1 {
        [reshape(dw, shape.into()), reshape(db, [k].into())]
    } else {
        add_parts([dw, db], shape, dtype)
    }
}
