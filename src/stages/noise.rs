//! `Noise`: the random stream behind the seed of one image.

use super::seeds::Rng;
use crate::{
    rng::{Gpu, TorchCpu, TorchCuda},
    seed::{Draw, Phase, Seed},
};

/// Everything random that makes one image: its latents first, then its class, then what its sampler adds.
#[expect(clippy::large_enum_variant, reason = "there is one per image of a batch")]
pub(super) enum Noise {
    /// A function of the seed and the purpose.
    Native(Draw),
    /// `torch.Generator("cpu")`.
    Cpu(TorchCpu),
    /// `torch.Generator("cuda")`; images of up to 64 x 64 x 4 values are the same on every GPU.
    Cuda(TorchCuda),
}

impl Noise {
    /// The stream of one seed. Torch's generators take it modulo 2^32, as the reference's scripts do.
    pub(super) fn new(rng: Rng, seed: u64) -> Self {
        match rng {
            Rng::Native => Self::Native(Seed(seed).at(Phase::Sample, 0)),
            Rng::TorchCpu => Self::Cpu(TorchCpu::new(seed & 0xffff_ffff)),
            Rng::TorchCuda => Self::Cuda(TorchCuda::new(seed & 0xffff_ffff, Gpu::H100)),
        }
    }

    /// The image's latents: standard normals.
    pub(super) fn latents(&mut self, n: usize) -> Vec<f32> {
        match self {
            Self::Native(draw) => draw.purpose("z").normals(0..1, n),
            Self::Cpu(generator) => generator.randn_f32(n),
            Self::Cuda(generator) => generator.randn_f32(n),
        }
    }

    /// The image's class, drawn after the latents and also where it is not used.
    pub(super) fn class(&mut self, classes: usize) -> usize {
        match self {
            Self::Native(draw) => even_class(draw.purpose("class").uniforms(0..1, 1)[0], classes),
            Self::Cpu(generator) => generator.randint(1, classes as u64)[0] as usize,
            Self::Cuda(generator) => generator.randint(1, classes as u64)[0] as usize,
        }
    }

    /// Standard normals for step `step` of a sampler that works in f64.
    pub(super) fn step_f64(&mut self, step: usize, n: usize) -> Vec<f64> {
        match self {
            Self::Native(_) => self.step_f32(step, n).into_iter().map(f64::from).collect(),
            Self::Cpu(generator) => generator.randn_f64(n),
            Self::Cuda(generator) => generator.randn_f64(n),
        }
    }

    /// Standard normals for step `step` of a sampler that works in f32.
    pub(super) fn step_f32(&mut self, step: usize, n: usize) -> Vec<f32> {
        match self {
            Self::Native(draw) => draw.purpose(&format!("step {step}")).normals(0..1, n),
            Self::Cpu(generator) => generator.randn_f32(n),
            Self::Cuda(generator) => generator.randn_f32(n),
        }
    }
}

/// The class of several equally likely ones that a uniform in [0, 1) stands for.
pub(super) fn even_class(uniform: f32, classes: usize) -> usize {
    ((f64::from(uniform) * classes as f64) as usize).min(classes.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream_and_classes_cover_all() {
        for rng in [Rng::Native, Rng::TorchCpu, Rng::TorchCuda] {
            let draw = |seed| {
                let mut noise = Noise::new(rng, seed);
                (noise.latents(20), noise.class(10), noise.step_f64(0, 4))
            };
            assert_eq!(draw(5), draw(5));
            assert_ne!(draw(5).0, draw(6).0);
            let mut seen: Vec<usize> = (0..200).map(|seed| draw(seed).1).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
    }
}
