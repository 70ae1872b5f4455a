//! The gradients of attention, from weights that are computed again: a query's are `exp(score - log of its sum)`.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{
    SelfAttention,
    product::SIDE,
    tiles::{COLUMNS, EACH_COLUMN, EACH_ROW, Head, Panels, ROWS},
};
use crate::{
    launch::{cubes, element, empty_of},
    sum::zeros,
};

/// One head of its part, and where it is in the output.
#[cube]
fn heads_of(head: usize, part: usize, hw: usize, heads: usize, d: usize) -> (Head, Head, Head, Head) {
    let start = head * hw * d;
    let out = (head / heads * hw * heads + head % heads) * d;
    (
        Head { start, pitch: d, hw, d },
        Head { start: part + start, pitch: d, hw, d },
        Head { start: 2 * part + start, pitch: d, hw, d },
        Head { start: out, pitch: heads * d, hw, d },
    )
}

/// Writes the rows of a tile, which begin at position `first`.
#[cube]
fn write(to: &mut [f32], head: &Head, first: usize, values: &Array<f32>, #[comptime] chunks: usize) {
    #[unroll]
    for i in 0..EACH_ROW {
        let row = first + UNIT_POS_Y as usize + i * SIDE;
        #[unroll]
        for at in 0..comptime!(chunks * EACH_COLUMN) {
            let chunk = comptime!(at / EACH_COLUMN * EACH_ROW * EACH_COLUMN);
            let component = UNIT_POS_X as usize + at * SIDE;
            if row < head.hw && component < head.d {
                let value = values[comptime!(chunk + i * EACH_COLUMN + at % EACH_COLUMN)];
                to[head.start + row * head.pitch + component] = value;
            }
        }
    }
}

/// The gradients to a tile of queries of one head, and for each the product of its output with the gradient to it:
/// by as much do all weights' gradients fall, because their sum stays one. parts `[3, n, heads, hw, d]`, y and
/// gradient `[n, hw, heads, d]`, `log_sums` and falls `[n, heads, hw]`, `to_parts` as parts
#[cube(launch)]
fn to_queries_kernel<F: Float>(
    parts: &[F],
    y: &[F],
    gradient: &[F],
    log_sums: &[f32],
    falls: &mut [f32],
    to_parts: &mut [f32],
    hw: usize,
    heads: usize,
    d: usize,
    scale: f32,
    #[comptime] chunks: usize,
    #[define(F)] _dtype: ElemType,
) {
    let tiles = hw.div_ceil(ROWS);
    let (head, query) = (CUBE_POS / tiles, CUBE_POS % tiles * ROWS);
    let (queries, keys, values, outputs) = heads_of(head, parts.len() / 3, hw, heads, d);

    let mut panels = Panels::new();
    let mut products = zeros(EACH_ROW);
    let mut logs = zeros(EACH_ROW);
    #[unroll]
    for i in 0..EACH_ROW {
        let row = query + UNIT_POS_Y as usize + i * SIDE;
        if row < hw {
            logs[i] = log_sums[head * hw + row];
            let mut component = UNIT_POS_X as usize;
            while component < d {
                let at = outputs.start + row * outputs.pitch + component;
                products[i] += f32::cast_from(y[at]) * f32::cast_from(gradient[at]);
                component += SIDE;
            }
        }
    }
    let fall = panels.row_sums(&products);
    #[unroll]
    for i in 0..EACH_ROW {
        let row = query + UNIT_POS_Y as usize + i * SIDE;
        if row < hw && UNIT_POS_X == 0 {
            falls[head * hw + row] = fall[i];
        }
    }

    let mut out = zeros(comptime!(chunks * EACH_ROW * EACH_COLUMN));
    let mut key = 0;
    while key < hw {
        let mut slopes = panels.dots::<F>(parts, &queries, query, parts, &keys, key);
        let to_weights = panels.dots::<F>(gradient, &outputs, query, parts, &values, key);
        #[unroll]
        for i in 0..EACH_ROW {
            #[unroll]
            for j in 0..EACH_COLUMN {
                let at = comptime!(i * EACH_COLUMN + j);
                let weight = (slopes[at] * scale - logs[i]).exp();
                slopes[at] = weight * (to_weights[at] - fall[i]) * scale;
            }
        }
        panels.keep(&slopes);
        panels.add::<F>(parts, &keys, key, &mut out, chunks);
        key += COLUMNS;
    }
    write(to_parts, &queries, query, &out, chunks);
}

