//! The mixed blocks of Inception v3. Branch and unit names are those of the public weights.

use burn::tensor::Tensor;

use super::{inception_unit::Unit, registry::Registry};
use crate::{Result, kernels};

/// One branch: units in sequence, never none.
#[derive(Clone, Debug)]
struct Chain(Vec<Unit>);

impl Chain {
    /// The units of these names within the current block.
    fn load<const N: usize>(r: &mut Registry, inputs: usize, units: [(&str, [usize; 2]); N]) -> Result<Self> {
        let mut chain = Self(Vec::with_capacity(N));
        for (name, kernel) in units {
            let inputs = if chain.0.is_empty() { inputs } else { chain.outputs() };
            chain.0.push(Unit::load(r, name, inputs, kernel)?);
        }
        Ok(chain)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.0.iter().fold(x, |x, unit| unit.forward(x))
    }

    fn outputs(&self) -> usize {
        self.0.last().map_or(0, Unit::outputs)
    }

    /// The last unit halves the resolution.
    fn halving(mut self) -> Self {
        let last = self.0.pop().map(Unit::halving);
        self.0.extend(last);
        self
    }
}

/// Concatenates branches along channels.
fn concat(branches: Vec<Tensor<4>>) -> Tensor<4> {
    Tensor::cat(branches, 3)
}

/// `Mixed_5b` to 5d and 6b to 6e: branches side by side, the last one behind an average pool.
#[derive(Clone, Debug)]
pub(super) struct Mixed {
    branches: Vec<Chain>,
    branch_pool: Unit,
}

impl Mixed {
    /// `Mixed_5b`, 5c, 5d, at 35 x 35, within the current path; so for all blocks.
    pub(super) fn load_a(r: &mut Registry, inputs: usize) -> Result<Self> {
        let branches = vec![
            Chain::load(r, inputs, [("branch1x1", [1, 1])])?,
            Chain::load(r, inputs, [("branch5x5_1", [1, 1]), ("branch5x5_2", [5, 5])])?,
            Chain::load(
                r,
                inputs,
                [("branch3x3dbl_1", [1, 1]), ("branch3x3dbl_2", [3, 3]), ("branch3x3dbl_3", [3, 3])],
            )?,
        ];
        Ok(Self { branches, branch_pool: Unit::load(r, "branch_pool", inputs, [1, 1])? })
    }

    /// `Mixed_6b` to 6e, at 17 x 17.
    pub(super) fn load_c(r: &mut Registry, inputs: usize) -> Result<Self> {
        let branches = vec![
            Chain::load(r, inputs, [("branch1x1", [1, 1])])?,
            Chain::load(
                r,
                inputs,
                [("branch7x7_1", [1, 1]), ("branch7x7_2", [1, 7]), ("branch7x7_3", [7, 1])],
            )?,
            Chain::load(
                r,
                inputs,
                [
                    ("branch7x7dbl_1", [1, 1]),
                    ("branch7x7dbl_2", [7, 1]),
                    ("branch7x7dbl_3", [1, 7]),
                    ("branch7x7dbl_4", [7, 1]),
                    ("branch7x7dbl_5", [1, 7]),
                ],
            )?,
        ];
        Ok(Self { branches, branch_pool: Unit::load(r, "branch_pool", inputs, [1, 1])? })
    }

    pub(super) fn outputs(&self) -> usize {
        self.branches.iter().map(Chain::outputs).sum::<usize>() + self.branch_pool.outputs()
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut branches: Vec<_> = self.branches.iter().map(|branch| branch.forward(x.clone())).collect();
        branches.push(self.branch_pool.forward_average_pooled(x));
        concat(branches)
    }
}

/// `Mixed_6a` and 7a: two branches that halve the resolution, and a maximum pool of the input.
#[derive(Clone, Debug)]
pub(super) struct Reduction {
    branches: [Chain; 2],
    inputs: usize,
}

impl Reduction {
    /// `Mixed_6a`, from 35 x 35 to 17 x 17.
    pub(super) fn load_b(r: &mut Registry, inputs: usize) -> Result<Self> {
        let branches = [
            Chain::load(r, inputs, [("branch3x3", [3, 3])])?.halving(),
            Chain::load(
                r,
                inputs,
                [("branch3x3dbl_1", [1, 1]), ("branch3x3dbl_2", [3, 3]), ("branch3x3dbl_3", [3, 3])],
            )?
            .halving(),
        ];
        Ok(Self { branches, inputs })
    }

