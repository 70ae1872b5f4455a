//! From the sums over parts of the pixels, those over all.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{UNITS, cubes_for, dims, element, empty_of, vector},
    silu::splat,
};

/// Adds the parts of both gradients, in their order. Vectors: dw of parts `[parts, weights]`, db `[parts, biases]`
#[cube(launch)]
fn add_parts_kernel<F: Float, N: Size>(
    dw_parts: &[Vector<f32, N>],
    db_parts: &[Vector<f32, N>],
    dw: &mut [Vector<F, N>],
    db: &mut [Vector<F, N>],
    parts: usize,
    #[define(F)] _dtype: ElemType,
) {
    let at = CUBE_POS * comptime!(UNITS as usize) + UNIT_POS as usize;
    let (weights, biases) = (dw.len(), db.len());
    let mut sum = splat::<N>(0.0f32);
    if at < weights {
        for part in 0..parts {
            sum += dw_parts[part * weights + at];
        }
        dw[at] = Vector::cast_from(sum);
    } else if at < weights + biases {
        for part in 0..parts {
            sum += db_parts[part * biases + at - weights];
        }
        db[at - weights] = Vector::cast_from(sum);
    }
}

/// The gradients to weight and bias, of this type. dw `[parts, k, kh, kw, c]`, db `[parts, k]`; shape `[k, kh, kw, c]`
pub(super) fn add_parts(
    [dw_parts, db_parts]: [CubeTensor; 2],
    shape: [usize; 4],
    dtype: DType,
) -> [CubeTensor; 2] {
    let ([parts, k], client) = (dims(&db_parts), dw_parts.client.clone());
    let (dw, db) = (empty_of(&dw_parts, shape, dtype), empty_of(&dw_parts, [k], dtype));
    let (n, element) = (vector(&[&dw_parts, &dw], k), element(&dw));
    let (count, dim) = cubes_for((shape.iter().product::<usize>() + k) / n);
    add_parts_kernel::launch(
        &client,
        count,
        dim,
        n,
        dw_parts.into_buffer_arg(),
        db_parts.into_buffer_arg(),
        dw.clone().into_buffer_arg(),
        db.clone().into_buffer_arg(),
        parts,
        element,
    );
    [dw, db]
}
