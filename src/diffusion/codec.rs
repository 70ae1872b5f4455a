//! `Codec`: pixels <=> what a diffusion model works in, which is pixels or Stable Diffusion's latents.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{
    encoder::StabilityVae,
    quantize::{Rounding, to_uint8},
};
use crate::{
    Error, Result,
    nn::{Vae, VaeConfig},
    state_dict::StateDict,
};

/// Images at a time through an autoencoder, whose activations at 512 pixels are large.
const CHUNK: usize = 8;

/// Mean and standard deviation of the raw latents over the training set, per channel, and those that the
/// final latents shall have.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentStatistics {
    /// Mean of each channel.
    pub raw_mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub raw_std: Vec<f32>,
    /// Mean that every channel shall have.
    pub final_mean: f32,
    /// Standard deviation that every channel shall have: the networks' `sigma_data`.
    pub final_std: f32,
}

impl From<&StabilityVae> for LatentStatistics {
    fn from(settings: &StabilityVae) -> Self {
        let single = |values: [f64; 4]| values.iter().map(|value| *value as f32).collect();
        Self {
            raw_mean: single(settings.raw_mean),
            raw_std: single(settings.raw_std),
            final_mean: 0.0,
            final_std: settings.final_std as f32,
        }
    }
}

impl LatentStatistics {
    /// Factor of each channel, in f32.
    pub fn scale(&self) -> Vec<f32> {
        self.raw_std.iter().map(|std| self.final_std / std).collect()
    }

    /// Added to each channel after `scale`, in f32.
    pub fn bias(&self) -> Vec<f32> {
        let scale = self.scale();
        self.raw_mean.iter().zip(scale).map(|(mean, scale)| self.final_mean - mean * scale).collect()
    }

    /// Final latents from raw ones, which are mean and standard deviation of each latent.
    /// raw `[n, 2 c, h, w]`, eps standard normal `[n, c, h, w]` => `[n, c, h, w]`
    pub fn finish(&self, raw: Tensor<4>, eps: Tensor<4>) -> Tensor<4> {
        let c = self.raw_mean.len();
        let (mean, std) = (raw.clone().narrow(1, 0, c), raw.narrow(1, c, c));
        let latents = mean + eps * std;
        let (scale, bias) = (per_channel(&self.scale(), &latents), per_channel(&self.bias(), &latents));
        latents * scale + bias
    }

    /// What the autoencoder decodes. `[n, c, h, w]` => `[n, c, h, w]`
    pub fn unfinish(&self, latents: Tensor<4>) -> Tensor<4> {
        let (scale, bias) = (per_channel(&self.scale(), &latents), per_channel(&self.bias(), &latents));
        (latents - bias) / scale
    }
}

/// `[1, c, 1, 1]`, where `like` is.
fn per_channel(values: &[f32], like: &Tensor<4>) -> Tensor<4> {
    Tensor::<1>::from_floats(values, &like.device()).reshape([1, values.len(), 1, 1])
}

/// Between images of whole numbers in 0..=255 and what the networks see.
#[derive(Clone, Debug)]
pub enum Codec {
    /// x / 127.5 - 1, and back.
    Rgb,
    /// Stable Diffusion's latents, standardised.
    StabilityVae(Box<Vae>, LatentStatistics),
}

impl Codec {
    /// The codec of Stable Diffusion's latents. `origin` is the file that the weights come from.
    ///
    /// # Errors
    ///
    /// Weights that are not those of the autoencoder.
    pub fn stability_vae(
        settings: &StabilityVae,
        weights: &StateDict,
        origin: &str,
        device: &Device,
    ) -> Result<Self> {
        let vae = Vae::load(&VaeConfig::default().with_widths_of(weights), weights, origin, device)?;
        Ok(Self::StabilityVae(Box::new(vae), settings.into()))
    }

