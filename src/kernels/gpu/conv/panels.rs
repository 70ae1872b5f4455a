//! A tile of a product of two matrices, summed from panels in shared memory that are written and read in vectors of four.

use cubecl::prelude::*;

use crate::silu::splat;

/// Units along each side of a cube.
pub(super) const SIDE: usize = 16;
/// Values of a vector; lines of each panel that a unit sums.
pub(super) const LANES: usize = 4;
/// Lines of a panel: the sides of a cube's tile.
pub(super) const TILE: usize = LANES * SIDE;
/// How much of the sum is in shared memory at a time. A panel has a vector for each unit.
pub(super) const DEPTH: usize = 16;

pub(super) type Four = Vector<f32, Const<LANES>>;

/// Which way the vectors of a panel lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Along {
    /// Four steps of the sum, for one line.
    Steps,
    /// Four lines, of one step.
    Lines,
}

impl Along {
    /// From one row of vectors to the next: such that units that read at once use different banks.
    const fn pitch(self) -> usize {
        match self {
            Self::Steps => DEPTH / LANES + 1,
            Self::Lines => TILE / LANES,
        }
    }

    const fn vectors(self) -> usize {
        match self {
            Self::Steps => TILE * self.pitch(),
            Self::Lines => DEPTH * self.pitch(),
        }
    }
}

/// One side's factors of a tile: `TILE` lines, `DEPTH` steps.
#[derive(CubeType)]
pub(super) struct Panel {
    values: Shared<[Four]>,
    #[cube(comptime)]
    along: Along,
}

#[cube]
impl Panel {
    pub(super) fn new(#[comptime] along: Along) -> Panel {
        Panel { values: Shared::<[Four]>::new_slice(comptime!(along.vectors())), along }
    }

    /// The line of this unit's vector, or its first one.
    pub(super) fn line(&self) -> usize {
        match comptime!(self.along) {
            Along::Steps => UNIT_POS as usize / comptime!(DEPTH / LANES),
            Along::Lines => UNIT_POS as usize % SIDE * LANES,
        }
    }

    /// The step of this unit's vector, or its first one.
    pub(super) fn step(&self) -> usize {
        match comptime!(self.along) {
            Along::Steps => UNIT_POS as usize % comptime!(DEPTH / LANES) * LANES,
            Along::Lines => UNIT_POS as usize / SIDE,
        }
    }

    /// Puts this unit's vector.
    pub(super) fn put(&mut self, value: Four) {
        let pitch = comptime!(self.along.pitch());
        let at = match comptime!(self.along) {
            Along::Steps => self.line() * pitch + self.step() / LANES,
            Along::Lines => self.step() * pitch + self.line() / LANES,
        };
        self.values[at] = value;
    }

    /// The `i`th line that a unit at this place along the panel sums.
    pub(super) fn summed(&self, unit: u32, #[comptime] i: usize) -> usize {
        match comptime!(self.along) {
            Along::Steps => unit as usize + i * SIDE,
            Along::Lines => unit as usize * LANES + i,
        }
    }

    /// Of the four steps from step `LANES * chunk` on, and of the four lines that a unit at this place sums: those of line
    /// `i`, or those of step `i`.
    fn vector(&self, unit: u32, chunk: usize, #[comptime] i: usize) -> Four {
        let pitch = comptime!(self.along.pitch());
        match comptime!(self.along) {
            Along::Steps => self.values[(unit as usize + i * SIDE) * pitch + chunk],
            Along::Lines => self.values[(chunk * LANES + i) * pitch + unit as usize],
        }
    }
}

/// Adds the products of these panels to the `LANES * LANES` sums of this unit, `[row, column]`.
#[cube]
pub(super) fn accumulate(rows: &Panel, columns: &Panel, sums: &mut Array<f32>) {
    for chunk in 0..comptime!(DEPTH / LANES) {
        let mut of_rows = Sequence::<Four>::new();
        #[unroll]
        for i in 0..LANES {
            of_rows.push(rows.vector(UNIT_POS_Y, chunk, i));
        }
        #[unroll]
        for k in 0..LANES {
            let of_columns = columns.vector(UNIT_POS_X, chunk, k);
            #[unroll]
            for l in 0..LANES {
                // Which column and step the lane is of.
                let (j, step) = comptime!(match columns.along {
                    Along::Steps => (k, l),
                    Along::Lines => (l, k),
                });
                #[unroll]
                for i in 0..LANES {
                    let of_row = match comptime!(rows.along) {
                        Along::Steps => of_rows[i].extract(step),
                        Along::Lines => of_rows[step].extract(i),
                    };
                    sums[i * LANES + j] += of_row * of_columns.extract(l);
                }
            }
        }
    }
}

/// The value with these lanes from `at` on.
#[cube]
pub(super) fn with_lanes<F: Float, N: Size>(value: Four, lanes: Vector<F, N>, #[comptime] at: usize) -> Four {
    let mut value = value;
    #[unroll]
    for i in 0..N::value() {
        value.insert(at + i, f32::cast_from(lanes.extract(i)));
    }
    value
}

/// No values.
#[cube]
pub(super) fn nothing() -> Four {
    splat::<Const<LANES>>(0.0f32)
}
