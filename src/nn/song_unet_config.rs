//! `SongUNetConfig`: the settings of DDPM++ and NCSN++, as pipeline files write them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_inline_default::serde_inline_default;

use super::{check::Problems, edm_config::edm_config, preconditioning::Preconditioning};

/// How the noise level is turned into numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingType {
    /// Sines and cosines of fixed frequencies (DDPM++).
    Positional,
    /// Sines and cosines of random frequencies, which are part of the weights (NCSN++).
    Fourier,
}

/// How the encoder sees the image besides through its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncoderType {
    /// Not at all (DDPM++).
    Standard,
    /// The shrunken image is added at every level.
    Skip,
    /// The image passes through a chain of convolutions beside the blocks (NCSN++).
    Residual,
}

/// How the decoder forms its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecoderType {
    /// From its last block.
    Standard,
    /// As a sum of one image per level.
    Skip,
}

// DDPM++ and NCSN++ are one network with four other defaults; every field is written once, here.
macro_rules! song_unet_config {
    ($(#[$doc:meta])* $name:ident, $embedding_type:expr, $channel_mult_noise:expr, $encoder_type:expr, $resample_filter:expr) => {
        edm_config! {
            $(#[$doc])*
            $name {
                /// Channels of the first convolution; the other widths are multiples of it.
                #[serde_inline_default(128)]
                model_channels,
                #[serde_inline_default(vec![1, 2, 2, 2])]
                channel_mult,
                #[serde_inline_default(4)]
                num_blocks,
                /// Resolutions with self-attention.
                #[serde_inline_default(vec![16])]
                attn_resolutions,
                /// How the noise level is turned into numbers.
                #[serde_inline_default($embedding_type)]
                pub embedding_type: EmbeddingType,
                /// Width of the noise embedding in multiples of `model_channels`.
                #[serde_inline_default($channel_mult_noise)]
                #[schemars(range(min = 1, max = 65536))]
                pub channel_mult_noise: usize,
                /// How the encoder sees the image besides through its blocks.
                #[serde_inline_default($encoder_type)]
                pub encoder_type: EncoderType,
                /// How the decoder forms its output.
                #[serde_inline_default(DecoderType::Standard)]
                pub decoder_type: DecoderType,
                /// The separable filter that halves and doubles resolutions.
                #[serde_inline_default($resample_filter)]
                #[schemars(length(min = 2, max = 64), inner(range(min = -1000.0, max = 1000.0)))]
                pub resample_filter: Vec<f32>,
            }
        }
    };
}

song_unet_config!(
    /// DDPM++ (Song et al. 2021), as EDM uses it.
    SongUNetConfig, EmbeddingType::Positional, 1, EncoderType::Standard, vec![1.0, 1.0]
);
song_unet_config!(
    /// NCSN++ (Song et al. 2021), as EDM uses it: DDPM++ with other defaults.
    NcsnppConfig, EmbeddingType::Fourier, 2, EncoderType::Residual, vec![1.0, 3.0, 3.0, 1.0]
);

/// The settings of NCSN++ with its own defaults for what is left out.
pub(super) fn ncsnpp<'de, D: Deserializer<'de>>(settings: D) -> Result<SongUNetConfig, D::Error> {
    macro_rules! renamed {
        ($($field:ident),* $(,)?) => {
            NcsnppConfig::deserialize(settings)
                .map(|NcsnppConfig { $($field),* }| SongUNetConfig { $($field),* })
        };
    }
    renamed! {
        img_resolution, img_channels, label_dim, augment_dim, model_channels, channel_mult, channel_mult_emb,
        num_blocks, attn_resolutions, dropout, label_dropout, embedding_type, channel_mult_noise, encoder_type,
        decoder_type, resample_filter, preconditioning, sigma_data, sigma_min, sigma_max,
    }
}

impl SongUNetConfig {
    /// Adds what is wrong with the settings that no other architecture has.
    pub(crate) fn check(&self, problems: &mut Problems) {
        problems.positive("channel_mult_noise", self.channel_mult_noise);
        problems.filter(&self.resample_filter);
        let noise = self.model_channels * self.channel_mult_noise;
        problems.demand(noise.is_multiple_of(2) && noise >= 4, "model_channels", || {
            format!("the noise embedding is {noise} numbers wide, but must be an even number from 4 on")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::NetworkConfig;

    fn parse<T: serde::de::DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn ncsnpp_is_ddpmpp_with_four_other_defaults() {
        let ddpmpp: SongUNetConfig = parse(r#"{"img_resolution": 32}"#);
        let ncsnpp = match parse(r#"{"ncsnpp": {"img_resolution": 32}}"#) {
            NetworkConfig::Ncsnpp(settings) => settings,
            other => panic!("{other:?}"),
        };
        assert_eq!(ncsnpp.embedding_type, EmbeddingType::Fourier);
        assert_eq!(ncsnpp.encoder_type, EncoderType::Residual);
        assert_eq!(ncsnpp.channel_mult_noise, 2);
        assert_eq!(ncsnpp.resample_filter, [1.0, 3.0, 3.0, 1.0]);
        let same = SongUNetConfig {
            embedding_type: ddpmpp.embedding_type,
            encoder_type: ddpmpp.encoder_type,
            channel_mult_noise: ddpmpp.channel_mult_noise,
            resample_filter: ddpmpp.resample_filter.clone(),
            ..ncsnpp
        };
        assert_eq!(same, ddpmpp);
    }

    #[test]
    fn nonsense_is_named_by_its_field() {
        let good: SongUNetConfig = parse(r#"{"img_resolution": 32}"#);
        let check = |config| NetworkConfig::Ddpmpp(config).check();
        assert!(check(good.clone()).is_empty());
        let fields = |config: SongUNetConfig| -> Vec<&'static str> {
            check(config).into_iter().map(|p| p.field).collect()
        };
        assert_eq!(fields(SongUNetConfig { channel_mult: vec![], ..good.clone() }), ["channel_mult"]);
        assert_eq!(fields(SongUNetConfig { img_resolution: 12, ..good.clone() }), ["img_resolution"]);
        assert_eq!(fields(SongUNetConfig { model_channels: 130, ..good.clone() }), ["model_channels"]);
        assert_eq!(fields(SongUNetConfig { dropout: 1.0, ..good.clone() }), ["dropout"]);
        assert_eq!(
            fields(SongUNetConfig { resample_filter: vec![1.0], ..good.clone() }),
            ["resample_filter"]
        );
        assert_eq!(
            fields(SongUNetConfig { resample_filter: vec![1.0; 66], ..good.clone() }),
            ["resample_filter"]
        );
        assert_eq!(
            fields(SongUNetConfig { num_blocks: 0, sigma_data: -1.0, ..good }),
            ["num_blocks", "sigma_data"]
        );
    }
}
