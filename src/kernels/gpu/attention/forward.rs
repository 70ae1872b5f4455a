//! The output of attention, with the softmax's sum and maximum renewed from tile to tile.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{
    SelfAttention,
    tiles::{COLUMNS, EACH_COLUMN, EACH_ROW, Head, Panels, ROWS},
};
use crate::{
    launch::{cubes, element, empty, empty_of},
    product::{SIDE, zeros},
};

/// Below every score.
const LOWEST: f32 = -3e38;

/// A tile of queries of one head. parts `[3, n, heads, hw, d]`, y `[n, hw, heads, d]`, `log_sums` `[n, heads, hw]`
#[cube(launch)]
fn forward_kernel<F: Float>(
    parts: &[F],
    y: &mut [F],
    log_sums: &mut [f32],
    hw: usize,
    heads: usize,
    d: usize,
    scale: f32,
    #[comptime] chunks: usize,
    #[define(F)] _dtype: ElemType,
) {
    let tiles = hw.div_ceil(ROWS);
    let (head, query) = (CUBE_POS / tiles, CUBE_POS % tiles * ROWS);
    let part = parts.len() / 3;
    let queries = Head { start: head * hw * d, pitch: d, hw, d };
    let keys = Head { start: part + head * hw * d, pitch: d, hw, d };
    let values = Head { start: 2 * part + head * hw * d, pitch: d, hw, d };

    let mut panels = Panels::new();
    let mut maxima = zeros(EACH_ROW);
    let mut sums = zeros(EACH_ROW);
    #[unroll]
    for i in 0..EACH_ROW {
        maxima[i] = LOWEST;
    }
    let mut out = zeros(comptime!(chunks * EACH_ROW * EACH_COLUMN));
    let mut key = 0;
    while key < hw {
        let mut weights = panels.dots::<F>(parts, &queries, query, parts, &keys, key);
        let mut largest = zeros(EACH_ROW);
        #[unroll]
        for i in 0..EACH_ROW {
            largest[i] = maxima[i];
            #[unroll]
            for j in 0..EACH_COLUMN {
                let at = comptime!(i * EACH_COLUMN + j);
                let inside = key + UNIT_POS_X as usize + j * SIDE < hw;
                weights[at] = select(inside, weights[at] * scale, LOWEST);
                largest[i] = max(largest[i], weights[at]);
            }
        }
        panels.share(&largest);
        #[unroll]
        for i in 0..EACH_ROW {
            for x in 0..SIDE {
                largest[i] = max(largest[i], panels.shared(x, i));
            }
            // What was summed so far was less another maximum.
            let factor = (maxima[i] - largest[i]).exp();
            maxima[i] = largest[i];
            sums[i] *= factor;
            #[unroll]
            for at in 0..comptime!(chunks * EACH_COLUMN) {
                let chunk = comptime!(at / EACH_COLUMN * EACH_ROW * EACH_COLUMN);
                out[comptime!(chunk + i * EACH_COLUMN + at % EACH_COLUMN)] *= factor;
            }
            #[unroll]
            for j in 0..EACH_COLUMN {
                let at = comptime!(i * EACH_COLUMN + j);
                weights[at] = (weights[at] - largest[i]).exp();
                sums[i] += weights[at];
            }
        }
        panels.keep(&weights);
        panels.add::<F>(parts, &values, key, &mut out, chunks);
        key += COLUMNS;
    }

    let totals = panels.row_sums(&sums);
    let (image, of_image) = (head / heads, head % heads);
    #[unroll]
    for i in 0..EACH_ROW {
        let row = query + UNIT_POS_Y as usize + i * SIDE;
        if row < hw {
            if UNIT_POS_X == 0 {
                log_sums[head * hw + row] = maxima[i] + totals[i].ln();
            }
            #[unroll]
            for at in 0..comptime!(chunks * EACH_COLUMN) {
                let chunk = comptime!(at / EACH_COLUMN * EACH_ROW * EACH_COLUMN);
                let component = UNIT_POS_X as usize + at * SIDE;
                if component < d {
                    let value = out[comptime!(chunk + i * EACH_COLUMN + at % EACH_COLUMN)] / totals[i];
                    y[((image * hw + row) * heads + of_image) * d + component] = F::cast_from(value);
                }
            }
        }
    }
}

/// parts `[3, n, heads, hw, d]` => `out`: `[n, hw, heads, d]`, and the logarithms of the sums `[n, heads, hw]`
pub(super) fn forward(e: SelfAttention, parts: CubeTensor, out: [usize; 4]) -> (CubeTensor, CubeTensor) {
    let SelfAttention { n, hw, heads, d, .. } = e;
    let (y, log_sums) = (empty(&parts, out), empty_of(&parts, [n, heads, hw], DType::F32));
    let (dtype, client) = (element(&parts), parts.client.clone());
    forward_kernel::launch(
        &client,
        cubes(n * heads * hw.div_ceil(ROWS)),
        CubeDim::new_2d(SIDE as u32, SIDE as u32),
        parts.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        log_sums.clone().into_buffer_arg(),
        hw,
        heads,
        d,
        e.scale(),
        d.div_ceil(COLUMNS),
        dtype,
    );
    (y, log_sums)
}
