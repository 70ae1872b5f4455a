//! A tile of a product of two matrices, summed from panels in shared memory that are written and read in vectors of four.

use cubecl::prelude::*;

use crate::silu::splat;

/// Units along each side of a cube, but for sides of few lines.
pub(super) const SIDE: usize = 16;
/// Values of a vector; lines of each panel that a unit sums.
pub(super) const LANES: usize = 4;
/// Lines of a panel: the sides of a cube's tile.
pub(super) const TILE: usize = LANES * SIDE;
/// How much of the sum is in shared memory at a time. A panel has a vector for each unit, where the cube's other side has
/// as many units as this.
pub(super) const DEPTH: usize = 16;

/// Units along the side of a tile for so many lines: where they are few, a narrow tile wastes less.
pub(super) fn side(lines: usize) -> usize {
    lines.div_ceil(LANES).next_power_of_two().clamp(SIDE / 4, SIDE)
}

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
    const fn pitch(self, side: usize) -> usize {
        match self {
            Self::Steps => DEPTH / LANES + 1,
            Self::Lines => side,
        }
    }

    const fn vectors(self, side: usize) -> usize {
        match self {
            Self::Steps => LANES * side * self.pitch(side),
            Self::Lines => DEPTH * self.pitch(side),
        }
    }
}

/// One side's factors of a tile: `LANES * side` lines, `DEPTH` steps.
#[derive(CubeType)]
pub(super) struct Panel {
    values: Shared<[Four]>,
    #[cube(comptime)]
    along: Along,
    /// Units along it.
    #[cube(comptime)]
    side: usize,
    /// Vectors that each unit puts; those after the first are of other lines (`Steps`) or other steps (`Lines`).
    #[cube(comptime)]
    pub(super) rounds: usize,
}

#[cube]
impl Panel {
    /// Of a cube with so many units along this side and along the other one.
    pub(super) fn new(#[comptime] along: Along, #[comptime] side: usize, #[comptime] other: usize) -> Panel {
        let values = Shared::<[Four]>::new_slice(comptime!(along.vectors(side)));
        Panel { values, along, side, rounds: comptime!(DEPTH / other) }
    }

    /// Which of the panel's vectors this unit puts in a round.
    fn place(&self, #[comptime] round: usize) -> usize {
        UNIT_POS as usize + comptime!(round * self.side * DEPTH / self.rounds)
    }

    /// The line of this unit's vector, or its first one.
    pub(super) fn line(&self, #[comptime] round: usize) -> usize {
        match comptime!(self.along) {
            Along::Steps => self.place(round) / comptime!(DEPTH / LANES),
            Along::Lines => self.place(round) % comptime!(self.side) * LANES,
        }
    }

    /// The step of this unit's vector, or its first one.
    pub(super) fn step(&self, #[comptime] round: usize) -> usize {
        match comptime!(self.along) {
            Along::Steps => self.place(round) % comptime!(DEPTH / LANES) * LANES,
            Along::Lines => self.place(round) / comptime!(self.side),
        }
    }

    /// Puts this unit's vector.
    pub(super) fn put(&mut self, #[comptime] round: usize, value: Four) {
        let pitch = comptime!(self.along.pitch(self.side));
        let at = match comptime!(self.along) {
            Along::Steps => self.line(round) * pitch + self.step(round) / LANES,
            Along::Lines => self.step(round) * pitch + self.line(round) / LANES,
        };
        self.values[at] = value;
    }

    /// The `i`th line that a unit at this place along the panel sums.
    pub(super) fn summed(&self, unit: u32, #[comptime] i: usize) -> usize {
        match comptime!(self.along) {
            Along::Steps => unit as usize + comptime!(i * self.side),
            Along::Lines => unit as usize * LANES + i,
        }
    }

    /// Of the four steps from step `LANES * chunk` on, and of the four lines that a unit at this place sums: those of line
    /// `i`, or those of step `i`.
    fn vector(&self, unit: u32, chunk: usize, #[comptime] i: usize) -> Four {
        let pitch = comptime!(self.along.pitch(self.side));
        match comptime!(self.along) {
            Along::Steps => self.values[self.summed(unit, i) * pitch + chunk],
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
