//! Halving and doubling the resolution with a separable filter, NHWC, in one launch.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use crate::launch::{cubes_for, dims, element, empty};

/// A separable filter. The small side's pixel (y, x) sees the large side's pixels `2 y + t - padding`, for taps t.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// One-dimensional weights, normalised.
    pub taps: &'a [f32],
    /// Zeros around the large side.
    pub padding: usize,
    /// Times the result.
    pub gain: f32,
}

/// A filter that a kernel is compiled for: the gain is in the bits of one axis' taps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Compiled {
    rows: Vec<u32>,
    columns: Vec<u32>,
    padding: usize,
}

impl Filter<'_> {
    fn compiled(self) -> Compiled {
        let bits = |gain: f32| self.taps.iter().map(|tap| (tap * gain).to_bits()).collect();
        Compiled { rows: bits(self.gain), columns: bits(1.0), padding: self.padding }
    }
}

/// large `[n, h, w, c]` in any layout, small `[n, h', w', c]`; a unit for each value of small.
#[cube(launch)]
fn down_kernel<F: Float>(
    large: &Tensor<F>,
    small: &mut Tensor<F>,
    #[comptime] filter: Compiled,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= small.len() {
        terminate!();
    }
    let (h, w) = (large.shape(1), large.shape(2));
    let (channel, pixel) = (ABSOLUTE_POS % small.shape(3), ABSOLUTE_POS / small.shape(3));
    let (x, row) = (pixel % small.shape(2) * 2, pixel / small.shape(2));
    let (y, image) = (row % small.shape(1) * 2, row / small.shape(1));
    let from = image * large.stride(0) + channel * large.stride(3);
    let padding = comptime!(filter.padding);
    let taps = comptime!(filter.rows.len());
    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..taps {
        if y + i >= padding && y + i < h + padding {
            let from = from + (y + i - padding) * large.stride(1);
            #[unroll]
            for j in 0..taps {
                if x + j >= padding && x + j < w + padding {
                    let tap = comptime!(f32::from_bits(filter.rows[i]) * f32::from_bits(filter.columns[j]));
                    sum += tap * f32::cast_from(large[from + (x + j - padding) * large.stride(2)]);
                }
            }
        }
    }
    small[ABSOLUTE_POS] = F::cast_from(sum);
}

/// Which of two taps, that of an even or of an odd place; beyond the last, zero.
#[cube]
fn tap(odd: bool, #[comptime] taps: Vec<u32>, #[comptime] pair: usize) -> f32 {
    let even_tap = comptime!(taps.get(2 * pair).map_or(0.0, |tap| f32::from_bits(*tap)));
    let odd_tap = comptime!(taps.get(2 * pair + 1).map_or(0.0, |tap| f32::from_bits(*tap)));
    select(odd, odd_tap, even_tap)
}

/// small `[n, h', w', c]` in any layout, large `[n, h, w, c]`; a unit for each value of large. It sees the pixels
/// `(y + padding - t) / 2` of small where that is whole: taps t of one parity.
#[cube(launch)]
fn up_kernel<F: Float>(
    small: &Tensor<F>,
    large: &mut Tensor<F>,
    #[comptime] filter: Compiled,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= large.len() {
        terminate!();
    }
    let (h, w) = (small.shape(1), small.shape(2));
    let (channel, pixel) = (ABSOLUTE_POS % large.shape(3), ABSOLUTE_POS / large.shape(3));
    let (x, row) = (pixel % large.shape(2) + filter.padding, pixel / large.shape(2));
    let (y, image) = (row % large.shape(1) + filter.padding, row / large.shape(1));
    let from = image * small.stride(0) + channel * small.stride(3);
    let pairs = comptime!(filter.rows.len().div_ceil(2));
    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..pairs {
        let row_tap = tap(y % 2 == 1, comptime!(filter.rows.clone()), i);
        if y / 2 >= i && y / 2 - i < h {
            let from = from + (y / 2 - i) * small.stride(1);
            #[unroll]
            for j in 0..pairs {
                let column_tap = tap(x % 2 == 1, comptime!(filter.columns.clone()), j);
                if x / 2 >= j && x / 2 - j < w {
                    sum += row_tap * column_tap * f32::cast_from(small[from + (x / 2 - j) * small.stride(2)]);
                }
            }
        }
    }
    large[ABSOLUTE_POS] = F::cast_from(sum);
}

/// large `[n, h, w, c]` => `small`: `[h', w']`: `[n, h', w', c]`, gain * filtered
pub fn down(large: CubeTensor, filter: Filter<'_>, [h, w]: [usize; 2]) -> CubeTensor {
    let [n, _, _, c] = dims(&large);
    let (small, dtype, client) = (empty(&large, [n, h, w, c]), element(&large), large.client.clone());
    let (count, dim) = cubes_for(n * h * w * c);
    let (from, to) = (large.into_tensor_arg(), small.clone().into_tensor_arg());
    down_kernel::launch(&client, count, dim, from, to, filter.compiled(), dtype);
    small
}

/// The transpose of [`down`]. small `[n, h', w', c]` => `large`: `[h, w]`: `[n, h, w, c]`
pub fn up(small: CubeTensor, filter: Filter<'_>, [h, w]: [usize; 2]) -> CubeTensor {
    let [n, _, _, c] = dims(&small);
    let (large, dtype, client) = (empty(&small, [n, h, w, c]), element(&small), small.client.clone());
    let (count, dim) = cubes_for(n * h * w * c);
    let (from, to) = (small.into_tensor_arg(), large.clone().into_tensor_arg());
    up_kernel::launch(&client, count, dim, from, to, filter.compiled(), dtype);
    large
}
