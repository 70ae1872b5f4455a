//! Group normalisation with what surrounds it: a cube takes whole groups of one sample, and reads them twice.

mod forward;
mod gradient;
mod over_samples;

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::prelude::*;

use crate::{
    launch::{dims, vector},
    silu::splat,
};

pub use forward::group_norm;
pub use gradient::group_norm_gradients;

/// What a normalisation is given besides x.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// `[c]`
    pub weight: CubeTensor,
    /// `[c]`
    pub bias: CubeTensor,
    /// Added to x. `[n, c]`
    pub shift_before: Option<CubeTensor>,
    /// The normalised values times one plus the first half of the channels, plus the second. `[n, 2 c]`
    pub scale_shift: Option<CubeTensor>,
}

impl Parameters {
    fn contiguous(self) -> Self {
        Self {
            weight: into_contiguous(self.weight),
            bias: into_contiguous(self.bias),
            shift_before: self.shift_before.map(into_contiguous),
            scale_shift: self.scale_shift.map(into_contiguous),
        }
    }

    /// What has one row per sample, or else the weight: whose type counts.
    fn per_sample(&self) -> &CubeTensor {
        self.shift_before.as_ref().or(self.scale_shift.as_ref()).unwrap_or(&self.weight)
    }
}

/// How channels are laid over cubes: `width` vectors each, which are whole groups, at `height` positions at a time.
#[derive(Clone, Copy, Debug)]
struct Tiling {
    vector: usize,
    width: u32,
    height: u32,
    /// Along channels and samples.
    cubes: [u32; 2],
}

/// A cube's units, at most, and the bytes of neighbouring channels that make a read worth its while.
const UNITS: usize = 256;
const BYTES: usize = 64;

impl Tiling {
    fn of(x: &CubeTensor, groups: usize, parameters: &Parameters) -> Self {
        let [n, _, _, c] = dims(x);
        assert!(groups > 0 && c.is_multiple_of(groups), "{groups} groups of {c} channels");
        let vector = vector(&[x, &parameters.weight, parameters.per_sample()], c);
        let (columns, group) = (c / vector, c / groups);
        assert_eq!(parameters.weight.dtype, parameters.bias.dtype, "weight and bias share a type");
        let whole = |width: &usize| columns.is_multiple_of(*width) && (width * vector).is_multiple_of(group);
        let wide = |width: &usize| *width == columns || width * vector * x.dtype.size() >= BYTES;
        let width = (1..=columns).find(|width| whole(width) && wide(width)).unwrap_or(columns);
        assert!(width <= UNITS, "groups of {group} channels are more than a cube takes");
        let height = 1 << (UNITS / width).ilog2();
        Self { vector, width: width as u32, height, cubes: [(columns / width) as u32, n as u32] }
    }

    fn count(&self) -> CubeCount {
        CubeCount::new_2d(self.cubes[0], self.cubes[1])
    }

    fn dim(&self) -> CubeDim {
        CubeDim::new_2d(self.width, self.height)
    }
}

/// The weight and bias that some channels of a sample see, scale and shift included. Rows have so many `columns`.
#[cube]
fn effective<P: Float, S: Float, N: Size>(
    weight: &[Vector<P, N>],
    bias: &[Vector<P, N>],
    scale_shift: &ComptimeOption<&[Vector<S, N>]>,
    column: usize,
    columns: usize,
    sample: usize,
) -> (Vector<f32, N>, Vector<f32, N>) {
    let mut factor = Vector::<f32, N>::cast_from(weight[column]);
    let mut offset = Vector::<f32, N>::cast_from(bias[column]);
    #[comptime]
    match scale_shift {
        ComptimeOption::Some(both) => {
            let at = sample * 2 * columns + column;
            let scale = splat::<N>(1.0f32) + Vector::cast_from(both[at]);
            factor *= scale;
            offset = offset * scale + Vector::cast_from(both[at + columns]);
        }
        ComptimeOption::None => {}
    }
    (factor, offset)
}

/// Some channels of a tensor that may be absent, which then counts as zeros.
#[cube]
fn or_zero<S: Float, N: Size>(part: &ComptimeOption<&[Vector<S, N>]>, at: usize) -> Vector<f32, N> {
    #[comptime]
    match part {
        ComptimeOption::Some(part) => Vector::<f32, N>::cast_from(part[at]),
        ComptimeOption::None => splat::<N>(0.0f32),
    }
}
