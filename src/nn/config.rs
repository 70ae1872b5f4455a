//! `NetworkConfig`: which network, with which settings; and the three things to do with it: list, draw, load.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    adm_config::{self, AdmConfig},
    check::{Problem, Problems},
    edm2_config::Edm2Config,
    network::Network,
    preconditioning::Preconditioning,
    registry::{Entry, Registry},
    size::Sizes,
    skeleton::{Layer, Plan, Skeleton},
    song_unet_config::{NcsnppConfig, SongUNetConfig, ncsnpp},
};
use crate::{Error, Result, seed::Draw, state_dict::StateDict};

/// A network of EDM or EDM2 and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkConfig {
    /// DDPM++ (EDM's default).
    Ddpmpp(SongUNetConfig),
    /// NCSN++.
    Ncsnpp(
        #[serde(deserialize_with = "ncsnpp")]
        #[schemars(with = "NcsnppConfig")]
        SongUNetConfig,
    ),
    /// ADM.
    Adm(AdmConfig),
    /// EDM2's magnitude-preserving UNet.
    Edm2(Edm2Config),
}

// One line per question that every architecture answers with a field, or all but EDM2.
macro_rules! each {
    ($config:expr, $c:ident => $answer:expr) => {
        each!($config, $c => $answer, edm2: $c => $answer)
    };
    ($config:expr, $c:ident => $answer:expr, edm2: $edm2:pat => $other:expr) => {
        match $config {
            NetworkConfig::Ddpmpp($c) | NetworkConfig::Ncsnpp($c) => $answer,
            NetworkConfig::Adm($c) => $answer,
            NetworkConfig::Edm2($edm2) => $other,
        }
    };
}

