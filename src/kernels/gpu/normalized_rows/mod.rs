//! EDM2's weights, every row at unit magnitude, and the gradients through that.

mod forward;
mod gradient;

use burn_cubecl::{kernel::into_contiguous, ops::permute, tensor::CubeTensor};
use cubecl::prelude::*;

use crate::launch::{cubes, vector};

pub use forward::normalize_rows;
pub use gradient::normalize_rows_gradient;

/// What rows are multiplied by besides the reciprocal of their magnitude.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Added to the root mean square of each.
    pub eps: f32,
    /// A constant.
    pub factor: f32,
}

/// The order of axes in memory. Nothing here asks for the order within a row, so a weight that is kept channels last
/// stays so.
struct Order(Vec<usize>);

impl Order {
    fn of(w: &CubeTensor) -> Self {
        let strides = w.meta.strides();
        let mut axes: Vec<usize> = (0..strides.len()).collect();
        axes.sort_by_key(|axis| std::cmp::Reverse(strides[*axis]));
        // Rows that lie apart have no order of their own.
        if axes[0] != 0 {
            axes.sort_unstable();
        }
        Self(axes)
    }

    /// The axes in this order, without gaps.
    fn rows(&self, tensor: CubeTensor) -> CubeTensor {
        into_contiguous(permute(tensor, &self.0))
    }

    /// The axes as they were.
    fn back(&self, tensor: CubeTensor) -> CubeTensor {
        let mut inverse = vec![0; self.0.len()];
        for (to, from) in self.0.iter().enumerate() {
            inverse[*from] = to;
        }
        permute(tensor, &inverse)
    }
}

/// How rows are laid over units.
struct Extents {
    rows: usize,
    /// Vectors of a row, and their values.
    columns: usize,
    vector: usize,
    /// Units that share a row, and rows of a cube.
    width: u32,
    height: u32,
}

impl Extents {
    fn of(w: &CubeTensor) -> Self {
        let rows = w.meta.shape()[0];
        let len = w.meta.num_elements() / rows;
        let vector = vector(&[w], len);
        let columns = len / vector;
        let width = if columns <= 256 { 32 } else { 256 };
        Self { rows, columns, vector, width, height: 256 / width }
    }

    fn cubes(&self) -> CubeCount {
        cubes(self.rows.div_ceil(self.height as usize))
    }
}
