//! Sums over the units of a cube.

use cubecl::prelude::*;

/// The sum of `value` over all units of a row: those that share `UNIT_POS_Y`. Every unit of the cube must come here.
/// `width` is the cube's extent along x, a power of two; `height` along y.
#[cube]
pub(crate) fn row_sum(value: f32, #[comptime] width: u32, #[comptime] height: u32) -> f32 {
    let mut partial = Shared::<[f32]>::new_slice(comptime!((width * height) as usize));
    let row = UNIT_POS_Y * width;
    partial[(row + UNIT_POS_X) as usize] = value;
    sync_cube();
    #[unroll]
    for step in 0..comptime!(width.ilog2()) {
        let half = comptime!(width >> (step + 1));
        if UNIT_POS_X < half {
            let other = partial[(row + UNIT_POS_X + half) as usize];
            partial[(row + UNIT_POS_X) as usize] += other;
        }
        sync_cube();
    }
    let sum = partial[row as usize];
    // The next sum may use the same memory.
    sync_cube();
    sum
}

/// The sum of `value` over all units of a column: those that share `UNIT_POS_X`. Every unit of the cube must come here.
/// `width` is the cube's extent along x; `height` along y, a power of two.
#[cube]
pub(crate) fn column_sum<N: Size>(
    value: Vector<f32, N>,
    #[comptime] width: u32,
    #[comptime] height: u32,
) -> Vector<f32, N> {
    let mut partial = Shared::<[Vector<f32, N>]>::new_slice(comptime!((width * height) as usize));
    let at = UNIT_POS_Y * width + UNIT_POS_X;
    partial[at as usize] = value;
    sync_cube();
    #[unroll]
    for step in 0..comptime!(height.ilog2()) {
        let half = comptime!(height >> (step + 1));
        if UNIT_POS_Y < half {
            let other = partial[(at + half * width) as usize];
            partial[at as usize] += other;
        }
        sync_cube();
    }
    let sum = partial[UNIT_POS_X as usize];
    // The next sum may use the same memory.
    sync_cube();
    sum
}

/// So many sums of a unit, that begin at zero.
#[cube]
pub(crate) fn zeros(#[comptime] count: usize) -> Array<f32> {
    let mut sums = Array::<f32>::new(count);
    #[unroll]
    for i in 0..count {
        sums[i] = 0.0f32;
    }
    sums
}