/// The gradients to a tile of keys and values of one head. Shapes as in `to_queries_kernel`.
#[cube(launch)]
fn to_keys_and_values_kernel<F: Float>(
    parts: &[F],
    gradient: &[F],
    log_sums: &[f32],
    falls: &[f32],
    to_parts: &mut [f32],
    hw: usize,
    heads: usize,
    d: usize,
    scale: f32,
    #[comptime] chunks: usize,
    #[define(F)] _dtype: ElemType,
) {
    let tiles = hw.div_ceil(ROWS);
    let (head, key) = (CUBE_POS / tiles, CUBE_POS % tiles * ROWS);
    let (queries, keys, values, outputs) = heads_of(head, parts.len() / 3, hw, heads, d);

    let mut panels = Panels::new();
    let mut to_keys = zeros(comptime!(chunks * EACH_ROW * EACH_COLUMN));
    let mut to_values = zeros(comptime!(chunks * EACH_ROW * EACH_COLUMN));
    let mut query = 0;
    while query < hw {
        let mut weights = panels.dots::<F>(parts, &keys, key, parts, &queries, query);
        let mut slopes = panels.dots::<F>(parts, &values, key, gradient, &outputs, query);
        #[unroll]
        for j in 0..EACH_COLUMN {
            let column = query + UNIT_POS_X as usize + j * SIDE;
            // Beyond the last query the vectors that these meet are zero.
            let mut log = 0.0f32;
            let mut fall = 0.0f32;
            if column < hw {
                log = log_sums[head * hw + column];
                fall = falls[head * hw + column];
            }
            #[unroll]
            for i in 0..EACH_ROW {
                let at = comptime!(i * EACH_COLUMN + j);
                weights[at] = (weights[at] * scale - log).exp();
                slopes[at] = weights[at] * (slopes[at] - fall) * scale;
            }
        }
        panels.keep(&weights);
        panels.add::<F>(gradient, &outputs, query, &mut to_values, chunks);
        panels.keep(&slopes);
        panels.add::<F>(parts, &queries, query, &mut to_keys, chunks);
        query += COLUMNS;
    }
    write(to_parts, &keys, key, &to_keys, chunks);
    write(to_parts, &values, key, &to_values, chunks);
}

/// The gradients to the parts, f32 `[3, n, heads, hw, d]`. `log_sums` `[n, heads, hw]`, y and gradient
/// `[n, hw, heads, d]`
pub(super) fn backward(
    e: SelfAttention,
    parts: CubeTensor,
    log_sums: CubeTensor,
    y: CubeTensor,
    gradient: CubeTensor,
) -> CubeTensor {
    let SelfAttention { n, hw, heads, d, .. } = e;
    let to_parts = empty_of(&parts, [3, n, heads, hw, d], DType::F32);
    let falls = empty_of(&parts, [n, heads, hw], DType::F32);
    let (dtype, client) = (element(&parts), parts.client.clone());
    let (count, dim) = (cubes(n * heads * hw.div_ceil(ROWS)), CubeDim::new_2d(SIDE as u32, SIDE as u32));
    let (scale, chunks) = (e.scale(), d.div_ceil(COLUMNS));
    to_queries_kernel::launch(
        &client,
        count.clone(),
        dim,
        parts.clone().into_buffer_arg(),
        y.into_buffer_arg(),
        gradient.clone().into_buffer_arg(),
        log_sums.clone().into_buffer_arg(),
        falls.clone().into_buffer_arg(),
        to_parts.clone().into_buffer_arg(),
        hw,
        heads,
        d,
        scale,
        chunks,
        dtype,
    );
    to_keys_and_values_kernel::launch(
        &client,
        count,
        dim,
        parts.into_buffer_arg(),
        gradient.into_buffer_arg(),
        log_sums.into_buffer_arg(),
        falls.into_buffer_arg(),
        to_parts.clone().into_buffer_arg(),
        hw,
        heads,
        d,
        scale,
        chunks,
        dtype,
    );
    to_parts
}
