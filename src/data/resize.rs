//! Resizing exactly as Pillow does it: two passes, 8 bits between them, fixed-point coefficients.

#![allow(clippy::inline_always, reason = "compiled anew inside `wide`")]

use std::{f64::consts::PI, ops::Range};

use crate::{data::pixels::Pixels, kernels::wide};

/// Fractional bits of a coefficient.
const PRECISION: u32 = 22;

/// The kernel of a resampling, stretched when an image shrinks so that nothing aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The mean of the pixels that fall into one.
    Box,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// A sinc windowed by a sinc, three lobes.
    Lanczos,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        match self {
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bicubic => {
                let a = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * a
                } else {
                    0.0
                }
            }
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// Resizes an image; one that has the size already is returned as it is.
///
/// # Panics
/// If a size is 0.
pub fn resize(image: &Pixels, width: usize, height: usize, filter: Filter) -> Pixels {
    assert!(width > 0 && height > 0 && !image.data.is_empty(), "an image has pixels");
    let across = (width != image.width).then(|| Coefficients::new(image.width, width, filter));
    let along = (height != image.height).then(|| Coefficients::new(image.height, height, filter));
    match (across, along) {
        (None, None) => image.clone(),
        (Some(across), None) => horizontal_of(image, &across, 0..image.height),
        (None, Some(along)) => vertical(image, &along, 0),
        (Some(across), Some(along)) if is_vertical_first(image, width, height) => {
            let low = vertical(image, &along, 0);
            horizontal_of(&low, &across, 0..height)
        }
        (Some(across), Some(along)) => {
            // The rows that the second pass will look at; the others need not be made.
            let rows = along.reach();
            vertical(&horizontal_of(image, &across, rows.clone()), &along, rows.start)
        }
    }
}

/// Pillow begins with the rows where they shrink far more than the columns; the 8 bits between the passes make
/// the order visible. (Found by comparison with Pillow 13 over thousands of sizes.)
fn is_vertical_first(image: &Pixels, width: usize, height: usize) -> bool {
    height < image.height && (image.height - height) as i64 > 2 * (image.width as i64 - width as i64)
}

fn horizontal_of(image: &Pixels, coefficients: &Coefficients, rows: Range<usize>) -> Pixels {
    let (width, height) = (coefficients.starts.len(), rows.len());
    let data = wide(
        #[inline(always)]
        || match image.channels {
            1 => horizontal::<1>(image, coefficients, rows),
            2 => horizontal::<2>(image, coefficients, rows),
            3 => horizontal::<3>(image, coefficients, rows),
            _ => horizontal::<4>(image, coefficients, rows),
        },
    );
    Pixels::new(width, height, image.channels, data)
}

/// For every output pixel: where its input begins, and the weights of the pixels from there.
struct Coefficients {
    starts: Vec<usize>,
    counts: Vec<usize>,
    weights: Vec<i32>,
    most: usize,
}

impl Coefficients {
    fn new(input: usize, output: usize, filter: Filter) -> Self {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let most = support.ceil() as usize * 2 + 1;
        let (mut starts, mut counts) = (Vec::with_capacity(output), Vec::with_capacity(output));
        let mut weights = vec![0; output * most];
        let mut raw = vec![0.0; most];
        for (i, weights) in weights.chunks_mut(most).enumerate() {
            let centre = (i as f64 + 0.5) * scale;
            // A conversion to an integer cuts towards zero and stops at zero, as in Pillow.
            let start = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            let raw = &mut raw[..end - start];
            for (k, value) in raw.iter_mut().enumerate() {
                *value = filter.at(((k + start) as f64 - centre + 0.5) * (1.0 / stretch));
            }
            let sum: f64 = raw.iter().sum();
            for (weight, value) in weights.iter_mut().zip(raw) {
                let value = if sum == 0.0 { *value } else { *value / sum };
                let fixed = value * f64::from(1 << PRECISION);
                *weight = (fixed + if value < 0.0 { -0.5 } else { 0.5 }) as i32;
            }
            starts.push(start);
            counts.push(end - start);
        }
        Self { starts, counts, weights, most }
    }

    fn of(&self, i: usize) -> (usize, &[i32]) {
        (self.starts[i], &self.weights[i * self.most..][..self.counts[i]])
    }

    /// The input pixels that matter.
    fn reach(&self) -> Range<usize> {
        let last = self.starts.len() - 1;
        self.starts[0]..self.starts[last] + self.counts[last]
    }
}

/// Rounds a fixed-point sum, to which one half was added, to 8 bits.
#[inline(always)]
fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

