//! A small convolutional network with fixed random weights, as a detector that needs no download.
//!
//! Random convolutions respond to edges and strokes, so a Gaussian with the data's pixel moments, which fools
//! [`Pixels`](super::Pixels), is found out. The network is part of the metric's meaning and never changes:
//!
//! ```text
//! x = pixels / 127.5 - 1
//! first    3x3, c -> 32, stride 1                          ReLU after every convolution, no biases,
//! halve0   3x3, 32 -> 64, stride 2                         zero padding of 1
//! halve1.. 3x3, 64 -> 64, stride 2, while a side is >= 8
//! last     3x3, 64 -> 64, stride 1
//! features = mean over the map of each of the 64 channels, then its standard deviation (population)
//! ```
//!
//! Weight `i` (row-major in `[out, in, 3, 3]`) of the tensor called `name` is `sqrt(6 / (9 in)) u_i`, rounded
//! once to f32, where `u_i` is SplitMix64 of `FNV-1a-64("random_conv.<name>.weight")`:
//!
//! ```text
//! z = hash + (i + 1) 0x9E3779B97F4A7C15                    modulo 2^64
//! z = (z ^ (z >> 30)) 0xBF58476D1CE4E5B9
//! z = (z ^ (z >> 27)) 0x94D049BB133111EB
//! u = ((z ^ (z >> 31)) >> 40) / 2^23 - 1
//! ```

use burn::tensor::{Device, Tensor, TensorData, activation::relu};

use super::detector::{Detect, Detected, to_unit_range};
use crate::{Error, Result, kernels};

const FIRST_CHANNELS: usize = 32;
const CHANNELS: usize = 64;
/// Maps are halved until both sides are smaller.
const SIDE: usize = 8;

/// The detector `random_conv`: 128 features of images of any size and number of channels.
#[derive(Clone, Debug)]
pub struct RandomConv {
    first: Tensor<4>,
    halve: Vec<Tensor<4>>,
    last: Tensor<4>,
}

impl RandomConv {
    /// For images `[n, channels, height, width]`.
    pub fn new(channels: usize, height: usize, width: usize, device: &Device) -> Self {
        let make = |name: &str, out: usize, input: usize| {
            Tensor::from_data(TensorData::new(weight(name, out, input), [out, input, 3, 3]), device)
        };
        // One halving always, then as many as the larger side needs.
        let mut side = height.max(width).div_ceil(2);
        let mut halve = vec![make("halve0", CHANNELS, FIRST_CHANNELS)];
        while side >= SIDE {
            halve.push(make(&format!("halve{}", halve.len()), CHANNELS, CHANNELS));
            side = side.div_ceil(2);
        }
        Self { first: make("first", FIRST_CHANNELS, channels), halve, last: make("last", CHANNELS, CHANNELS) }
    }
}

impl Detect for RandomConv {
    fn detect(&self, images: Tensor<4>) -> Result<Detected> {
        let (channels, expected) = (images.dims()[1], self.first.dims()[1]);
        if channels != expected {
            let problem = format!("images of {channels} channels for a detector made for {expected}");
            return Err(Error::Unusable(problem));
        }
        let conv = |x, weight: &Tensor<4>, stride| {
            relu(kernels::conv2d_with(x, weight.clone(), None, stride, [1, 1]))
        };
        let mut x = conv(kernels::to_nhwc(to_unit_range(images)), &self.first, 1);
        for weight in &self.halve {
            x = conv(x, weight, 2);
        }
        let x = conv(x, &self.last, 1);
        let [n, h, w, c] = x.dims();
        let x = x.reshape([n, h * w, c]);
        let mean = x.clone().mean_dim(1);
        let std = (x - mean.clone()).square().mean_dim(1).sqrt();
        let features = Tensor::cat(vec![mean, std], 2).reshape([n, 2 * c]);
        Ok(Detected { features, probabilities: None })
    }
}

