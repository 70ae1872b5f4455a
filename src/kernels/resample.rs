//! Halving and doubling the resolution.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::resample::Resampling,
    meaning,
    tape::{Operand, record},
};

/// Halves the resolution with a separable depthwise filter: outer product over sum squared, padding
/// `(len - 1) / 2`, stride 2. x `[n, h, w, c]` => `[n, h / 2, w / 2, c]`
pub fn downsample(x: Tensor<4>, filter: &[f32]) -> Tensor<4> {
    let Some(x) = Operand::of_cpu(&x) else { return meaning::downsample(x, filter) };
    let [n, h, w, c] = x.array.dims();
    let small = [h, w].map(|len| (len + 2 * padding(filter) - filter.len()) / 2 + 1);
    Resample { n, c, large: [h, w], small, taps: taps(filter), down: true }.apply(x)
}

/// Doubles the resolution with a separable depthwise filter, transposed, times 4.
/// x `[n, h, w, c]` => `[n, 2 h, 2 w, c]`
pub fn upsample(x: Tensor<4>, filter: &[f32]) -> Tensor<4> {
    let Some(x) = Operand::of_cpu(&x) else { return meaning::upsample(x, filter) };
    let [n, h, w, c] = x.array.dims();
    let large = [h, w].map(|len| 2 * len - 2 + filter.len() - 2 * padding(filter));
    Resample { n, c, large, small: [h, w], taps: taps(filter), down: false }.apply(x)
}

fn padding(filter: &[f32]) -> usize {
    (filter.len() - 1) / 2
}

/// The filter, normalised.
fn taps(filter: &[f32]) -> Vec<f32> {
    let sum: f32 = filter.iter().sum();
    filter.iter().map(|tap| tap / sum).collect()
}

/// One change of resolution, and its backward pass: its transpose.
#[derive(Clone)]
struct Resample {
    n: usize,
    c: usize,
    large: [usize; 2],
    small: [usize; 2],
    taps: Vec<f32>,
    down: bool,
}

impl Resample {
    fn apply(self, x: Operand) -> Tensor<4> {
        let output = self.run(x.array.values(), self.down);
        record([Some(x)], output, |_| {
            move |gradient: Array, _: [bool; 1]| [Some(self.run(gradient.values(), !self.down))]
        })
    }

    fn run(&self, x: &[f32], down: bool) -> Array {
        let Self { n, c, large, small, ref taps, .. } = *self;
        let resampling = Resampling { n, large, small, c, taps, padding: padding(taps) };
        let gain = if self.down { 1.0 } else { 4.0 };
        let [h, w] = if down { small } else { large };
        Array::build(
            [n, h, w, c],
            |y| if down { resampling.down(x, gain, y) } else { resampling.up(x, gain, y) },
        )
    }
}