    /// What is stored of an image: the pixels themselves, or mean and standard deviation of the latents.
    /// pixels in 0..=255 `[n, c, h, w]` => `[n, c, h, w]` or `[n, 2 latents, h / 8, w / 8]`
    pub fn encode_raw(&self, pixels: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Rgb => pixels,
            Self::StabilityVae(vae, _) => in_chunks(pixels, |pixels| {
                let (mean, logvar) = vae.encode(pixels / 255.0);
                Tensor::cat(vec![mean, (logvar * 0.5).exp()], 1)
            }),
        }
    }

    /// What the networks see. raw as `encode_raw` gives it; `eps` draws one latent from its distribution and is
    /// not looked at without an autoencoder, `[n, latents, h, w]`
    pub fn encode_final(&self, raw: Tensor<4>, eps: impl FnOnce() -> Tensor<4>) -> Tensor<4> {
        match self {
            Self::Rgb => raw / 127.5 - 1.0,
            Self::StabilityVae(_, statistics) => statistics.finish(raw, eps()),
        }
    }

    /// Images as bytes, from what networks make, in any precision and anywhere; fractions are cut off.
    /// `[n, c, h, w]` => u8 `[n, c, h', w']`
    ///
    /// # Errors
    /// `NotImages` where a value is not finite: as bytes it would be black, or anything.
    pub fn decode(&self, latents: Tensor<4>) -> Result<TensorData> {
        if !is_finite(&latents) {
            let advice = "a larger `precision`, another sampler or other weights may help";
            return Err(Error::NotImages { made_by: "what the network made", advice });
        }
        match self {
            Self::Rgb => Ok(to_uint8(latents, Rounding::Truncate)),
            Self::StabilityVae(vae, statistics) => {
                // A sampler may have kept them elsewhere, and in more bits.
                let latents = latents.cast(DType::F32).to_device(vae.device());
                let pixels = in_chunks(latents, |latents| vae.decode(statistics.unfinish(latents)));
                if !is_finite(&pixels) {
                    let advice = "its weights, or the network's latents, are not what they should be";
                    return Err(Error::NotImages { made_by: "what the autoencoder made", advice });
                }
                Ok((pixels.clamp(0.0, 1.0) * 255.0).into_data().convert_dtype(DType::U8))
            }
        }
    }
}

/// Whether every value is; one flag is read back.
fn is_finite(values: &Tensor<4>) -> bool {
    values.clone().is_finite().all().into_scalar()
}

/// Applies a function of batches to a few samples at a time.
fn in_chunks(batch: Tensor<4>, f: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
    let n = batch.dims()[0];
    if n <= CHUNK {
        return f(batch);
    }
    let chunk = |start: usize| f(batch.clone().narrow(0, start, CHUNK.min(n - start)));
    Tensor::cat((0..n).step_by(CHUNK).map(chunk).collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Entry;

    #[test]
    fn rgb_keeps_every_byte() {
        let device = Device::flex();
        let bytes: Vec<u8> = (0..=255).collect();
        let pixels =
            Tensor::<4>::from_data(TensorData::new(bytes.clone(), [1, 1, 16, 16]), (&device, DType::F32));
        let latents = Codec::Rgb.encode_final(Codec::Rgb.encode_raw(pixels), || unreachable!("no draw"));
        assert_eq!(Codec::Rgb.decode(latents).unwrap().try_into_vec::<u8>().unwrap(), bytes);
        let beyond = Tensor::<4>::from_floats([[[[-7.0, 1.01, 0.999]]]], &device);
        assert_eq!(Codec::Rgb.decode(beyond).unwrap().try_into_vec::<u8>().unwrap(), [0, 255, 255]);
    }

    #[test]
    fn what_is_not_finite_is_no_image() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let images = Tensor::<4>::from_floats([[[[0.5, value, 0.5]]]], &Device::flex());
            assert!(matches!(Codec::Rgb.decode(images), Err(Error::NotImages { .. })), "{value}");
        }
    }

    /// Latents with the training set's statistics come out with those that were asked for.
    #[test]
    fn statistics_standardise() {
        let statistics = LatentStatistics::from(&StabilityVae::default());
        let device = Device::flex();
        let like = Tensor::<4>::zeros([1, 4, 1, 1], &device);
        let mean = per_channel(&statistics.raw_mean, &like);
        let std = per_channel(&statistics.raw_std, &like);
        for (eps, expected) in [(0.0, 0.0), (1.0, 0.5), (-2.0, -1.0)] {
            let raw = Tensor::cat(vec![mean.clone(), std.clone()], 1);
            let latents = statistics.finish(raw, like.clone() + eps);
            for value in latents.clone().into_data().iter::<f64>() {
                assert!((value - expected).abs() < 1e-6, "{value} {expected}");
            }
            let back = statistics.unfinish(latents) - (mean.clone() + std.clone() * eps);
            assert!(back.abs().max().into_scalar::<f32>() < 1e-5);
        }
    }

    /// EDM's sampler ends in f64, and the autoencoder takes what it was trained with.
    #[test]
    fn latents_of_any_precision_are_decoded() {
        let config = VaeConfig { block_out_channels: vec![32; 4], ..VaeConfig::default() };
        let zeros = |entry: Entry| (entry.name, TensorData::zeros::<f32, _>(entry.shape));
        let weights: StateDict = config.shapes().into_iter().map(zeros).collect();
        let device = Device::flex();
        let codec = Codec::stability_vae(&StabilityVae::default(), &weights, "zeros", &device).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let images = codec.decode(Tensor::ones([9, 4, 1, 1], (&device, dtype))).unwrap();
            assert_eq!(images.shape().to_vec(), [9, 3, 8, 8], "{dtype:?}");
        }
    }
}
