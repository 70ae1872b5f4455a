//! On any device, of any extents and layouts.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{
    super::{EACH, Shape, TILE},
    Sums,
};
use crate::{
    launch::element,
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

/// The sums of these parts. x `[n, h, w, c]`, gradient `[n, h', w', k]`
pub(super) fn sums(x: CubeTensor, gradient: CubeTensor, shape: Shape, sums: &Sums) {
    let (client, types) = (x.client.clone(), [element(&x), element(&sums.dw)]);
    weight_gradient_kernel::launch(
        &client,
        sums.cubes(),
        CubeDim::new_2d(SIDE as u32, SIDE as u32),
        x.into_tensor_arg(),
        gradient.into_tensor_arg(),
        sums.dw.clone().into_buffer_arg(),
        sums.db.clone().into_buffer_arg(),
        sums.part,
        shape,
        types[0],
        types[1],
    );
}
