//! `Sampling`: seeds become images, through a network, its sampler and its codec.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{noise::Noise, seeds::Rng};
use crate::{
    Result,
    diffusion::{Codec, Sampler, heun::Drawing},
    kernels,
    nn::{Condition, Network},
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
    ///
    /// # Errors
    /// `NotImages` where the network makes NaN or infinity.
    pub(super) fn images(&self, seeds: &[u64]) -> Result<TensorData> {
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

        let (f64_noise, drawing) = match (self.sampler, self.rng) {
            (Sampler::Edm(_), Rng::Native) => (true, Drawing::WhereAdded),
            // A generator with a state has to draw whenever the reference draws.
            (Sampler::Edm(_), _) => (true, Drawing::Always),
            _ => (false, Drawing::WhereAdded),
        };
        let mut fresh = |step: usize| {
            if f64_noise {
                let values: Vec<f64> = streams.iter_mut().flat_map(|s| s.step_f64(step, size)).collect();
                Tensor::from_data(TensorData::new(values, shape), (self.device, DType::F64))
            } else {
                let values: Vec<f32> = streams.iter_mut().flat_map(|s| s.step_f32(step, size)).collect();
                Tensor::from_data(TensorData::new(values, shape), self.device)
            }
        };
        self.sampler.sample(self.network, &condition, unit, &mut fresh, drawing)
    }

    /// One-hot classes. `[n, classes]`
    fn labels(&self, streams: &mut [Noise]) -> Option<Tensor<2>> {
        let classes = self.network.label_dim();
        if classes == 0 {
            return None;
        }
        let class = |noise: &mut Noise| match self.classes {
            Classes::Among(labels) if !labels.is_empty() => labels[noise.class(labels.len())],
            Classes::Drawn | Classes::Among(_) => noise.class(classes) as u32,
            Classes::Fixed(class) => {
                noise.class(classes);
                class
            }
        };
        let chosen: Vec<u32> = streams.iter_mut().map(class).collect();
        Some(kernels::one_hot(&chosen, classes, self.device))
    }
}
