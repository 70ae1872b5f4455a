//! On any device, of any extents and layouts.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{
    super::{
        Shape,
        panels::{Along, DEPTH, Four, LANES, Panel, SIDE, TILE, accumulate, nothing, side, with_lanes},
        whole_vectors,
    },
    Sums,
};
use crate::{
    launch::{dims, element},
    sum::zeros,
};

/// Rows of the product are channels of y, columns the taps and channels of x; the sum goes over pixels of y, a part of
/// them for each cube along z. Channels of both come in vectors. The first cube of a row adds up its part of the bias on the
/// way. x `[n, h, w, c]`, gradient `[n, h', w', k]`, dw `[parts, k, kh, kw, c]`, db `[parts, k]`
#[cube(launch)]
fn weight_gradient_kernel<F: Float, O: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    gradient: &Tensor<Vector<F, N>>,
    dw: &mut [O],
    db: &mut [O],
    part: usize,
    #[comptime] shape: Shape,
    #[comptime] side: usize,
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
    let mut a = Panel::new(Along::Lines, side, SIDE);
    let mut b = Panel::new(Along::Lines, SIDE, side);
    let (row, column) = (first_row + a.line(0usize), first_column + b.line(0usize));

    let width = N::value();
    let mut sums = zeros(comptime!(LANES * LANES));
    let mut of_rows = nothing();
    let mut first = begin;
    while first < end {
        let mut of_gradient = nothing();
        let at = first + a.step(0usize);
        let (image, out_y, out_x) = (at / (out_h * out_w), at / out_w % out_h, at % out_w);
        let from = image * gradient.stride(0) + out_y * gradient.stride(1) + out_x * gradient.stride(2);
        #[unroll]
        for i in 0..comptime!(LANES / width) {
            let lane = comptime!(i * width);
            let row = row + lane;
            if at < end && row < k {
                let at = (from + row * gradient.stride(3)) / width;
                of_gradient = with_lanes::<F, N>(of_gradient, gradient[at], lane);
            }
        }
        of_rows += of_gradient;
        a.put(0usize, of_gradient);
        #[unroll]
        for round in 0..b.rounds {
            let mut of_x = nothing();
            let at = first + b.step(round);
            let (image, out_y, out_x) = (at / (out_h * out_w), at / out_w % out_h, at % out_w);
            #[unroll]
            for i in 0..comptime!(LANES / width) {
                let lane = comptime!(i * width);
                let column = column + lane;
                let (tap, channel) = (column / c, column % c);
                let (down, right) =
                    (out_y * shape.stride + tap / kernel_w, out_x * shape.stride + tap % kernel_w);
                let inside = down >= top && down < h + top && right >= left && right < w + left;
                if inside && at < end && column < columns {
                    let pixel =
                        image * x.stride(0) + (down - top) * x.stride(1) + (right - left) * x.stride(2);
                    of_x = with_lanes::<F, N>(of_x, x[(pixel + channel * x.stride(3)) / width], lane);
                }
            }
            b.put(round, of_x);
        }
        sync_cube();
        accumulate(&a, &b, &mut sums);
        sync_cube();
        first += DEPTH;
    }

    let mut of_units = Shared::<[Four]>::new_slice(comptime!(DEPTH * side));
    of_units[UNIT_POS as usize] = of_rows;
    sync_cube();
    if CUBE_POS_X == 0 && (UNIT_POS as usize) < side {
        let mut sum = of_rows;
        #[unroll]
        for i in 1..DEPTH {
            sum += of_units[i * side + UNIT_POS as usize];
        }
        #[unroll]
        for i in 0..LANES {
            if row + i < k {
                db[CUBE_POS_Z as usize * k + row + i] = O::cast_from(sum.extract(i));
            }
        }
    }

    #[unroll]
    for i in 0..LANES {
        let row = first_row + a.summed(UNIT_POS_Y, i);
        #[unroll]
        for j in 0..LANES {
            let column = first_column + b.summed(UNIT_POS_X, j);
            if row < k && column < columns {
                let at = (CUBE_POS_Z as usize * k + row) * columns + column;
                dw[at] = O::cast_from(sums[i * LANES + j]);
            }
        }
    }
}

/// The sums of these parts. x `[n, h, w, c]`, gradient `[n, h', w', k]`
pub(super) fn sums(x: CubeTensor, gradient: CubeTensor, shape: Shape, sums: &Sums) {
    let (client, types) = (x.client.clone(), [element(&x), element(&sums.dw)]);
    let side = side(dims::<4>(&gradient)[3]);
    weight_gradient_kernel::launch(
        &client,
        sums.cubes(),
        CubeDim::new_2d(SIDE as u32, side as u32),
        whole_vectors([&x, &gradient]),
        x.into_tensor_arg(),
        gradient.into_tensor_arg(),
        sums.dw.clone().into_buffer_arg(),
        sums.db.clone().into_buffer_arg(),
        sums.part,
        shape,
        side,
        types[0],
        types[1],
    );
}
