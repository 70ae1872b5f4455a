//! `EdmPrecond`: DDPM++, NCSN++ or ADM as a denoiser, in EDM's parameterisation or an older one.

use burn::{
    module::Module,
    tensor::{DType, Int, Tensor},
};

use super::{
    config::NetworkConfig,
    denoiser::{Condition, Denoised, Dropout},
    dhariwal_unet::DhariwalUNet,
    layers::cast,
    network::Raw,
    preconditioning::Preconditioning,
    registry::Registry,
    song_unet::{Encoded, SongUNet},
    song_unet_config::SongUNetConfig,
};
use crate::{Error, Result, kernels};

/// A raw network F with the scalings that make it a denoiser D.
#[derive(Module, Debug)]
pub(crate) struct EdmPrecond {
    model: UNet,
    #[module(skip)]
    scalings: Scalings,
    label_dim: usize,
    img_channels: usize,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are a handful of networks in a process")]
enum UNet {
    Song(SongUNet),
    Dhariwal(DhariwalUNet),
}

/// The constants of the scalings.
#[derive(Clone, Debug)]
pub(crate) struct Scalings {
    preconditioning: Preconditioning,
    sigma_data: f64,
    /// Improved DDPM's noise levels; empty elsewhere.
    table: Vec<f32>,
}

/// The scalings at given noise levels, each `[n, 1, 1, 1]` but `c_noise` `[n]`.
#[expect(clippy::struct_field_names, reason = "the names of the paper")]
pub(crate) struct Scaled {
    /// `None` stands for 1.
    c_skip: Option<Tensor<4>>,
    c_out: Tensor<4>,
    /// `None` stands for 1.
    c_in: Option<Tensor<4>>,
    pub(crate) c_noise: Tensor<1>,
}

impl Scaled {
    /// The network's input. `[n, c, h, w]`
    pub(crate) fn input(&self, noisy: Tensor<4>) -> Tensor<4> {
        match &self.c_in {
            Some(c_in) => noisy * c_in.clone(),
            None => noisy,
        }
    }

    /// The denoised images. `[n, c, h, w]`
    pub(crate) fn output(self, noisy: Tensor<4>, f_x: Tensor<4>) -> Tensor<4> {
        let skipped = match self.c_skip {
            Some(c_skip) => noisy * c_skip,
            None => noisy,
        };
        skipped + f_x * self.c_out
    }
}

impl EdmPrecond {
    /// Registers the network.
    pub(crate) fn new(registry: &mut Registry, config: &NetworkConfig) -> Result<Self> {
        let preconditioning = match config {
            NetworkConfig::Ddpmpp(c) => c.preconditioning,
            NetworkConfig::Ncsnpp(c) => c.preconditioning,
            NetworkConfig::Adm(c) => c.preconditioning,
            NetworkConfig::Edm2(_) => {
                return Err(Error::Unusable("EDM2 has a preconditioning of its own".to_owned()));
            }
        };
        let table = match preconditioning {
            Preconditioning::Iddpm(iddpm) => iddpm.table(),
            _ => Vec::new(),
        };
        if !table.is_empty() {
            registry.derived("u", &[table.len()], table.clone())?;
        }
        let out_channels = config.img_channels() * preconditioning.outputs_per_channel();
        let model = registry.within("model", |r| match config {
            NetworkConfig::Ddpmpp(c) => SongUNet::new(r, c, out_channels).map(UNet::Song),
            NetworkConfig::Ncsnpp(c) => {
                SongUNet::new(r, &SongUNetConfig::from(c), out_channels).map(UNet::Song)
            }
            NetworkConfig::Adm(c) => DhariwalUNet::new(r, c, out_channels).map(UNet::Dhariwal),
            NetworkConfig::Edm2(_) => unreachable!("returned above"),
        })?;
        let scalings = Scalings { preconditioning, sigma_data: config.sigma_data(), table };
        Ok(Self { model, scalings, label_dim: config.label_dim(), img_channels: config.img_channels() })
    }

    pub(crate) fn denoise(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
        dtype: DType,
    ) -> Denoised {
        let scaled = self.scalings.at(per_sample(sigma, &noisy));
        let (emb, encoded) = self.encoded(&noisy, &scaled, condition, dropout, dtype);
        let logits = logits(&encoded.x);
        let f_x = self.decode(encoded, &emb, dropout);
        let f_x = if f_x.dims()[1] > self.img_channels { f_x.narrow(1, 0, self.img_channels) } else { f_x };
        Denoised { images: scaled.output(noisy, f_x), logits, logvar: None }
    }

    pub(crate) fn encode(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
        dtype: DType,
    ) -> Tensor<4> {
        let scaled = self.scalings.at(per_sample(sigma, &noisy));
        let (_, encoded) = self.encoded(&noisy, &scaled, condition, dropout, dtype);
        logits(&encoded.x)
    }