#[inline(always)]
fn horizontal<const C: usize>(image: &Pixels, coefficients: &Coefficients, rows: Range<usize>) -> Vec<u8> {
    let width = coefficients.starts.len();
    let mut data = vec![0; rows.len() * width * C];
    let source = image.data.chunks_exact(image.width * C).skip(rows.start);
    for (out, row) in data.chunks_exact_mut(width * C).zip(source) {
        let (row, _) = row.as_chunks::<C>();
        let (out, _) = out.as_chunks_mut::<C>();
        for (i, pixel) in out.iter_mut().enumerate() {
            let (start, weights) = coefficients.of(i);
            let mut sums = [HALF; C];
            for (source, &weight) in row[start..start + weights.len()].iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(source) {
                    *sum += i32::from(value) * weight;
                }
            }
            for (value, sum) in pixel.iter_mut().zip(sums) {
                *value = round(sum);
            }
        }
    }
    data
}

/// `image` begins with row `first` of the image that the coefficients are about.
fn vertical(image: &Pixels, coefficients: &Coefficients, first: usize) -> Pixels {
    wide(
        #[inline(always)]
        || vertical_wide(image, coefficients, first),
    )
}

#[inline(always)]
fn vertical_wide(image: &Pixels, coefficients: &Coefficients, first: usize) -> Pixels {
    let height = coefficients.starts.len();
    let row_bytes = image.width * image.channels;
    let mut result = vec![0; height * row_bytes];
    let mut sums = vec![0; row_bytes];
    for (i, out) in result.chunks_exact_mut(row_bytes).enumerate() {
        let (start, weights) = coefficients.of(i);
        sums.fill(HALF);
        let rows = image.data[(start - first) * row_bytes..].chunks_exact(row_bytes);
        for (row, &weight) in rows.zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        for (value, &sum) in out.iter_mut().zip(&sums) {
            *value = round(sum);
        }
    }
    Pixels::new(image.width, height, image.channels, result)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(width: usize, height: usize, channels: usize) -> Pixels {
        let value = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
        Pixels::new(width, height, channels, (0..width * height * channels).map(value).collect())
    }

    fn filters() -> impl Strategy<Value = Filter> {
        prop::sample::select(vec![Filter::Box, Filter::Bicubic, Filter::Lanczos])
    }

    proptest! {
        #[test]
        fn a_constant_image_stays_constant(w in 1_usize..40, h in 1_usize..40, ow in 1_usize..40, oh in 1_usize..40, value: u8, filter in filters()) {
            let image = Pixels::new(w, h, 3, vec![value; w * h * 3]);
            let resized = resize(&image, ow, oh, filter);
            prop_assert_eq!((resized.width, resized.height), (ow, oh));
            prop_assert!(resized.data.iter().all(|&v| v == value));
        }

        #[test]
        fn the_same_size_is_the_same_image(w in 1_usize..40, h in 1_usize..40, filter in filters()) {
            let image = noise(w, h, 3);
            prop_assert_eq!(resize(&image, w, h, filter), image);
        }

        #[test]
        fn channels_do_not_mix(w in 1_usize..30, h in 1_usize..30, ow in 1_usize..30, oh in 1_usize..30, filter in filters()) {
            let image = noise(w, h, 3);
            let resized = resize(&image, ow, oh, filter);
            for (channel, plane) in image.to_chw().chunks(w * h).enumerate() {
                let alone = resize(&Pixels::new(w, h, 1, plane.to_vec()), ow, oh, filter);
                prop_assert_eq!(&alone.data, &resized.to_chw()[channel * ow * oh..][..ow * oh]);
            }
        }

        #[test]
        fn a_mirrored_image_gives_the_mirrored_result(w in 1_usize..30, ow in 1_usize..30, filter in filters()) {
            // A box takes a pixel on the boundary on one side only; everything else is symmetric.
            prop_assume!(filter != Filter::Box);
            let image = noise(w, 5, 1);
            let mut mirrored = image.clone();
            mirrored.data.chunks_mut(w).for_each(<[u8]>::reverse);
            let mut expected = resize(&image, ow, 4, filter);
            expected.data.chunks_mut(ow).for_each(<[u8]>::reverse);
            prop_assert_eq!(resize(&mirrored, ow, 4, filter), expected);
        }
    }

    #[test]
    fn halving_with_a_box_is_the_rounded_mean() {
        let image = Pixels::new(4, 2, 1, vec![0, 1, 10, 20, 3, 4, 30, 40]);
        // Rows first: means of pairs, halves up; then the columns.
        assert_eq!(resize(&image, 2, 1, Filter::Box).data, [3, 25]);
    }
}
