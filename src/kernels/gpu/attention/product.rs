//! A tile of a product of two matrices, summed from shared memory.

use cubecl::prelude::*;

/// Units along each side of a cube.
pub(super) const SIDE: usize = 16;

/// How much of the sum is in shared memory at a time.
pub(super) const DEPTH: usize = 16;

/// From one row of a panel in shared memory to the next: one more than there are values, so that units that write a
/// column use different banks.
pub(super) const fn pitch(width: usize) -> usize {
    width + 1
}

/// Adds `a^T b` to the sums of this unit: entry `to + i * columns + j` is that of row `UNIT_POS_Y + SIDE * i` and
/// column `UNIT_POS_X + SIDE * j` of the tile. `a` is `[DEPTH, rows * SIDE]`, `DEPTH` rows of it from row `first` on;
/// `b` is `[DEPTH, columns * SIDE]`; their rows are a `pitch` apart.
#[cube]
pub(super) fn accumulate(
    a: &Shared<[f32]>,
    first: usize,
    b: &Shared<[f32]>,
    sums: &mut Array<f32>,
    #[comptime] to: usize,
    #[comptime] rows: usize,
    #[comptime] columns: usize,
) {
    let mut from_a = Array::<f32>::new(rows);
    let mut from_b = Array::<f32>::new(columns);
    for step in 0..DEPTH {
        let at_a = (first + step) * comptime!(pitch(rows * SIDE)) + UNIT_POS_Y as usize;
        let at_b = step * comptime!(pitch(columns * SIDE)) + UNIT_POS_X as usize;
        #[unroll]
        for i in 0..rows {
            from_a[i] = a[at_a + i * SIDE];
        }
        #[unroll]
        for j in 0..columns {
            from_b[j] = b[at_b + j * SIDE];
        }
        #[unroll]
        for i in 0..rows {
            #[unroll]
            for j in 0..columns {
                sums[to + i * columns + j] += from_a[i] * from_b[j];
            }
        }
    }
}
