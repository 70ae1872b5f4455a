//! Tiles of pairs of positions: a cube has `ROWS` of its own and goes through the others, `COLUMNS` at a time.

use cubecl::prelude::*;

use super::product::{DEPTH, SIDE, accumulate, pitch};
use crate::sum::zeros;

/// Rows and columns that each unit sums.
pub(super) const EACH_ROW: usize = 2;
pub(super) const EACH_COLUMN: usize = 4;

/// Positions of a tile. With these a cube's shared memory is below 16 KiB.
pub(super) const ROWS: usize = EACH_ROW * SIDE;
pub(super) const COLUMNS: usize = EACH_COLUMN * SIDE;

/// Where the vectors of one head of one image lie.
#[derive(CubeType)]
pub(super) struct Head {
    /// Of the first.
    pub(super) start: usize,
    /// From one position to the next.
    pub(super) pitch: usize,
    /// Positions.
    pub(super) hw: usize,
    /// Components of each.
    pub(super) d: usize,
}

#[cube]
impl Head {
    /// A component of a position; zero beyond the last.
    fn value<F: Float>(&self, from: &[F], position: usize, component: usize) -> f32 {
        let mut value = 0.0f32;
        if position < self.hw && component < self.d {
            value = f32::cast_from(from[self.start + position * self.pitch + component]);
        }
        value
    }
}

/// Shared memory of a cube: panels of vectors, and a value for each pair of a tile, columns first.
#[derive(CubeType)]
pub(super) struct Panels {
    pub(super) rows: Shared<[f32]>,
    pub(super) columns: Shared<[f32]>,
    pub(super) pairs: Shared<[f32]>,
}

#[cube]
impl Panels {
    pub(super) fn new() -> Panels {
        Panels {
            rows: Shared::<[f32]>::new_slice(comptime!(DEPTH * pitch(ROWS))),
            columns: Shared::<[f32]>::new_slice(comptime!(DEPTH * pitch(COLUMNS))),
            pairs: Shared::<[f32]>::new_slice(comptime!(COLUMNS * pitch(ROWS))),
        }
    }

    /// The products of the vectors of the tile's rows, which begin at position `row`, with those of its columns.
    pub(super) fn dots<F: Float>(
        &mut self,
        rows: &[F],
        row_head: &Head,
        row: usize,
        columns: &[F],
        column_head: &Head,
        column: usize,
    ) -> Array<f32> {
        let (step, line) = (UNIT_POS as usize % DEPTH, UNIT_POS as usize / DEPTH);
        let mut sums = zeros(comptime!(EACH_ROW * EACH_COLUMN));
        let mut first = 0;
        while first < row_head.d {
            #[unroll]
            for i in 0..EACH_ROW {
                let line = line + i * SIDE;
                self.rows[step * comptime!(pitch(ROWS)) + line] =
                    row_head.value::<F>(rows, row + line, first + step);
            }
            #[unroll]
            for j in 0..EACH_COLUMN {
                let line = line + j * SIDE;
                self.columns[step * comptime!(pitch(COLUMNS)) + line] =
                    column_head.value::<F>(columns, column + line, first + step);
            }
            sync_cube();
            accumulate(&self.rows, 0, &self.columns, &mut sums, 0usize, EACH_ROW, EACH_COLUMN);
            sync_cube();
            first += DEPTH;
        }
        sums
    }

    /// Keeps a value of each pair: one of each row and column of this unit.
    pub(super) fn keep(&mut self, values: &Array<f32>) {
        #[unroll]
        for i in 0..EACH_ROW {
            #[unroll]
            for j in 0..EACH_COLUMN {
                let (row, column) = (UNIT_POS_Y as usize + i * SIDE, UNIT_POS_X as usize + j * SIDE);
                self.pairs[column * comptime!(pitch(ROWS)) + row] = values[i * EACH_COLUMN + j];
            }
        }
        sync_cube();
    }

    /// Adds to each row of the tile the vectors of its columns, which begin at position `column`, times the kept
    /// values. `sums`: `chunks` times as many components as the tile has columns.
    pub(super) fn add<F: Float>(
        &mut self,
        columns: &[F],
        head: &Head,
        column: usize,
        sums: &mut Array<f32>,
        #[comptime] chunks: usize,
    ) {
        let (line, step) = (UNIT_POS as usize % COLUMNS, UNIT_POS as usize / COLUMNS);
        #[unroll]
        for chunk in 0..chunks {
            let mut first = 0;
            while first < COLUMNS {
                #[unroll]
                for i in 0..comptime!(DEPTH / EACH_COLUMN) {
                    let step = step + i * EACH_COLUMN;
                    self.columns[step * comptime!(pitch(COLUMNS)) + line] =
                        head.value::<F>(columns, column + first + step, chunk * COLUMNS + line);
                }
                sync_cube();
                let to = comptime!(chunk * EACH_ROW * EACH_COLUMN);
                accumulate(&self.pairs, first, &self.columns, sums, to, EACH_ROW, EACH_COLUMN);
                sync_cube();
                first += DEPTH;
            }
        }
    }

    /// Puts a value of this unit for each of its rows where all units of the row see it.
    pub(super) fn share(&mut self, values: &Array<f32>) {
        #[unroll]
        for i in 0..EACH_ROW {
            let at = UNIT_POS_X as usize * comptime!(pitch(ROWS)) + UNIT_POS_Y as usize + i * SIDE;
            self.rows[at] = values[i];
        }
        sync_cube();
    }

    /// What the unit at `x` shared for this unit's row `i`.
    pub(super) fn shared(&self, x: usize, #[comptime] i: usize) -> f32 {
        self.rows[x * comptime!(pitch(ROWS)) + UNIT_POS_Y as usize + i * SIDE]
    }

    /// For each row of this unit, the sum of its units' values.
    pub(super) fn row_sums(&mut self, values: &Array<f32>) -> Array<f32> {
        self.share(values);
        let mut sums = zeros(EACH_ROW);
        #[unroll]
        for i in 0..EACH_ROW {
            for x in 0..SIDE {
                sums[i] += self.shared(x, i);
            }
        }
        sync_cube();
        sums
    }
}
