//! The normalised rows.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{Extents, Order, Rows};
use crate::{
    launch::{element, empty_like},
    silu::splat,
    sum::row_sum,
};

/// w and y `[rows, columns]` of vectors; `width` units share a row.
#[cube(launch)]
fn normalize_kernel<F: Float, G: Float, N: Size>(
    w: &[Vector<F, N>],
    gain: ComptimeOption<&[G]>,
    y: &mut [Vector<F, N>],
    rows: usize,
    columns: usize,
    eps: f32,
    factor: f32,
    #[comptime] width: u32,
    #[comptime] height: u32,
    #[define(F, G)] _dtypes: [ElemType; 2],
) {
    let row = CUBE_POS * height as usize + UNIT_POS_Y as usize;
    let end = select(row < rows, (row + 1) * columns, 0);
    let start = row * columns + UNIT_POS_X as usize;
    let mut squares = splat::<N>(0.0f32);
    let mut at = start;
    while at < end {
        let w = Vector::<f32, N>::cast_from(w[at]);
        squares += w * w;
        at += width as usize;
    }
    let squares = row_sum(squares.vector_sum(), width, height);
    let mut scale = factor / ((squares / f32::cast_from(columns * N::value())).sqrt() + eps);
    #[comptime]
    match gain {
        ComptimeOption::Some(gain) => scale *= f32::cast_from(gain[0]),
        ComptimeOption::None => {}
    }
    let mut at = start;
    while at < end {
        y[at] = Vector::cast_from(Vector::<f32, N>::cast_from(w[at]) * splat::<N>(scale));
        at += width as usize;
    }
}

/// `w * factor * gain / (eps + root mean square of the row)`. w `[k, ...]`, gain `[1]` => as w, in its layout
pub fn normalize_rows(w: CubeTensor, rows: Rows, gain: Option<CubeTensor>) -> CubeTensor {
    let order = Order::of(&w);
    let w = order.rows(w);
    let y = empty_like(&w);
    let (client, extents) = (w.client.clone(), Extents::of(&w));
    let dtypes = [element(&w), element(gain.as_ref().unwrap_or(&w))];
    normalize_kernel::launch(
        &client,
        extents.cubes(),
        CubeDim::new_2d(extents.width, extents.height),
        extents.vector,
        w.into_buffer_arg(),
        gain.map(CubeTensor::into_buffer_arg).into(),
        y.clone().into_buffer_arg(),
        extents.rows,
        extents.columns,
        rows.eps,
        rows.factor,
        extents.width,
        extents.height,
        dtypes,
    );
    order.back(y)
}
