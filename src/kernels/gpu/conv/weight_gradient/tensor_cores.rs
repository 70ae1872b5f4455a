//! On tensor cores: f32 is rounded to TF32, sums are f32.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{
    cmma::{self, Matrix, MatrixIdent, MatrixLayout},
    ir::ElemType,
    prelude::*,
};

use super::{
    super::{
        Shape,
        panels::{LANES, TILE},
    },
    Sums,
    fragments::{Fragments, PITCH, PLANE, SIDE, fragment},
};
use crate::{
    launch::{dims, element},
    silu::splat,
};

/// Vectors of a tile's row.
const VECTORS: usize = TILE / LANES;
/// Planes of a cube; each sums a quarter of the tile, in four fragments.
const PLANES: usize = 4;
/// How much of the sum is in shared memory at a time.
const DEPTH: usize = 32;
/// Steps of the sum that the units look up at once.
const STEPS: usize = PLANE * PLANES / VECTORS;

/// As `everywhere`. The extents are those of x `[n, h, w, c]` and the gradient `[n, out_h, out_w, k]`, with `c` and `k`
/// in vectors, and of the kernel.
#[cube(launch)]
fn on_tensor_cores_kernel<F: Float, S: Float, O: Float, N: Size>(
    x: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    dw: &mut [Vector<O, N>],
    db: &mut [Vector<O, N>],
    h: usize,
    w: usize,
    c: usize,
    out_h: usize,
    out_w: usize,
    k: usize,
    part: usize,
    #[comptime] shape: Shape,
    #[comptime] depth: usize,
    #[define(F)] _dtype: ElemType,
    #[define(S)] _operand: ElemType,
    #[define(O)] _out: ElemType,
) {
    let [kernel_h, kernel_w] = comptime!(shape.kernel);
    let [top, left] = comptime!(shape.padding);
    let columns = kernel_h * kernel_w * c;
    let begin = CUBE_POS_Z as usize * part;
    let end = (begin + part).min(gradient.len() / k);

    // Each unit looks up every so many steps of the sum for four rows and four columns.
    let unit = UNIT_POS as usize;
    let (lane, step) = (unit % VECTORS, unit / VECTORS);
    let row = CUBE_POS_Y as usize * VECTORS + lane;
    let column = CUBE_POS_X as usize * VECTORS + lane;
    let (tap, channel) = (column / c, column % c);
    let (tap_y, tap_x) = (tap / kernel_w, tap % kernel_w);

    let mut a = Shared::<[S]>::new_slice(comptime!(DEPTH * PITCH));
    let mut b = Shared::<[S]>::new_slice(comptime!(DEPTH * PITCH));
    let mut sums = Sequence::<Matrix<f32>>::new();
    #[unroll]
    for _ in 0..PLANES {
        sums.push(Matrix::from_value(
            MatrixIdent::Accumulator,
            SIDE,
            SIDE,
            depth,
            MatrixLayout::Undefined,
            0.0f32,
        ));
    }
    // The quarter of this plane.
    let plane = unit / PLANE;
    let (rows_from, columns_from) = (plane / 2 * 2 * SIDE, plane % 2 * 2 * SIDE);

    let mut of_row = splat::<N>(0.0f32);
    let mut first = begin;
    while first < end {
        #[unroll]
        for i in 0..comptime!(DEPTH / STEPS) {
            let step = step + i * STEPS;
            let at = first + step;
            let mut value = splat::<N>(0.0f32);
            if at < end && row < k {
                value = Vector::cast_from(gradient[at * k + row]);
            }
            of_row += value;
            #[unroll]
            for j in 0..LANES {
                a[step * PITCH + lane * LANES + j] = S::cast_from(value.extract(j));
            }

            let (image, out_y, out_x) = (at / (out_h * out_w), at / out_w % out_h, at % out_w);
            let (down, right) = (out_y * shape.stride + tap_y, out_x * shape.stride + tap_x);
            let inside = down >= top && down < h + top && right >= left && right < w + left;
            let mut value = splat::<N>(0.0f32);
            if inside && at < end && column < columns {
                value = Vector::cast_from(x[((image * h + down - top) * w + right - left) * c + channel]);
            }
            #[unroll]
            for j in 0..LANES {
                b[step * PITCH + lane * LANES + j] = S::cast_from(value.extract(j));
            }
        }
        sync_cube();
        #[unroll]
        for i in 0..comptime!(DEPTH / depth) {
            let from = i * depth * PITCH;
            let upper = fragment::<S>(&a, from + rows_from, MatrixIdent::A, depth);
            let lower = fragment::<S>(&a, from + rows_from + SIDE, MatrixIdent::A, depth);
            let left = fragment::<S>(&b, from + columns_from, MatrixIdent::B, depth);
            let right = fragment::<S>(&b, from + columns_from + SIDE, MatrixIdent::B, depth);
            cmma::execute(&upper, &left, &sums[0], &sums[0]);
            cmma::execute(&upper, &right, &sums[1], &sums[1]);
            cmma::execute(&lower, &left, &sums[2], &sums[2]);
            cmma::execute(&lower, &right, &sums[3], &sums[3]);
        }
        sync_cube();
        first += DEPTH;
    }

    let mut tile = Shared::<[f32]>::new_slice(comptime!(TILE * TILE));
    #[unroll]
    for i in 0..PLANES {
        let at = (rows_from + comptime!(i / 2 * SIDE)) * TILE + columns_from + comptime!(i % 2 * SIDE);
        cmma::store(&mut tile[at..], &sums[i], TILE as u32, MatrixLayout::RowMajor);
    }
    let mut of_rows = Shared::<[Vector<f32, N>]>::new_slice(comptime!(PLANE * PLANES));
    of_rows[unit] = of_row;
    sync_cube();

    if CUBE_POS_X == 0 && step == 0 && row < k {
        let mut sum = of_row;
        #[unroll]
        for i in 1..STEPS {
            sum += of_rows[i * VECTORS + lane];
        }
        db[CUBE_POS_Z as usize * k + row] = Vector::cast_from(sum);
    }
    if column < columns {
        #[unroll]
        for i in 0..comptime!(TILE / STEPS) {
            let down = step + i * STEPS;
            let row = CUBE_POS_Y as usize * TILE + down;
            if row < k * LANES {
                let mut value = splat::<N>(0.0f32);
                #[unroll]
                for j in 0..LANES {
                    value.insert(j, tile[down * TILE + lane * LANES + j]);
                }
                dw[(CUBE_POS_Z as usize * k * LANES + row) * columns + column] = Vector::cast_from(value);
            }
        }
    }
}

/// The sums of these parts. x `[n, h, w, c]`, gradient `[n, h', w', k]`
pub(super) fn sums(x: CubeTensor, gradient: CubeTensor, shape: Shape, sums: &Sums, fragments: Fragments) {
    let ([_, h, w, c], [_, out_h, out_w, k]) = (dims(&x), dims(&gradient));
    let (client, dtypes) = (x.client.clone(), [element(&x), element(&sums.dw)]);
    on_tensor_cores_kernel::launch(
        &client,
        sums.cubes(),
        CubeDim::new_2d(PLANE as u32, PLANES as u32),
        LANES,
        x.into_buffer_arg(),
        gradient.into_buffer_arg(),
        sums.dw.clone().into_buffer_arg(),
        sums.db.clone().into_buffer_arg(),
        h,
        w,
        c / LANES,
        out_h,
        out_w,
        k / LANES,
        sums.part,
        shape,
        fragments.depth,
        dtypes[0],
        fragments.operand,
        dtypes[1],
    );
}
