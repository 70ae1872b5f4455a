//! The output of attention, with the softmax's sum and maximum renewed from tile to tile.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use super::{
    SelfAttention,
    product::SIDE,
    tiles::{COLUMNS, EACH_COLUMN, EACH_ROW, Head, Panels, ROWS},
};
use crate::{
    launch::{element, empty, empty_of},
    sum::zeros,
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
    let (image, of_image, query) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize, CUBE_POS_X as usize * ROWS);
    let head = image * heads + of_image;
    let part = parts.len() / 3;
    let queries = Head { start: head * hw * d, pitch: d, hw, d };
    let keys = Head { start: part + head * hw * d, pitch: d, hw, d };
    let values = Head { start: 2 * part + head * hw * d, pitch: d, hw, d };

    let mut panels = Panels::new();
    // Of each row, in shared memory: a unit's registers would not do for these, nor for a number of the head.
    let mut maxima = Shared::<[f32]>::new_slice(ROWS);
    let mut sums = Shared::<[f32]>::new_slice(ROWS);
    if (UNIT_POS as usize) < ROWS {
        maxima[UNIT_POS as usize] = LOWEST;
        sums[UNIT_POS as usize] = 0.0f32;
    }
    let mut out = zeros(comptime!(chunks * EACH_ROW * EACH_COLUMN));
    let mut key = 0;
    while key < hw {
        let mut weights = panels.dots::<F>(parts, &queries, query, parts, &keys, key);
        let mut largest = zeros(EACH_ROW);
        #[unroll]
        for i in 0..EACH_ROW {
            largest[i] = LOWEST;
            #[unroll]
            for j in 0..EACH_COLUMN {
                let at = comptime!(i * EACH_COLUMN + j);
                let inside = key + UNIT_POS_X as usize + j * SIDE < hw;
                weights[at] = select(inside, weights[at] * scale, LOWEST);
                largest[i] = max(largest[i], weights[at]);
            }
        }
        panels.share(&largest);
        let mut factors = zeros(EACH_ROW);
        let mut of_tile = zeros(EACH_ROW);
        #[unroll]
        for i in 0..EACH_ROW {
            let before = maxima[UNIT_POS_Y as usize + i * SIDE];
            largest[i] = max(largest[i], before);
            for x in 0..SIDE {
                largest[i] = max(largest[i], panels.shared(x, i));
            }
            // What was summed so far was less another maximum.
            factors[i] = (before - largest[i]).exp();
            #[unroll]
            for at in 0..comptime!(chunks * EACH_COLUMN) {
                let chunk = comptime!(at / EACH_COLUMN * EACH_ROW * EACH_COLUMN);
                out[comptime!(chunk + i * EACH_COLUMN + at % EACH_COLUMN)] *= factors[i];
            }
            #[unroll]
            for j in 0..EACH_COLUMN {
                let at = comptime!(i * EACH_COLUMN + j);
                weights[at] = (weights[at] - largest[i]).exp();
                of_tile[i] += weights[at];
            }
        }
        panels.keep(&weights);
        panels.share(&of_tile);
        if UNIT_POS_X == 0 {
            #[unroll]
            for i in 0..EACH_ROW {
                let row = UNIT_POS_Y as usize + i * SIDE;
                let mut sum = sums[row] * factors[i];
                for x in 0..SIDE {
                    sum += panels.shared(x, i);
                }
                sums[row] = sum;
                maxima[row] = largest[i];
            }
        }
        panels.add::<F>(parts, &values, key, &mut out, chunks);
        key += COLUMNS;
    }

    #[unroll]
    for i in 0..EACH_ROW {
        let of_tile = UNIT_POS_Y as usize + i * SIDE;
        let row = query + of_tile;
        if row < hw {
            if UNIT_POS_X == 0 {
                log_sums[head * hw + row] = maxima[of_tile] + sums[of_tile].ln();
            }
            let inverse = 1.0f32 / sums[of_tile];
            #[unroll]
            for at in 0..comptime!(chunks * EACH_COLUMN) {
                let chunk = comptime!(at / EACH_COLUMN * EACH_ROW * EACH_COLUMN);
                let component = UNIT_POS_X as usize + at * SIDE;
                if component < d {
                    let value = out[comptime!(chunk + i * EACH_COLUMN + at % EACH_COLUMN)] * inverse;
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
        CubeCount::new_3d(hw.div_ceil(ROWS) as u32, heads as u32, n as u32),
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
