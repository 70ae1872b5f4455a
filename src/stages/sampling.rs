//! `Sampling`: seeds become images, through a network, its sampler and its codec.

use std::cell::RefCell;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{noise::Noise, seeds::Rng};
use crate::{
    diffusion::{
        Codec, EdmSampler, Sampler,
        heun::{Churn, Drawing, Heun},
        noise_level::RhoSchedule,
    },
    nn::{Condition, Denoiser, Dropout, Network},
};

/// Where the classes of images come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Classes<'a> {
    /// Each image draws its own.
    Drawn,
    /// One for all.
    Fixed(u32),
    /// One of these, drawn: the labels of a dataset.
    Among(&'a [u32]),
}

/// How seeds become images.
pub(super) struct Sampling<'a> {
    /// Without a tape.
    pub(super) network: &'a Network,
    /// What the network's images are.
    pub(super) codec: &'a Codec,
    /// How noise becomes images.
    pub(super) sampler: &'a Sampler,
    /// The random stream behind a seed.
    pub(super) rng: Rng,
    /// Where classes come from.
    pub(super) classes: Classes<'a>,
    /// Where the network is.
    pub(super) device: &'a Device,
}

impl Sampling<'_> {
    /// The images of some seeds, at once. => u8 `[n, c, h, w]`
    pub(super) fn images(&self, seeds: &[u64]) -> TensorData {
        self.codec.decode(self.latents(seeds))
    }

    /// What the network makes of some seeds, before it becomes bytes. => `[n, c, h, w]`
    pub(super) fn latents(&self, seeds: &[u64]) -> Tensor<4> {
        let side = self.network.img_resolution();
        let shape = [seeds.len(), self.network.img_channels(), side, side];
        let size = shape[1] * side * side;
        let mut streams: Vec<Noise> = seeds.iter().map(|&seed| Noise::new(self.rng, seed)).collect();
        let unit: Vec<f32> = streams.iter_mut().flat_map(|noise| noise.latents(size)).collect();
        let unit = Tensor::from_data(TensorData::new(unit, shape), self.device);
        let condition = Condition { class_labels: self.labels(&mut streams), augment_labels: None };

        let streams = RefCell::new(streams);
        let fresh_f64 = |step: usize| {
            let values: Vec<f64> =
                streams.borrow_mut().iter_mut().flat_map(|s| s.step_f64(step, size)).collect();
            Tensor::from_data(TensorData::new(values, shape), (self.device, DType::F64))
        };
        let fresh_f32 = |step: usize| {
            let values: Vec<f32> =
                streams.borrow_mut().iter_mut().flat_map(|s| s.step_f32(step, size)).collect();
            Tensor::from_data(TensorData::new(values, shape), self.device)
        };
        match self.sampler {
            Sampler::OneStep(one) => self.denoise(unit * one.init_sigma, one.init_sigma, &condition),
            Sampler::MultiStep(multi) => {
                let n = multi.num_steps;
                let level = |step: u32| multi.init_sigma * f64::from(n - step) / f64::from(n);
                let first = self.denoise(unit * multi.init_sigma, multi.init_sigma, &condition);
                (1..n).fold(first, |x, step| {
                    let noisy = x + fresh_f32(step as usize) * level(step);
                    self.denoise(noisy, level(step), &condition)
                })
            }
            Sampler::Edm(settings) => {
                let heun = Heun {
                    schedule: self.within_range(settings),
                    precision: DType::F64,
                    round_sigma: &|sigma| self.network.round_sigma(sigma),
                    drawing: if self.rng == Rng::Native { Drawing::WhereAdded } else { Drawing::Always },
                    ..heun(settings)
                };
                let mut denoise = |x: Tensor<4>, sigma: f64| {
                    self.denoise(x.cast(DType::F32), sigma, &condition).cast(DType::F64)
                };
                heun.sample(unit, &mut denoise, &mut |step| fresh_f64(step)).cast(DType::F32)
            }
            Sampler::Edm2(settings) => {
                let mut denoise = |x: Tensor<4>, sigma: f64| self.denoise(x, sigma, &condition);
                heun(settings).sample(unit, &mut denoise, &mut |step| fresh_f32(step))
            }
        }
    }

    fn denoise(&self, noisy: Tensor<4>, sigma: f64, condition: &Condition) -> Tensor<4> {
        let n = noisy.dims()[0];
        let sigma = Tensor::full([n, 1, 1, 1], sigma, (self.device, DType::F32));
        self.network.denoise(noisy, sigma, condition, Dropout::Off).images
    }

    /// One-hot classes. `[n, classes]`
    fn labels(&self, streams: &mut [Noise]) -> Option<Tensor<2>> {
        let classes = self.network.label_dim();
        if classes == 0 {
            return None;
        }
        let mut rows = vec![0.0f32; streams.len() * classes];
        for (row, noise) in rows.chunks_mut(classes).zip(streams) {
            let class = match self.classes {
                Classes::Among(labels) if !labels.is_empty() => labels[noise.class(labels.len())] as usize,
                Classes::Drawn | Classes::Among(_) => noise.class(classes),
                Classes::Fixed(class) => {
                    noise.class(classes);
                    class as usize
                }
            };
            row[class] = 1.0;
        }
        let n = rows.len() / classes;
        Some(Tensor::from_data(TensorData::new(rows, [n, classes]), self.device))
    }

    /// The schedule, clipped to what the network knows (EDM).
    fn within_range(&self, settings: &EdmSampler) -> RhoSchedule {
        RhoSchedule {
            sigma_min: settings.sigma_min.max(self.network.sigma_min()),
            sigma_max: settings.sigma_max.min(self.network.sigma_max()),
            rho: settings.rho,
        }
    }
}

/// Heun's method in f32 and without rounding: EDM2's.
fn heun(settings: &EdmSampler) -> Heun<'static> {
    Heun {
        num_steps: settings.num_steps as usize,
        schedule: RhoSchedule {
            sigma_min: settings.sigma_min,
            sigma_max: settings.sigma_max,
            rho: settings.rho,
        },
        churn: Churn {
            s_churn: settings.s_churn,
            s_min: settings.s_min,
            s_max: settings.s_max.unwrap_or(f64::INFINITY),
            s_noise: settings.s_noise,
        },
        precision: DType::F32,
        round_sigma: &|sigma| sigma,
        drawing: Drawing::WhereAdded,
    }
}
