//! Concatenation along channels, and the way back.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{cubes_for, dims, element, empty, vector},
    silu::splat,
};

/// A unit, a vector of the output; a, b and out `[rows, columns]` of the vectors that `columns_a`, `columns_b` count.
#[cube(launch)]
fn concat_kernel<F: Float, N: Size>(
    a: &[Vector<F, N>],
    b: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    columns_a: usize,
    columns_b: usize,
    weight_a: f32,
    weight_b: f32,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let wide = columns_a + columns_b;
        let row = ABSOLUTE_POS / wide;
        let column = ABSOLUTE_POS - row * wide;
        if column < columns_a {
            let value = Vector::<f32, N>::cast_from(a[row * columns_a + column]);
            out[ABSOLUTE_POS] = Vector::cast_from(value * splat::<N>(weight_a));
        } else {
            let value = Vector::<f32, N>::cast_from(b[row * columns_b + column - columns_a]);
            out[ABSOLUTE_POS] = Vector::cast_from(value * splat::<N>(weight_b));
        }
    }
}

/// Both along channels, each times its weight. `[n, h, w, ca]`, `[n, h, w, cb]` => `[n, h, w, ca + cb]`
pub fn concat(a: CubeTensor, b: CubeTensor, weights: [f32; 2]) -> CubeTensor {
    let [a, b] = [a, b].map(into_contiguous);
    let ([n, h, w, ca], [_, _, _, cb]) = (dims(&a), dims(&b));
    let out = empty(&a, [n, h, w, ca + cb]);
    let (client, dtype, width) = (a.client.clone(), element(&a), vector(&[&a], ca).min(vector(&[&a], cb)));
    let vectors = n * h * w * (ca + cb) / width;
    let (count, dim) = cubes_for(vectors);
    concat_kernel::launch(
        &client,
        count,
        dim,
        width,
        a.into_buffer_arg(),
        b.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        ca / width,
        cb / width,
        weights[0],
        weights[1],
        vectors,
        dtype,
    );
    out
}

/// A unit, a vector of the gradient.
#[cube(launch)]
fn split_kernel<F: Float, N: Size>(
    gradient: &[Vector<F, N>],
    a: ComptimeOption<&mut [Vector<F, N>]>,
    b: ComptimeOption<&mut [Vector<F, N>]>,
    columns_a: usize,
    columns_b: usize,
    weight_a: f32,
    weight_b: f32,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let wide = columns_a + columns_b;
        let row = ABSOLUTE_POS / wide;
        let column = ABSOLUTE_POS - row * wide;
        let value = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
        #[comptime]
        match a {
            ComptimeOption::Some(a) => {
                if column < columns_a {
                    a[row * columns_a + column] = Vector::cast_from(value * splat::<N>(weight_a));
                }
            }
            ComptimeOption::None => {}
        }
        #[comptime]
        match b {
            ComptimeOption::Some(b) => {
                if column >= columns_a {
                    b[row * columns_b + column - columns_a] = Vector::cast_from(value * splat::<N>(weight_b));
                }
            }
            ComptimeOption::None => {}
        }
    }
}

/// The gradients to parts of these many channels, those that are wanted.
pub fn split(
    gradient: CubeTensor,
    [ca, cb]: [usize; 2],
    weights: [f32; 2],
    wanted: [bool; 2],
) -> [Option<CubeTensor>; 2] {
    let gradient = into_contiguous(gradient);
    let [n, h, w, _] = dims(&gradient);
    let part = |wanted: bool, c: usize| wanted.then(|| empty(&gradient, [n, h, w, c]));
    let parts = [part(wanted[0], ca), part(wanted[1], cb)];
    let [a, b] = parts.clone();
    let (client, dtype) = (gradient.client.clone(), element(&gradient));
    let width = vector(&[&gradient], ca).min(vector(&[&gradient], cb));
    let vectors = n * h * w * (ca + cb) / width;
    let (count, dim) = cubes_for(vectors);
    split_kernel::launch(
        &client,
        count,
        dim,
        width,
        gradient.into_buffer_arg(),
        a.map(CubeTensor::into_buffer_arg).into(),
        b.map(CubeTensor::into_buffer_arg).into(),
        ca / width,
        cb / width,
        weights[0],
        weights[1],
        vectors,
        dtype,
    );
    parts
}