    pub(crate) fn raw(&self, noisy: Tensor<4>, sigma: Tensor<4>, condition: &Condition, dtype: DType) -> Raw {
        let scaled = self.scalings.at(per_sample(sigma, &noisy));
        let (emb, encoded) = self.encoded(&noisy, &scaled, condition, Dropout::Off, dtype);
        Raw { f_x: self.decode(encoded, &emb, Dropout::Off), c_noise: scaled.c_noise }
    }

    /// The noise level that the network really knows: the nearest of improved DDPM's, any elsewhere.
    pub(crate) fn round_sigma(&self, sigma: f64) -> f64 {
        let distance = |u: f32| (sigma as f32 - u).abs();
        let nearest =
            self.scalings.table.iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
        nearest.map_or(sigma, f64::from)
    }

    fn encoded(
        &self,
        noisy: &Tensor<4>,
        scaled: &Scaled,
        condition: &Condition,
        dropout: Dropout,
        dtype: DType,
    ) -> (Tensor<2>, Encoded) {
        let x = kernels::to_nhwc(cast(scaled.input(noisy.clone()), dtype));
        let class_labels = (self.label_dim > 0).then(|| {
            let none = || Tensor::zeros([1, self.label_dim], &noisy.device());
            condition.class_labels.clone().unwrap_or_else(none)
        });
        let augment_labels = condition.augment_labels.clone();
        let c_noise = scaled.c_noise.clone();
        match &self.model {
            UNet::Song(net) => {
                let emb = net.embed(c_noise, class_labels, augment_labels, dropout);
                let encoded = net.encode(x, &emb, dropout);
                (emb, encoded)
            }
            UNet::Dhariwal(net) => {
                let emb = net.embed(c_noise, class_labels, augment_labels, dropout);
                let encoded = net.encode(x, &emb, dropout);
                (emb, encoded)
            }
        }
    }

    /// F in float32. `[n, out_channels, h, w]`
    fn decode(&self, encoded: Encoded, emb: &Tensor<2>, dropout: Dropout) -> Tensor<4> {
        let f_x = match &self.model {
            UNet::Song(net) => net.decode(encoded, emb, dropout),
            UNet::Dhariwal(net) => net.decode(encoded, emb, dropout),
        };
        cast(kernels::to_nchw(f_x), DType::F32)
    }
}

impl Scalings {
    /// EDM's own, which are EDM2's too.
    pub(crate) fn edm(sigma_data: f64) -> Self {
        Self { preconditioning: Preconditioning::Edm, sigma_data, table: Vec::new() }
    }

    pub(crate) fn at(&self, sigma: Tensor<4>) -> Scaled {
        let n = sigma.dims()[0];
        let level = sigma.clone().reshape([n]);
        match &self.preconditioning {
            Preconditioning::Edm => {
                let sd = self.sigma_data;
                let total = sigma.clone().square() + sd * sd;
                Scaled {
                    c_skip: Some(total.clone().recip() * (sd * sd)),
                    c_out: sigma * sd / total.clone().sqrt(),
                    c_in: Some(total.sqrt().recip()),
                    c_noise: level.log() / 4.0,
                }
            }
            Preconditioning::Vp(vp) => {
                let t = (level.square() + 1.0).log() * (2.0 * vp.beta_d) + vp.beta_min * vp.beta_min;
                let t = (t.sqrt() - vp.beta_min) / vp.beta_d;
                Scaled {
                    c_skip: None,
                    c_in: Some((sigma.clone().square() + 1.0).sqrt().recip()),
                    c_out: -sigma,
                    c_noise: t * (vp.timesteps - 1) as f64,
                }
            }
            Preconditioning::Ve => {
                Scaled { c_skip: None, c_in: None, c_out: sigma, c_noise: (level * 0.5).log() }
            }
            Preconditioning::Iddpm(iddpm) => {
                let table = Tensor::<1>::from_floats(self.table.as_slice(), &sigma.device());
                let distance = (level.unsqueeze_dim::<2>(1) - table.unsqueeze_dim::<2>(0)).abs();
                let index: Tensor<1, Int> = distance.argmin(1).reshape([n]);
                Scaled {
                    c_skip: None,
                    c_in: Some((sigma.clone().square() + 1.0).sqrt().recip()),
                    c_out: -sigma,
                    c_noise: -index.float() + (iddpm.timesteps - 1) as f64,
                }
            }
        }
    }
}

/// One noise level per image, where one is given for all.
pub(crate) fn per_sample(sigma: Tensor<4>, noisy: &Tensor<4>) -> Tensor<4> {
    let n = noisy.dims()[0];
    if sigma.dims()[0] == n { sigma } else { sigma.expand([n, 1, 1, 1]) }
}

/// SiDA's discriminator: the last encoder activation averaged over its channels.
/// x `[n, h, w, c]` => `[n, 1, h, w]`
pub(crate) fn logits(x: &Tensor<4>) -> Tensor<4> {
    cast(x.clone(), DType::F32).mean_dim(3).permute([0, 3, 1, 2])
}
