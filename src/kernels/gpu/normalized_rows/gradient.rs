//! The gradients to the rows and their gain.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{Extents, Order, Rows};
use crate::{
    column_sums::column_sums,
    launch::{element, empty_like, empty_of},
    silu::splat,
    sum::row_sum,
};

/// `dw = factor * gain * (dy / (eps + rms) - w * (dy . w) / (len * rms * (eps + rms)^2))`; and what every row adds to
/// the gain's gradient. to_gain `[rows]`
#[cube(launch)]
fn normalize_gradient_kernel<F: Float, G: Float, N: Size>(
    w: &[Vector<F, N>],
    gain: ComptimeOption<&[G]>,
    gradient: &[Vector<F, N>],
    dw: &mut [Vector<F, N>],
    to_gain: ComptimeOption<&mut [f32]>,
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
    let mut dots = splat::<N>(0.0f32);
    let mut at = start;
    while at < end {
        let w = Vector::<f32, N>::cast_from(w[at]);
        squares += w * w;
        dots += w * Vector::cast_from(gradient[at]);
        at += width as usize;
    }
    let squares = row_sum(squares.vector_sum(), width, height);
    let dot = row_sum(dots.vector_sum(), width, height);
    let len = f32::cast_from(columns * N::value());
    let rms = (squares / len).sqrt();
    let reciprocal = 1.0f32 / (rms + eps);
    // Where all is zero, so is the direction in which the length would change.
    let mut along = 0.0f32;
    if rms > 0.0f32 {
        along = dot * reciprocal * reciprocal / (len * rms);
    }
    let mut scale = factor;
    #[comptime]
    match gain {
        ComptimeOption::Some(gain) => scale *= f32::cast_from(gain[0]),
        ComptimeOption::None => {}
    }
    let mut at = start;
    while at < end {
        let straight = Vector::<f32, N>::cast_from(gradient[at]) * splat::<N>(scale * reciprocal);
        let aside = Vector::<f32, N>::cast_from(w[at]) * splat::<N>(scale * along);
        dw[at] = Vector::cast_from(straight - aside);
        at += width as usize;
    }
    #[comptime]
    match to_gain {
        ComptimeOption::Some(to_gain) => {
            if UNIT_POS_X == 0 && row < rows {
                to_gain[row] = dot * reciprocal * factor;
            }
        }
        ComptimeOption::None => {}
    }
}

/// The gradients to w, in its layout, and to the gain where there is one.
pub fn normalize_rows_gradient(
    w: CubeTensor,
    rows: Rows,
    gain: Option<CubeTensor>,
    gradient: CubeTensor,
) -> (CubeTensor, Option<CubeTensor>) {
    let order = Order::of(&w);
    let [w, gradient] = [w, gradient].map(|tensor| order.rows(tensor));
    let dw = empty_like(&w);
    let (client, extents) = (w.client.clone(), Extents::of(&w));
    let to_gain = gain.as_ref().map(|_| empty_of(&w, [extents.rows], DType::F32));
    let dtypes = [element(&w), element(gain.as_ref().unwrap_or(&w))];
    normalize_gradient_kernel::launch(
        &client,
        extents.cubes(),
        CubeDim::new_2d(extents.width, extents.height),
        extents.vector,
        w.into_buffer_arg(),
        gain.clone().map(CubeTensor::into_buffer_arg).into(),
        gradient.into_buffer_arg(),
        dw.clone().into_buffer_arg(),
        to_gain.clone().map(CubeTensor::into_buffer_arg).into(),
        extents.rows,
        extents.columns,
        rows.eps,
        rows.factor,
        extents.width,
        extents.height,
        dtypes,
    );
    let dgain =
        to_gain.zip(gain).map(|(parts, gain)| column_sums(parts, [extents.rows, 1], 1, &[1], gain.dtype));
    (order.back(dw), dgain)
}
