//! Sums over rows: the gradients to biases.

use burn_backend::DType;
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{element, empty_of, vector},
    sum::column_sum,
};

/// Units of a cube along columns and along rows. Eight vectors of 16 bytes are as much as memory gives at once.
const WIDTH: u32 = 8;
const HEIGHT: u32 = 32;

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

/// The sum over all axes but the last, in f32 and in an order that depends on the extents alone. `[..., k]` => `[k]`,
/// of x's type
pub fn column_sums(x: CubeTensor) -> CubeTensor {
    let dtype = x.dtype;
    let x = into_contiguous(x);
    let k = *x.meta.shape().last().expect("a tensor has an axis");
    let rows = x.meta.num_elements() / k;
    // As few rows as one cube adds fast; or slices enough for a whole GPU, whose sums are added in turn.
    if rows <= 1024 {
        return add(x, [rows, k], 1, dtype);
    }
    let slices = rows.div_ceil(256).min(256);
    add(add(x, [rows, k], slices, DType::F32), [slices, k], 1, dtype)
}

/// The sums of so many slices of the rows, one after the other.
fn add(x: CubeTensor, [rows, k]: [usize; 2], slices: usize, dtype: DType) -> CubeTensor {
    let sums = empty_of(&x, [slices * k], dtype);
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
