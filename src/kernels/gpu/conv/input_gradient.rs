//! The gradient of a convolution to its input.

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

/// Rows of the product are pixels of x, columns its channels; the sum goes over taps and channels of y. Channels of both
/// come in vectors. gradient `[n, h', w', k]`, weight `[k, kh, kw, c]`, dx `[n, h, w, c]`
#[cube(launch)]
fn input_gradient_kernel<F: Float, N: Size>(
    gradient: &Tensor<Vector<F, N>>,
    weight: &Tensor<Vector<F, N>>,
    dx: &mut Tensor<F>,
    #[comptime] shape: Shape,
    #[comptime] side: usize,
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
    let mut a = Panel::new(Along::Steps, SIDE, side);
    let mut b = Panel::new(Along::Lines, side, SIDE);
    // Of the pixels whose gradients this unit looks up: the image, where in it, and if there is one.
    let mut pixels = Sequence::<(usize, usize, usize, bool)>::new();
    #[unroll]
    for round in 0..a.rounds {
        let row = first_row + a.line(round);
        let image = row / (h * w) * gradient.stride(0);
        pixels.push((image, row / w % h + top, row % w + left, row < rows));
    }

    let width = N::value();
    let mut sums = zeros(comptime!(LANES * LANES));
    let mut first = 0;
    while first < depth {
        #[unroll]
        for round in 0..a.rounds {
            let (image, y, x, there) = pixels[round];
            let mut of_gradient = nothing();
            #[unroll]
            for i in 0..comptime!(LANES / width) {
                let lane = comptime!(i * width);
                let at = first + a.step(round) + lane;
                let (tap, channel) = (at / k, at % k);
                let (tap_y, tap_x) = (tap / kernel_w, tap % kernel_w);
                if there && at < depth && y >= tap_y && x >= tap_x {
                    let (down, right) = ((y - tap_y) / stride, (x - tap_x) / stride);
                    let hit = down * stride + tap_y == y && right * stride + tap_x == x;
                    if hit && down < out_h && right < out_w {
                        let pixel = image + down * gradient.stride(1) + right * gradient.stride(2);
                        let at = (pixel + channel * gradient.stride(3)) / width;
                        of_gradient = with_lanes::<F, N>(of_gradient, gradient[at], lane);
                    }
                }
            }
            a.put(round, of_gradient);
        }
        let mut of_weight = nothing();
        let step = first + b.step(0usize);
        let (tap, from_channel) = (step / k, step % k * weight.stride(0));
        let from = from_channel + tap / kernel_w * weight.stride(1) + tap % kernel_w * weight.stride(2);
        #[unroll]
        for i in 0..comptime!(LANES / width) {
            let lane = comptime!(i * width);
            let column = first_column + b.line(0usize) + lane;
            if column < c && step < depth {
                let at = (from + column * weight.stride(3)) / width;
                of_weight = with_lanes::<F, N>(of_weight, weight[at], lane);
            }
        }
        b.put(0usize, of_weight);
        sync_cube();
        accumulate(&a, &b, &mut sums);
        sync_cube();
        first += DEPTH;
    }

    #[unroll]
    for i in 0..LANES {
        let row = first_row + a.summed(UNIT_POS_Y, i);
        #[unroll]
        for j in 0..LANES {
            let column = first_column + b.summed(UNIT_POS_X, j);
            if row < rows && column < c {
                dx[row * c + column] = F::cast_from(sums[i * LANES + j]);
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
    let side = side(c);
    input_gradient_kernel::launch(
        &client,
        cubes((n * h * w).div_ceil(TILE) * c.div_ceil(TILE)),
        CubeDim::new_2d(side as u32, SIDE as u32),
        whole_vectors([&gradient, &weight]),
        gradient.into_tensor_arg(),
        weight.into_tensor_arg(),
        dx.clone().into_tensor_arg(),
        windows.shape([kernel_h, kernel_w]),
        side,
        dtype,
    );
    dx
}