impl NetworkConfig {
    /// The architecture as a pipeline file names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ddpmpp(_) => "ddpmpp",
            Self::Ncsnpp(_) => "ncsnpp",
            Self::Adm(_) => "adm",
            Self::Edm2(_) => "edm2",
        }
    }

    /// All settings by their names, as a pipeline file writes them.
    pub fn settings(&self) -> serde_json::Value {
        each!(self, c => serde_json::to_value(c).expect("settings are plain data"))
    }

    /// Side of the square images or latents.
    pub fn img_resolution(&self) -> usize {
        each!(self, c => c.img_resolution)
    }

    /// Channels of the images or latents.
    pub fn img_channels(&self) -> usize {
        each!(self, c => c.img_channels)
    }

    /// Number of classes; 0 where the network is unconditional.
    pub fn label_dim(&self) -> usize {
        each!(self, c => c.label_dim)
    }

    /// Width of the augmentation labels; 0 where the network takes none.
    pub fn augment_dim(&self) -> usize {
        each!(self, c => c.augment_dim, edm2: _ => 0)
    }

    /// Share of activations that training drops in every block.
    pub(crate) fn dropout(&self) -> f64 {
        each!(self, c => c.dropout)
    }

    /// Share of samples whose class labels training drops.
    pub(crate) fn label_dropout(&self) -> f64 {
        each!(self, c => c.label_dropout, edm2: _ => 0.0)
    }

    /// The full names of all blocks, as modules have them.
    pub(crate) fn blocks(&self) -> Vec<String> {
        let (skeleton, network) = (self.skeleton(), if self.is_edm2() { "unet" } else { "model" });
        let blocks = |side: &str, layers: &[Layer]| -> Vec<String> {
            layers.iter().map(|layer| format!("{network}.{side}.{}", layer.name)).collect()
        };
        [blocks("enc", &skeleton.encoder), blocks("dec", &skeleton.decoder)].concat()
    }

    /// Standard deviation of the images or latents that the network expects.
    pub fn sigma_data(&self) -> f64 {
        each!(self, c => c.sigma_data)
    }

    /// How images, noise and the raw network make a denoiser.
    pub(crate) fn preconditioning(&self) -> Preconditioning {
        each!(self, c => c.preconditioning, edm2: _ => Preconditioning::Edm)
    }

    /// The noise levels that samplers may use, lowest and highest, which is infinite where nothing is said.
    pub fn sigma_range(&self) -> (f64, f64) {
        let (low, high) = each!(self, c => (c.sigma_min, c.sigma_max), edm2: _ => (None, None));
        let (own_low, own_high) = self.preconditioning().sigma_range();
        (low.unwrap_or(own_low), high.unwrap_or(own_high))
    }

    /// The same without the head that estimates how large the error is, which EDM2's generators do not have.
    #[must_use]
    pub fn without_logvar(mut self) -> Self {
        if let Self::Edm2(c) = &mut self {
            c.logvar = false;
        }
        self
    }

    /// Whether the network is one of EDM2's.
    pub fn is_edm2(&self) -> bool {
        matches!(self, Self::Edm2(_))
    }

    /// The levels and blocks that the settings ask for.
    pub(crate) fn skeleton(&self) -> Skeleton {
        let plan = match self {
            Self::Ddpmpp(_) | Self::Ncsnpp(_) => Plan::Song,
            Self::Adm(_) | Self::Edm2(_) => Plan::Adm,
        };
        each!(self, c => Skeleton::new(
            c.img_resolution, c.model_channels, &c.channel_mult, c.num_blocks, &c.attn_resolutions, plan,
        ))
    }

    /// What decides on the network's size.
    pub(super) fn sizes(&self) -> Sizes<'_> {
        let (noise, embedding) = match self {
            Self::Ddpmpp(c) | Self::Ncsnpp(c) => (c.channel_mult_noise, c.channel_mult_emb),
            Self::Adm(c) => (1, c.channel_mult_emb),
            Self::Edm2(c) => {
                let widest = c.channel_mult.iter().copied().max().unwrap_or(1);
                let first = c.channel_mult.first().copied().unwrap_or(1);
                (c.channel_mult_noise.unwrap_or(first), c.channel_mult_emb.unwrap_or(widest))
            }
        };
        each!(self, c => Sizes {
            conditions: if matches!(self, Self::Adm(_)) { 2.0 } else { 1.0 },
            img_channels: c.img_channels,
            label_dim: c.label_dim,
            augment_dim: self.augment_dim(),
            model_channels: c.model_channels,
            channel_mult: &c.channel_mult,
            noise,
            embedding,
            num_blocks: c.num_blocks,
        })
    }

    /// What is wrong with the settings, field by field; empty where nothing is.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        each!(self, c => {
            problems.images(c.img_resolution, c.img_channels, c.channel_mult.len());
            problems.widths(c.model_channels, &c.channel_mult, c.num_blocks);
            problems.dropout(c.dropout);
            problems.sigma_data(c.sigma_data);
        });
        each!(self, c => {
            problems.positive("channel_mult_emb", c.channel_mult_emb);
            problems.share("label_dropout", c.label_dropout);
            problems.sigma_range(c.sigma_min, c.sigma_max);
            problems.preconditioning(&c.preconditioning);
        }, edm2: _ => {});
        match self {
            Self::Ddpmpp(c) | Self::Ncsnpp(c) => c.check(&mut problems),
            Self::Adm(c) => c.check(&mut problems),
            Self::Edm2(c) => c.check(&mut problems),
        }
        if problems.is_empty() {
            self.check_size(&mut problems);
        }
        if problems.is_empty() {
            let skeleton = self.skeleton();
            match self {
                Self::Ddpmpp(_) | Self::Ncsnpp(_) => problems.groups(&skeleton),
                Self::Adm(_) => {
                    problems.groups(&skeleton);
                    problems.heads(&skeleton, adm_config::CHANNELS_PER_HEAD);
                }
                Self::Edm2(c) => problems.heads(&skeleton, c.channels_per_head),
            }
        }
        problems.finish()
    }

    /// Names, shapes and order of all tensors, without making any.
    ///
    /// # Errors
    /// Where `check` finds problems.
    pub fn shapes(&self) -> Result<Vec<Entry>> {
        Ok(self.build(Registry::shapes())?.entries().to_vec())
    }

    /// A fresh network with EDM's initial distributions; every tensor depends on `draw` and its name alone.
    ///
    /// # Errors
    /// Where `check` finds problems.
    pub fn init(&self, draw: Draw, device: &Device) -> Result<Network> {
        self.build(Registry::drawn(draw, device))
    }

    /// A network with given weights under the reference's names; `origin` names them in errors. Half and double
    /// precision become float32. Buffers that follow from the settings may be missing.
    ///
    /// # Errors
    /// A missing, superfluous or misshapen tensor; settings that make no sense.
    pub fn load(&self, weights: &StateDict, origin: &str, device: &Device) -> Result<Network> {
        self.build(Registry::weights(weights, origin, device))
    }

    fn build(&self, registry: Registry) -> Result<Network> {
        if let Some(Problem { field, problem }) = self.check().into_iter().next() {
            return Err(Error::Unusable(format!("network setting `{field}`: {problem}")));
        }
        Network::new(registry, self)
    }
}
