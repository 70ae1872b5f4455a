//! The mixed blocks of Inception v3. Branch and unit names are those of the public weights.

use burn::tensor::Tensor;

use super::{inception_unit::Unit, registry::Registry};
use crate::{Result, kernels};

/// What a mixed block is made of.
pub(super) struct Layout {
    branches: &'static [Names],
    pool: Pool,
}

/// One branch: the names and kernels of its units, never none, and those of the two that some branches fork into.
type Names = (&'static [(&'static str, [usize; 2])], &'static [(&'static str, [usize; 2])]);

/// What stands beside the branches.
enum Pool {
    /// An average pool, then a 1x1 unit.
    Average,
    /// A maximum pool, then a 1x1 unit; in the graph of 2015-12-05 only.
    Max,
    /// A maximum pool that halves the resolution, as the last unit of every branch does then.
    Halving,
}

/// `Mixed_5b` to 6e, with their names.
pub(super) const MIXED_5_AND_6: [(&str, Layout); 8] = [
    ("Mixed_5b", A),
    ("Mixed_5c", A),
    ("Mixed_5d", A),
    ("Mixed_6a", B),
    ("Mixed_6b", C),
    ("Mixed_6c", C),
    ("Mixed_6d", C),
    ("Mixed_6e", C),
];
/// `Mixed_7a` to 7c, with their names.
pub(super) const MIXED_7: [(&str, Layout); 3] = [
    ("Mixed_7a", D),
    ("Mixed_7b", Layout { branches: E, pool: Pool::Average }),
    ("Mixed_7c", Layout { branches: E, pool: Pool::Max }),
];

/// At 35 x 35.
const A: Layout = Layout {
    branches: &[
        (&[("branch1x1", [1, 1])], &[]),
        (&[("branch5x5_1", [1, 1]), ("branch5x5_2", [5, 5])], &[]),
        (&[("branch3x3dbl_1", [1, 1]), ("branch3x3dbl_2", [3, 3]), ("branch3x3dbl_3", [3, 3])], &[]),
    ],
    pool: Pool::Average,
};
/// From 35 x 35 to 17 x 17.
const B: Layout = Layout {
    branches: &[
        (&[("branch3x3", [3, 3])], &[]),
        (&[("branch3x3dbl_1", [1, 1]), ("branch3x3dbl_2", [3, 3]), ("branch3x3dbl_3", [3, 3])], &[]),
    ],
    pool: Pool::Halving,
};
/// At 17 x 17.
const C: Layout = Layout {
    branches: &[
        (&[("branch1x1", [1, 1])], &[]),
        (&[("branch7x7_1", [1, 1]), ("branch7x7_2", [1, 7]), ("branch7x7_3", [7, 1])], &[]),
        (
            &[
                ("branch7x7dbl_1", [1, 1]),
                ("branch7x7dbl_2", [7, 1]),
                ("branch7x7dbl_3", [1, 7]),
                ("branch7x7dbl_4", [7, 1]),
                ("branch7x7dbl_5", [1, 7]),
            ],
            &[],
        ),
    ],
    pool: Pool::Average,
};
/// From 17 x 17 to 8 x 8.
const D: Layout = Layout {
    branches: &[
        (&[("branch3x3_1", [1, 1]), ("branch3x3_2", [3, 3])], &[]),
        (
            &[
                ("branch7x7x3_1", [1, 1]),
                ("branch7x7x3_2", [1, 7]),
                ("branch7x7x3_3", [7, 1]),
                ("branch7x7x3_4", [3, 3]),
            ],
            &[],
        ),
    ],
    pool: Pool::Halving,
};
/// At 8 x 8.
const E: &[Names] = &[
    (&[("branch1x1", [1, 1])], &[]),
    (&[("branch3x3_1", [1, 1])], &[("branch3x3_2a", [1, 3]), ("branch3x3_2b", [3, 1])]),
    (
        &[("branch3x3dbl_1", [1, 1]), ("branch3x3dbl_2", [3, 3])],
        &[("branch3x3dbl_3a", [1, 3]), ("branch3x3dbl_3b", [3, 1])],
    ),
];

/// Units in sequence, and those that stand side by side behind them, where there are any.
#[derive(Clone, Debug)]
struct Branch {
    stem: Vec<Unit>,
    fork: Vec<Unit>,
}

impl Branch {
    fn load(r: &mut Registry, (stem, fork): Names, mut inputs: usize) -> Result<Self> {
        let mut units = Vec::with_capacity(stem.len());
        for &(name, kernel) in stem {
            let unit = Unit::load(r, name, inputs, kernel)?;
            inputs = unit.outputs();
            units.push(unit);
        }
        let fork = fork.iter().map(|&(name, kernel)| Unit::load(r, name, inputs, kernel));
        Ok(Self { fork: fork.collect::<Result<_>>()?, stem: units })
    }

    /// The last unit halves the resolution.
    fn halving(mut self) -> Self {
        let last = self.stem.pop().map(Unit::halving);
        self.stem.extend(last);
        self
    }

    fn outputs(&self) -> usize {
        let ends = if self.fork.is_empty() { &self.stem[self.stem.len() - 1..] } else { &self.fork };
        ends.iter().map(Unit::outputs).sum()
    }

    fn forward(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let x = self.stem.iter().fold(x, |x, unit| unit.forward(x));
        if self.fork.is_empty() {
            vec![x]
        } else {
            self.fork.iter().map(|unit| unit.forward(x.clone())).collect()
        }
    }
}

/// A mixed block: branches and a pool of the input side by side.
#[derive(Clone, Debug)]
pub(super) struct Mixed {
    branches: Vec<Branch>,
    pooled: Pooled,
}

/// The pool with the unit behind it, or with the channels of the block's input.
#[derive(Clone, Debug)]
enum Pooled {
    Average(Unit),
    Max(Unit),
    Halving(usize),
}

impl Mixed {
    /// Loads the block within the current path.
    pub(super) fn load(r: &mut Registry, layout: &Layout, inputs: usize) -> Result<Self> {
        let branches = layout.branches.iter().map(|&names| Branch::load(r, names, inputs));
        let mut branches = branches.collect::<Result<Vec<_>>>()?;
        let mut unit = || Unit::load(r, "branch_pool", inputs, [1, 1]);
        let pooled = match layout.pool {
            Pool::Average => Pooled::Average(unit()?),
            Pool::Max => Pooled::Max(unit()?),
            Pool::Halving => {
                branches = branches.into_iter().map(Branch::halving).collect();
                Pooled::Halving(inputs)
            }
        };
        Ok(Self { branches, pooled })
    }

    /// Number of output channels.
    pub(super) fn outputs(&self) -> usize {
        let pooled = match &self.pooled {
            Pooled::Average(unit) | Pooled::Max(unit) => unit.outputs(),
            Pooled::Halving(inputs) => *inputs,
        };
        self.branches.iter().map(Branch::outputs).sum::<usize>() + pooled
    }

    /// `[n, h, w, c]` => `[n, h', w', k]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut all: Vec<_> = self.branches.iter().flat_map(|branch| branch.forward(x.clone())).collect();
        all.push(match &self.pooled {
            Pooled::Average(unit) => unit.forward_average_pooled(x),
            Pooled::Max(unit) => unit.forward(kernels::max_pool(x, 1, 1)),
            Pooled::Halving(_) => kernels::max_pool(x, 2, 0),
        });
        Tensor::cat(all, 3)
    }
}
