//! `UNet`: the raw network F of any architecture.

use burn::{module::Module, tensor::Tensor};

use super::{
    config::NetworkConfig,
    denoiser::{Condition, Dropout},
    dhariwal_unet::DhariwalUNet,
    edm2_unet::Edm2UNet,
    encoded::Encoded,
    mode::Mode,
    registry::Registry,
    song_unet::SongUNet,
};
use crate::Result;

/// The three UNets. Activations are `[n, h, w, c]`.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are a handful of networks in a process")]
pub(crate) enum UNet {
    Song(SongUNet),
    Dhariwal(DhariwalUNet),
    Edm2(Edm2UNet),
}

impl UNet {
    /// Registers the network that the settings ask for.
    pub(crate) fn new(registry: &mut Registry, config: &NetworkConfig) -> Result<Self> {
        let skeleton = config.skeleton();
        let out_channels = config.img_channels() * config.preconditioning().outputs_per_channel();
        match config {
            NetworkConfig::Ddpmpp(c) | NetworkConfig::Ncsnpp(c) => {
                registry.within("model", |r| SongUNet::new(r, c, &skeleton, out_channels)).map(Self::Song)
            }
            NetworkConfig::Adm(c) => registry
                .within("model", |r| DhariwalUNet::new(r, c, &skeleton, out_channels))
                .map(Self::Dhariwal),
            NetworkConfig::Edm2(c) => {
                registry.within("unet", |r| Edm2UNet::new(r, c, &skeleton)).map(Self::Edm2)
            }
        }
    }

    /// The conditioning vector. `c_noise` `[n]`, labels `[n, classes]` or one row, augment `[n, 9]`
    /// => `[n, emb_channels]`
    pub(crate) fn embed(&self, c_noise: Tensor<1>, condition: Condition, dropout: &Dropout) -> Tensor<2> {
        match self {
            Self::Song(net) => net.embed(c_noise, condition, dropout),
            Self::Dhariwal(net) => net.embed(c_noise, condition, dropout),
            Self::Edm2(net) => net.embed(c_noise, condition.class_labels),
        }
    }

    /// x `[n, h, w, img_channels]` => the encoder's activations
    pub(crate) fn encode(&self, x: Tensor<4>, emb: &Tensor<2>, mode: &Mode) -> Encoded {
        match self {
            Self::Song(net) => net.encode(x, emb, mode),
            Self::Dhariwal(net) => net.encode(x, emb, mode),
            Self::Edm2(net) => net.encode(x, emb, mode),
        }
    }

    /// The encoder's activations => F `[n, h, w, out_channels]`
    pub(crate) fn decode(&self, encoded: Encoded, emb: &Tensor<2>, mode: &Mode) -> Tensor<4> {
        match self {
            Self::Song(net) => net.decode(encoded, emb, mode),
            Self::Dhariwal(net) => net.decode(encoded, emb, mode),
            Self::Edm2(net) => net.decode(encoded, emb, mode),
        }
    }
}
