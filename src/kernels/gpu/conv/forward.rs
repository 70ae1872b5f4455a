//! What a convolution makes of its input.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{
    Shape, Windows,
    panels::{Along, DEPTH, LANES, Panel, SIDE, TILE, accumulate, nothing, side, with_lanes},
    whole_vectors,
};
use crate::{
    launch::{cubes, dims, element, empty},
    sum::zeros,
};

/// Rows of the product are pixels of y, columns its channels; the sum goes over taps and channels of x, which come in
/// vectors. x `[n, h, w, c]`, weight `[k, kh, kw, c]`, y `[n, h', w', k]`
#[cube(launch)]
fn forward_kernel<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    weight: &Tensor<Vector<F, N>>,
    bias: ComptimeOption<&[F]>,
    y: &mut Tensor<F>,
    #[comptime] shape: Shape,
    #[comptime] side: usize,
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
    let mut a = Panel::new(Along::Steps, SIDE, side);
    let mut b = Panel::new(Along::Steps, side, SIDE);
    let column = first_column + b.line(0usize);
    // Of the pixels that this unit looks up: the image, if there is one, and where its window begins.
    let mut pixels = Sequence::<(usize, usize, usize, bool)>::new();
    #[unroll]
    for round in 0..a.rounds {
        let row = first_row + a.line(round);
        let image = row / (out_h * out_w) * x.stride(0);
        pixels.push((image, row / out_w % out_h * shape.stride, row % out_w * shape.stride, row < rows));
    }

    let width = N::value();
    let mut sums = zeros(comptime!(LANES * LANES));
    let mut first = 0;
    while first < depth {
        #[unroll]
        for round in 0..a.rounds {
            let (image, top_y, left_x, there) = pixels[round];
            let mut of_x = nothing();
            #[unroll]
            for i in 0..comptime!(LANES / width) {
                let lane = comptime!(i * width);
                let at = first + a.step(round) + lane;
                let (tap, channel) = (at / c, at % c);
                let (down, right) = (top_y + tap / kernel_w, left_x + tap % kernel_w);
                let inside = down >= top && down < h + top && right >= left && right < w + left;
                if inside && there && at < depth {
                    let pixel = image + (down - top) * x.stride(1) + (right - left) * x.stride(2);
                    of_x = with_lanes::<F, N>(of_x, x[(pixel + channel * x.stride(3)) / width], lane);
                }
            }
            a.put(round, of_x);
        }
        let mut of_weight = nothing();
        #[unroll]
        for i in 0..comptime!(LANES / width) {
            let lane = comptime!(i * width);
            let at = first + b.step(0usize) + lane;
            let (tap, channel) = (at / c, at % c);
            if column < k && at < depth {
                let of_tap = tap / kernel_w * weight.stride(1) + tap % kernel_w * weight.stride(2);
                let from = column * weight.stride(0) + of_tap + channel * weight.stride(3);
                of_weight = with_lanes::<F, N>(of_weight, weight[from / width], lane);
            }
        }
        b.put(0usize, of_weight);
        sync_cube();
        accumulate(&a, &b, &mut sums);
        sync_cube();
        first += DEPTH;
    }

    #[unroll]
    for j in 0..LANES {
        let column = first_column + b.summed(UNIT_POS_X, j);
        if column < k {
            let shift: ComptimeOption<F> = bias.map(|bias| bias[column]);
            let shift = f32::cast_from(shift.unwrap_or_else(|| F::new(0.0)));
            #[unroll]
            for i in 0..LANES {
                let row = first_row + a.summed(UNIT_POS_Y, i);
                if row < rows {
                    y[row * k + column] = F::cast_from(sums[i * LANES + j] + shift);
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
    let side = side(k);
    forward_kernel::launch(
        &client,
        cubes((n * h * w).div_ceil(TILE) * k.div_ceil(TILE)),
        CubeDim::new_2d(side as u32, SIDE as u32),
        whole_vectors([&x, &weight]),
        x.into_tensor_arg(),
        weight.into_tensor_arg(),
        bias.map(CubeTensor::into_buffer_arg).into(),
        y.clone().into_tensor_arg(),
        shape,
        side,
        dtype,
    );
    y
}
