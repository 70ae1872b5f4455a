//! Sums over rows.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{element, empty_of, vector},
    sum::column_sum,
};

/// Units of a cube along columns and along rows. Eight vectors of 16 bytes are as much as memory gives at once.
pub(crate) const WIDTH: u32 = 8;
pub(crate) const HEIGHT: u32 = 32;

/// Every cube adds `slice` rows of some columns; x `[rows, columns]`, sums `[slices, columns]`, both in vectors.
#[cube(launch)]
fn column_sums_kernel<F: Float, O: Float, N: Size>(
    x: &[Vector<F, N>],
    sums: &mut [Vector<O, N>],
    rows: usize,
    columns: usize,
    slice: usize,
    #[define(F, O)] _dtypes: [ElemType; 2],
) {
    let column = (CUBE_POS_X * WIDTH + UNIT_POS_X) as usize;
    let part = CUBE_POS_Y as usize;
    let end = min((part + 1) * slice, rows);
    let mut sum = Vector::<f32, N>::cast_from(0.0f32);
    if column < columns {
        let mut row = part * slice + UNIT_POS_Y as usize;
        while row < end {
            sum += Vector::<f32, N>::cast_from(x[row * columns + column]);
            row += HEIGHT as usize;
        }
    }
    let sum = column_sum::<N>(sum, WIDTH, HEIGHT);
    if column < columns && UNIT_POS_Y == 0 {
        sums[part * columns + column] = Vector::cast_from(sum);
    }
}

/// The sums of so many slices of the rows of x, in a tensor of this shape.
pub(crate) fn column_sums<const D: usize>(
    x: CubeTensor,
    [rows, k]: [usize; 2],
    slices: usize,
    shape: &[usize; D],
    dtype: DType,
) -> CubeTensor {
    let sums = empty_of(&x, *shape, dtype);
    let (client, dtypes, n) = (x.client.clone(), [element(&x), element(&sums)], vector(&[&x, &sums], k));
    let columns = k / n;
    column_sums_kernel::launch(
        &client,
        CubeCount::new_2d(columns.div_ceil(WIDTH as usize) as u32, slices as u32),
        CubeDim::new_2d(WIDTH, HEIGHT),
        n,
        x.into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        rows,
        columns,
        rows.div_ceil(slices),
        dtypes,
    );
    sums
}
