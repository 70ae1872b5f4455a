//! `Noise`: the random streams behind the seeds of some images.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::seeds::Rng;
use crate::{
    kernels,
    rng::{Gpu, TorchCpu, TorchCuda},
    seed::{Draw, Phase, Seed},
};

/// Everything random that makes images: their latents first, then their classes, then what their sampler adds.
pub(super) enum Noise {
    /// A function of the purpose and the seed, which is the number of a sample.
    Native(Vec<u64>),
    /// `torch.Generator("cpu")`, one for each image.
    Cpu(Vec<TorchCpu>),
    /// `torch.Generator("cuda")`; images of up to 64 x 64 x 4 values are the same on every GPU.
    Cuda(Vec<TorchCuda>),
}

impl Noise {
    /// The streams of some seeds. Torch's generators take them modulo 2^32, as the reference's scripts do.
    pub(super) fn new(rng: Rng, seeds: &[u64]) -> Self {
        let seeds_of_torch = seeds.iter().map(|seed| seed & 0xffff_ffff);
        match rng {
            Rng::Native => Self::Native(seeds.to_vec()),
            Rng::TorchCpu => Self::Cpu(seeds_of_torch.map(TorchCpu::new).collect()),
            Rng::TorchCuda => {
                Self::Cuda(seeds_of_torch.map(|seed| TorchCuda::new(seed, Gpu::H100)).collect())
            }
        }
    }

    /// The images' latents: standard normals. => `[n, c, h, w]`
    pub(super) fn latents(&mut self, shape: [usize; 3], device: &Device) -> Tensor<4> {
        self.normals("z", shape, device)
    }

    /// Each image's class, drawn after the latents and also where it is not used.
    pub(super) fn classes(&mut self, classes: usize) -> Vec<usize> {
        match self {
            Self::Native(seeds) => {
                let uniform = |seed: u64| native("class").uniforms(seed..seed + 1, 1)[0];
                seeds.iter().map(|seed| even_class(uniform(*seed), classes)).collect()
            }
            Self::Cpu(streams) => each(streams, |stream| stream.randint(1, classes as u64)[0] as usize),
            Self::Cuda(streams) => each(streams, |stream| stream.randint(1, classes as u64)[0] as usize),
        }
    }

    /// Standard normals for step `step` of a sampler; torch draws others for one that works in f64, which stay on the
    /// host: not every device has that. => `[n, c, h, w]`
    pub(super) fn step(
        &mut self,
        step: usize,
        precision: DType,
        shape: [usize; 3],
        device: &Device,
    ) -> Tensor<4> {
        let size = shape.iter().product();
        let values = match self {
            Self::Cpu(streams) if precision == DType::F64 => each(streams, |stream| stream.randn_f64(size)),
            Self::Cuda(streams) if precision == DType::F64 => each(streams, |stream| stream.randn_f64(size)),
            _ => return self.normals(&format!("step {step}"), shape, device),
        };
        let [c, h, w] = shape;
        let data = TensorData::new(values.concat(), [values.len(), c, h, w]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    }

    fn normals(&mut self, purpose: &str, [c, h, w]: [usize; 3], device: &Device) -> Tensor<4> {
        let size = c * h * w;
        let values = match self {
            Self::Native(seeds) => {
                let draw = native(purpose);
                // Seeds that follow each other are drawn together.
                let runs = seeds.chunk_by(|a, b| *b == a + 1);
                let parts = runs.map(|run| kernels::normals(draw, run[0], [run.len(), c, h, w], device));
                return Tensor::cat(parts.collect(), 0);
            }
            Self::Cpu(streams) => each(streams, |stream| stream.randn_f32(size)),
            Self::Cuda(streams) => each(streams, |stream| stream.randn_f32(size)),
        };
        Tensor::from_data(TensorData::new(values.concat(), [values.len(), c, h, w]), device)
    }
}

fn native(purpose: &str) -> Draw {
    Seed(0).at(Phase::Sample, 0).purpose(purpose)
}

fn each<S, T>(streams: &mut [S], draw: impl FnMut(&mut S) -> T) -> Vec<T> {
    streams.iter_mut().map(draw).collect()
}

/// The class of several equally likely ones that a uniform in [0, 1) stands for.
pub(super) fn even_class(uniform: f32, classes: usize) -> usize {
    ((f64::from(uniform) * classes as f64) as usize).min(classes.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RNGS: [Rng; 3] = [Rng::Native, Rng::TorchCpu, Rng::TorchCuda];

    /// Latents, classes and a step's noise of some seeds.
    fn draw(rng: Rng, seeds: &[u64]) -> (Vec<f32>, Vec<usize>, Vec<f64>) {
        let mut noise = Noise::new(rng, seeds);
        let (shape, device) = ([1, 2, 2], Device::flex());
        let latents = noise.latents(shape, &device).into_data().try_into_vec().unwrap();
        let classes = noise.classes(10);
        let step = noise.step(0, DType::F64, shape, &device).into_data().convert::<f64>();
        (latents, classes, step.try_into_vec().unwrap())
    }

    #[test]
    fn one_seed_gives_one_stream_and_classes_cover_all() {
        for rng in RNGS {
            assert_eq!(draw(rng, &[5]), draw(rng, &[5]));
            assert_ne!(draw(rng, &[5]).0, draw(rng, &[6]).0);
            let mut seen = draw(rng, &(0..200).collect::<Vec<u64>>()).1;
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_image_does_not_depend_on_its_neighbours() {
        for rng in RNGS {
            let seeds = [3, 4, 9, 2, u64::from(u32::MAX)];
            let (latents, classes, step) = draw(rng, &seeds);
            for (i, seed) in seeds.into_iter().enumerate() {
                let alone = draw(rng, &[seed]);
                let own = i * 4..(i + 1) * 4;
                assert_eq!(alone, (latents[own.clone()].to_vec(), vec![classes[i]], step[own].to_vec()));
            }
        }
    }
}
