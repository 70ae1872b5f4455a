//! Queries, keys and values from interleaved channels, and their gradients back.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::SelfAttention;
use crate::{
    launch::{cubes, element, empty, empty_of},
    sum::row_sum,
};

/// Units that share a head of a position, and such heads of a cube.
const WIDTH: u32 = 32;
const HEIGHT: u32 = 8;

/// Which row of `[n, heads, hw]` the given row of `[n, hw, heads]` is.
#[cube]
fn turned(row: usize, hw: usize, heads: usize) -> usize {
    let (image, position, head) = (row / (hw * heads), row / heads % hw, row % heads);
    (image * heads + head) * hw + position
}

/// qkv `[rows, d, 3]`, rows `[n, hw, heads]`; parts `[3, rows, d]`, rms `[3, rows]`, rows `[n, heads, hw]`
#[cube(launch)]
fn take_kernel<F: Float>(
    qkv: &[F],
    parts: &mut [F],
    rms: &mut [f32],
    rows: usize,
    hw: usize,
    heads: usize,
    d: usize,
    eps: f32,
    #[comptime] normalize: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS * HEIGHT as usize + UNIT_POS_Y as usize;
    let to = turned(row, hw, heads);
    #[unroll]
    for j in 0..3usize {
        let mut factor = 1.0f32;
        if normalize {
            let mut squares = 0.0f32;
            if row < rows {
                let mut i = UNIT_POS_X as usize;
                while i < d {
                    let value = f32::cast_from(qkv[(row * d + i) * 3 + j]);
                    squares += value * value;
                    i += WIDTH as usize;
                }
            }
            let root = (row_sum(squares, WIDTH, HEIGHT) / f32::cast_from(d)).sqrt();
            factor = 1.0f32 / (root + eps);
            if row < rows && UNIT_POS_X == 0 {
                rms[j * rows + to] = root;
            }
        }
        if row < rows {
            let mut i = UNIT_POS_X as usize;
            while i < d {
                let value = f32::cast_from(qkv[(row * d + i) * 3 + j]) * factor;
                parts[(j * rows + to) * d + i] = F::cast_from(value);
                i += WIDTH as usize;
            }
        }
    }
}

/// The parts `[3, n, heads, hw, d]` of qkv, and their root mean squares `[3, n, heads, hw]` where they are wanted.
pub(super) fn take(e: SelfAttention, qkv: CubeTensor) -> (CubeTensor, CubeTensor) {
    let SelfAttention { n, hw, heads, d, normalize_eps } = e;
    let (rows, dtype, client) = (n * heads * hw, element(&qkv), qkv.client.clone());
    let parts = empty(&qkv, [3, n, heads, hw, d]);
    let rms = empty_of(&qkv, [if normalize_eps.is_some() { 3 * rows } else { 1 }], DType::F32);
    take_kernel::launch(
        &client,
        cubes(rows.div_ceil(HEIGHT as usize)),
        CubeDim::new_2d(WIDTH, HEIGHT),
        qkv.into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        rms.clone().into_buffer_arg(),
        rows,
        hw,
        heads,
        d,
        normalize_eps.unwrap_or(0.0),
        normalize_eps.is_some(),
        dtype,
    );
    (parts, rms)
}

/// The reverse for gradients. parts `[3, rows, d]`, rms `[3, rows]`, `to_parts` `[3, rows, d]`, rows `[n, heads, hw]`;
/// `to_qkv` `[rows, d, 3]`, rows `[n, hw, heads]`
#[cube(launch)]
fn put_kernel<F: Float>(
    parts: &[F],
    rms: &[f32],
    to_parts: &[f32],
    to_qkv: &mut [F],
    rows: usize,
    hw: usize,
    heads: usize,
    d: usize,
    eps: f32,
    #[comptime] normalize: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS * HEIGHT as usize + UNIT_POS_Y as usize;
    let from = turned(row, hw, heads);
    #[unroll]
    for j in 0..3usize {
        let at = (j * rows + from) * d;
        let mut factor = 1.0f32;
        let mut along = 0.0f32;
        if normalize {
            let mut dots = 0.0f32;
            if row < rows {
                let mut i = UNIT_POS_X as usize;
                while i < d {
                    dots += to_parts[at + i] * f32::cast_from(parts[at + i]);
                    i += WIDTH as usize;
                }
            }
            let dot = row_sum(dots, WIDTH, HEIGHT);
            if row < rows {
                let root = rms[j * rows + from];
                factor = 1.0f32 / (root + eps);
                // Where all is zero, so is the direction in which the length would change.
                if root > 0.0f32 {
                    along = dot / (f32::cast_from(d) * root);
                }
            }
        }
        if row < rows {
            let mut i = UNIT_POS_X as usize;
            while i < d {
                let mut value = to_parts[at + i];
                if normalize {
                    value = value * factor - f32::cast_from(parts[at + i]) * along;
                }
                to_qkv[(row * d + i) * 3 + j] = F::cast_from(value);
                i += WIDTH as usize;
            }
        }
    }
}

/// The gradient to qkv, of this shape, from those to its parts.
pub(super) fn put(
    e: SelfAttention,
    parts: CubeTensor,
    rms: CubeTensor,
    to_parts: CubeTensor,
    qkv: [usize; 4],
) -> CubeTensor {
    let SelfAttention { n, hw, heads, d, normalize_eps } = e;
    let (rows, dtype, client) = (n * heads * hw, element(&parts), parts.client.clone());
    let to_qkv = empty(&parts, qkv);
    put_kernel::launch(
        &client,
        cubes(rows.div_ceil(HEIGHT as usize)),
        CubeDim::new_2d(WIDTH, HEIGHT),
        parts.into_buffer_arg(),
        rms.into_buffer_arg(),
        to_parts.into_buffer_arg(),
        to_qkv.clone().into_buffer_arg(),
        rows,
        hw,
        heads,
        d,
        normalize_eps.unwrap_or(0.0),
        normalize_eps.is_some(),
        dtype,
    );
    to_qkv
}