/// He's uniform initialisation (He et al. 2015), by the rule above. `[out, input, 3, 3]`
fn weight(name: &str, out: usize, input: usize) -> Vec<f32> {
    let hash = fnv1a64(&format!("random_conv.{name}.weight"));
    let scale = (6.0 / (9 * input) as f64).sqrt();
    (0..out * input * 9).map(|i| (scale * uniform(hash, i as u64)) as f32).collect()
}

fn fnv1a64(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The i-th number of a tensor, in [-1, 1).
fn uniform(hash: u64, i: u64) -> f64 {
    let z = hash.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}

#[cfg(test)]
#[expect(clippy::unreadable_literal, reason = "published check values")]
mod tests {
    use super::*;
    use crate::{
        data::{DatasetOptions, ImageDataset},
        metrics::{Divisor, Keep, Moments, Observed, Pixels, frechet_distance},
        seed::{Phase, Seed},
    };

    fn features(images: Vec<f32>, shape: [usize; 4]) -> Vec<f32> {
        let device = Device::flex();
        let detector = RandomConv::new(shape[1], shape[2], shape[3], &device);
        let images = Tensor::from_data(TensorData::new(images, shape), &device);
        let features = detector.detect(images).unwrap().features;
        assert_eq!(features.dims(), [shape[0], 2 * CHANNELS]);
        features.into_data().try_to_vec().unwrap()
    }

    fn ramp(shape: [usize; 4]) -> Vec<f32> {
        (0..shape.iter().product::<usize>()).map(|i| (i * 37 % 256) as f32).collect()
    }

    #[test]
    fn the_rule_gives_its_check_values() {
        const SEED: u64 = 601;
        // From the specification of the recorded cases, whose weights follow the same rule.
        let hash = fnv1a64("fc.weight");
        assert_eq!(hash, 0x79fb28a75603c7a0);
        let truth = [0.18221044540405273, 0.13607382774353027, -0.2777951955795288, 0.7226052284240723];
        for (i, truth) in truth.into_iter().enumerate() {
            assert!((uniform(hash ^ SEED, i as u64) - truth).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn the_network_is_what_its_description_says() {
        // The smallest case in plain loops and f64: one image [1, 8, 8].
        let image = ramp([1, 1, 8, 8]);
        let mut x = vec![image.iter().map(|v| f64::from(*v) / 127.5 - 1.0).collect::<Vec<f64>>()];
        let mut side = 8;
        for (name, out, stride) in [("first", 32, 1), ("halve0", 64, 2), ("last", 64, 1)] {
            let inputs = x.len();
            let weight = weight(name, out, inputs);
            let half = side / stride;
            let mut y = vec![vec![0.0; half * half]; out];
            for (k, y) in y.iter_mut().enumerate() {
                for (at, y) in y.iter_mut().enumerate() {
                    for (c, x) in x.iter().enumerate() {
                        for tap in 0..9 {
                            let (row, column) = (at / half * stride + tap / 3, at % half * stride + tap % 3);
                            if (1..=side).contains(&row) && (1..=side).contains(&column) {
                                let weight = weight[(k * inputs + c) * 9 + tap];
                                *y += f64::from(weight) * x[(row - 1) * side + column - 1];
                            }
                        }
                    }
                    *y = y.max(0.0);
                }
            }
            (x, side) = (y, half);
        }
        let n = (side * side) as f64;
        let means: Vec<f64> = x.iter().map(|map| map.iter().sum::<f64>() / n).collect();
        let deviation = |(map, mean): (&Vec<f64>, &f64)| {
            (map.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt()
        };
        let truth: Vec<f64> = means.iter().copied().chain(x.iter().zip(&means).map(deviation)).collect();
        let largest = truth.iter().copied().fold(0.0, f64::max);
        for (found, truth) in features(image, [1, 1, 8, 8]).iter().zip(truth) {
            assert!((f64::from(*found) - truth).abs() < 1e-5 * largest, "{found} {truth}");
        }
    }

    #[test]
    fn other_sizes_and_channels_work() {
        for shape in [[2, 3, 8, 8], [1, 1, 9, 13], [1, 3, 64, 64], [1, 4, 8, 40]] {
            assert!(features(ramp(shape), shape).iter().all(|f| f.is_finite() && *f >= 0.0));
        }
        let halvings = |side| RandomConv::new(1, side, side, &Device::flex()).halve.len();
        assert_eq!([8, 15, 16, 32, 64].map(halvings), [1, 2, 2, 3, 4]);
    }

    #[test]
    fn an_image_is_seen_alike_in_every_batch() {
        let (one, other) = (ramp([1, 1, 8, 8]), vec![200.0; 64]);
        let both = features([other, one.clone()].concat(), [2, 1, 8, 8]);
        let alone = features(one, [1, 1, 8, 8]);
        for (a, b) in both[2 * CHANNELS..].iter().zip(&alone) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1e-3));
        }
    }

    #[test]
    fn other_channels_are_an_error() {
        let device = Device::flex();
        let detector = RandomConv::new(3, 8, 8, &device);
        assert!(detector.detect(Tensor::zeros([1, 1, 8, 8], &device)).is_err());
    }

    /// The digits of the repository, and 2,000 draws of a Gaussian with their pixel moments, as uint8 values.
    fn digits_and_gaussian() -> (Vec<f32>, Vec<f32>) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/digits-8x8.zip");
        let dataset = ImageDataset::open(path.as_ref(), &DatasetOptions::default()).unwrap();
        let image = |i| dataset.image(i).unwrap().iter().map(|v| f32::from(*v)).collect::<Vec<_>>();
        let digits: Vec<f32> = (0..dataset.len()).flat_map(image).collect();
        let mut moments = Moments::new(64);
        moments.extend(&digits);
        let statistics = moments.statistics(Divisor::Sample).unwrap();
        let eigen = statistics.covariance.self_adjoint_eigen(faer::Side::Lower).unwrap();
        let (vectors, values) = (eigen.U(), eigen.S().column_vector());
        let normals = Seed(0).at(Phase::Sample, 0).normals(0..2000, 64);
        let gaussian = normals.chunks(64).flat_map(|z| {
            let statistics = &statistics;
            (0..64).map(move |i| {
                let parts = z
                    .iter()
                    .enumerate()
                    .map(|(k, z)| vectors[(i, k)] * values[k].max(0.0).sqrt() * f64::from(*z));
                (statistics.mean[i] + parts.sum::<f64>()).round().clamp(0.0, 255.0) as f32
            })
        });
        let gaussian = gaussian.collect();
        (digits, gaussian)
    }

    #[test]
    fn it_finds_out_what_pixel_moments_miss() {
        let (digits, gaussian) = digits_and_gaussian();
        let (even, odd): (Vec<_>, Vec<_>) = digits.chunks(64).enumerate().partition(|(i, _)| i % 2 == 0);
        let half = |rows: Vec<(usize, &[f32])>| {
            rows.iter().flat_map(|(_, image)| image.to_vec()).collect::<Vec<_>>()
        };
        let (even, odd) = (half(even), half(odd));
        let device = Device::flex();
        let statistics = |detector: &dyn Detect, images: &[f32]| {
            let images = TensorData::new(images.to_vec(), [images.len() / 64, 1, 8, 8]);
            let mut observed = Observed::new(Keep { moments: true, ..Keep::default() });
            observed.add(detector.detect(Tensor::from_data(images, &device)).unwrap()).unwrap();
            observed.statistics(Divisor::Sample).unwrap()
        };
        let ratio = |detector: &dyn Detect| {
            let between =
                |a, b| frechet_distance(&statistics(detector, a), &statistics(detector, b)).unwrap();
            let (false_friend, real) = (between(&gaussian, &digits), between(&even, &odd));
            println!("gaussian {false_friend:.4}, half of the real images against the other {real:.4}");
            false_friend / real
        };
        let (pixels, random_conv) = (ratio(&Pixels), ratio(&RandomConv::new(1, 8, 8, &device)));
        assert!(random_conv > 10.0, "{random_conv}");
        assert!(random_conv > 4.0 * pixels, "{random_conv} {pixels}");
    }
}
