//! Sampling: noise becomes images by any of the samplers.

use burn::tensor::{DType, Device, Tensor};

use super::{
    heun::{Denoise, Drawing, FreshNoise, Heun, home},
    sampler_settings::{EdmSampler, MultiStep, Sampler},
};
use crate::{
    kernels,
    nn::{Condition, Denoiser, Dropout, Network},
};

impl Sampler {
    /// Images of unit noise; in f64 where the sampler works in that (EDM), and then where `home` says. The network has
    /// no tape and is where the latents are. latents, noise and images `[n, c, h, w]`
    pub fn sample(
        &self,
        network: &Network,
        condition: &Condition,
        latents: Tensor<4>,
        noise: &mut FreshNoise<'_>,
        drawing: Drawing,
    ) -> Tensor<4> {
        let device = latents.device();
        let mut denoise = |x: Tensor<4>, sigma: f64| ask(network, &device, condition, x, sigma);
        self.walk(network, latents, &mut denoise, noise, drawing)
    }

    /// The same through any denoiser; of `network` only its noise levels are asked.
    pub fn walk(
        &self,
        network: &Network,
        latents: Tensor<4>,
        denoise: &mut Denoise<'_>,
        noise: &mut FreshNoise<'_>,
        drawing: Drawing,
    ) -> Tensor<4> {
        match self {
            Self::OneStep(one) => denoise(latents * one.init_sigma, one.init_sigma),
            Self::MultiStep(multi) => several_steps(multi, latents, denoise, noise),
            Self::Edm(settings) => {
                let round_sigma = |sigma: f64| network.round_sigma(sigma);
                let (low, high) = network.config().sigma_range();
                let (sigma_min, sigma_max) = (settings.sigma_min.max(low), settings.sigma_max.min(high));
                let within = EdmSampler { sigma_min, sigma_max, ..settings.clone() };
                let (precision, home) = (DType::F64, home(DType::F64, &latents.device()));
                let heun = Heun { settings: &within, precision, home, round_sigma: &round_sigma, drawing };
                heun.sample(latents, denoise, noise)
            }
            // In f32, without rounding, drawing only where noise is added.
            Self::Edm2(settings) => {
                let (precision, home) = (DType::F32, latents.device());
                let (round_sigma, drawing) = (&|sigma| sigma, Drawing::WhereAdded);
                let heun = Heun { settings, precision, home, round_sigma, drawing };
                heun.sample(latents, denoise, noise)
            }
        }
    }
}

/// D(x; sigma) in the precision of x and where x is; the network, on `device`, works in its own. Only f32 travels.
pub fn ask(network: &Network, device: &Device, condition: &Condition, x: Tensor<4>, sigma: f64) -> Tensor<4> {
    let (precision, home, n) = (x.dtype(), x.device(), x.dims()[0]);
    let x = kernels::cast(x, DType::F32).to_device(device);
    let sigma = Tensor::full([n, 1, 1, 1], sigma, (device, DType::F32));
    kernels::cast(network.denoise(x, sigma, condition, Dropout::Off).images.to_device(&home), precision)
}

/// A distilled generator, each step from the last image with fresh noise, at level `init_sigma` (n - k) / n.
fn several_steps(
    multi: &MultiStep,
    latents: Tensor<4>,
    denoise: &mut Denoise<'_>,
    noise: &mut FreshNoise<'_>,
) -> Tensor<4> {
    let n = multi.num_steps;
    let first = denoise(latents * multi.init_sigma, multi.init_sigma);
    (1..n).fold(first, |x, k| {
        let sigma = multi.init_sigma * f64::from(n - k) / f64::from(n);
        denoise(x + noise(k as usize - 1) * sigma, sigma)
    })
}