    /// `Mixed_7a`, from 17 x 17 to 8 x 8.
    pub(super) fn load_d(r: &mut Registry, inputs: usize) -> Result<Self> {
        let branches = [
            Chain::load(r, inputs, [("branch3x3_1", [1, 1]), ("branch3x3_2", [3, 3])])?.halving(),
            Chain::load(
                r,
                inputs,
                [
                    ("branch7x7x3_1", [1, 1]),
                    ("branch7x7x3_2", [1, 7]),
                    ("branch7x7x3_3", [7, 1]),
                    ("branch7x7x3_4", [3, 3]),
                ],
            )?
            .halving(),
        ];
        Ok(Self { branches, inputs })
    }

    pub(super) fn outputs(&self) -> usize {
        self.branches.iter().map(Chain::outputs).sum::<usize>() + self.inputs
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [first, second] = self.branches.each_ref().map(|branch| branch.forward(x.clone()));
        concat(vec![first, second, kernels::max_pool(x, 2, 0)])
    }
}

/// `Mixed_7b` and 7c, at 8 x 8: two branches fork into a 1x3 and a 3x1 unit each.
#[derive(Clone, Debug)]
pub(super) struct Forked {
    branch1x1: Unit,
    branch3x3: Fork,
    branch3x3dbl: Fork,
    branch_pool: Unit,
    pool: Pool,
}

/// What stands before the last 1x1 unit of a forked block.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pool {
    /// `Mixed_7b`.
    Average,
    /// `Mixed_7c`, in the graph of 2015-12-05 only.
    Max,
}

/// A stem, then two units side by side.
#[derive(Clone, Debug)]
struct Fork {
    stem: Chain,
    tines: [Unit; 2],
}

impl Fork {
    fn load(r: &mut Registry, stem: Chain, names: [&str; 2]) -> Result<Self> {
        let inputs = stem.outputs();
        let tines = [Unit::load(r, names[0], inputs, [1, 3])?, Unit::load(r, names[1], inputs, [3, 1])?];
        Ok(Self { stem, tines })
    }

    fn outputs(&self) -> usize {
        self.tines.iter().map(Unit::outputs).sum()
    }

    fn forward(&self, x: Tensor<4>) -> [Tensor<4>; 2] {
        let x = self.stem.forward(x);
        self.tines.each_ref().map(|tine| tine.forward(x.clone()))
    }
}

impl Forked {
    pub(super) fn load_e(r: &mut Registry, inputs: usize, pool: Pool) -> Result<Self> {
        let stem = Chain::load(r, inputs, [("branch3x3_1", [1, 1])])?;
        let branch3x3 = Fork::load(r, stem, ["branch3x3_2a", "branch3x3_2b"])?;
        let stem = Chain::load(r, inputs, [("branch3x3dbl_1", [1, 1]), ("branch3x3dbl_2", [3, 3])])?;
        let branch3x3dbl = Fork::load(r, stem, ["branch3x3dbl_3a", "branch3x3dbl_3b"])?;
        let branch1x1 = Unit::load(r, "branch1x1", inputs, [1, 1])?;
        let branch_pool = Unit::load(r, "branch_pool", inputs, [1, 1])?;
        Ok(Self { branch1x1, branch3x3, branch3x3dbl, branch_pool, pool })
    }

    pub(super) fn outputs(&self) -> usize {
        let forks = self.branch3x3.outputs() + self.branch3x3dbl.outputs();
        self.branch1x1.outputs() + forks + self.branch_pool.outputs()
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [a, b] = self.branch3x3.forward(x.clone());
        let [c, d] = self.branch3x3dbl.forward(x.clone());
        let pooled = match self.pool {
            Pool::Average => self.branch_pool.forward_average_pooled(x.clone()),
            Pool::Max => self.branch_pool.forward(kernels::max_pool(x.clone(), 1, 1)),
        };
        concat(vec![self.branch1x1.forward(x), a, b, c, d, pooled])
    }
}
