//! Kind `vae` of the fixtures' README.

use burn::tensor::{DType, Tensor, TensorData};
use serde::Deserialize;
use sida::{
    diffusion::{Codec, LatentStatistics},
    nn::{Vae, VaeConfig},
    state_dict::StateDict,
};

use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    autoencoder: Autoencoder,
    scale: Vec<f32>,
    bias: Vec<f32>,
    raw_mean: Vec<f32>,
    raw_std: Vec<f32>,
    final_mean: f32,
    final_std: f32,
}

/// diffusers' arguments.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autoencoder {
    in_channels: usize,
    out_channels: usize,
    latent_channels: usize,
    act_fn: String,
    layers_per_block: usize,
    norm_num_groups: usize,
    block_out_channels: Vec<usize>,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
    #[expect(dead_code, reason = "has no effect on the network")]
    sample_size: usize,
    #[expect(dead_code, reason = "EDM2 does not use it")]
    scaling_factor: Option<f64>,
}

impl Autoencoder {
    pub fn config(self) -> Result<VaeConfig, String> {
        let all = |types: &[String], known: &str| {
            types.len() == self.block_out_channels.len() && types.iter().all(|t| t == known)
        };
        if self.act_fn != "silu"
            || !all(&self.down_block_types, "DownEncoderBlock2D")
            || !all(&self.up_block_types, "UpDecoderBlock2D")
        {
            return Err("not an autoencoder of Stable Diffusion".to_owned());
        }
        Ok(VaeConfig {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            latent_channels: self.latent_channels,
            block_out_channels: self.block_out_channels,
            layers_per_block: self.layers_per_block,
            norm_num_groups: self.norm_num_groups,
        })
    }
}

pub fn run(case: &mut Case) -> Result<(), String> {
    let config: Config = case.config()?;
    let architecture = config.autoencoder.config()?;
    let statistics = LatentStatistics {
        raw_mean: config.raw_mean,
        raw_std: config.raw_std,
        final_mean: config.final_mean,
        final_std: config.final_std,
    };
    case.expect(statistics.scale() == config.scale, || format!("scale {:?}", statistics.scale()));
    case.expect(statistics.bias() == config.bias, || format!("bias {:?}", statistics.bias()));

    let device = crate::case::device();
    let load = |weights: &StateDict| {
        Vae::load(&architecture, weights, "the case", &device).map_err(|e| e.to_string())
    };
    let weights = case.weights(None)?;
    let vae = load(&weights)?;
    let tensor = |data: TensorData| Tensor::<4>::from_data(data.convert_dtype(DType::F32), &device);
    let pixels = tensor(case.tensor("in.pixels")?);
    let eps = tensor(case.tensor("draw.eps")?);
    let latents = tensor(case.tensor("in.final_latents")?);

    let moments = vae.moments(pixels.clone() / 255.0);
    if let Some(file) = case.json["weights"]["legacy_file"].as_str().map(str::to_owned) {
        let legacy = load(&case.file(&file)?.clone())?;
        let same = legacy.moments(pixels.clone() / 255.0).into_data() == moments.clone().into_data();
        case.expect(same, || "the old names give another network".to_owned());
    }
    let (mean, logvar) = vae.encode(pixels.clone() / 255.0);
    let decode_input = statistics.unfinish(latents.clone());
    let decoded = vae.decode(decode_input.clone());

    let codec = Codec::StabilityVae(Box::new(vae), statistics);
    let raw = codec.encode_raw(pixels);
    let std = raw.clone().narrow(1, architecture.latent_channels, architecture.latent_channels);
    let finished = codec.encode_final(raw.clone(), || eps);
    for (name, actual) in [
        ("out.moments", moments),
        ("out.mean", mean),
        ("out.logvar", logvar),
        ("out.std", std),
        ("out.raw_latents", raw),
        ("out.final_latents", finished),
        ("out.decode_input", decode_input),
        ("out.decoded", decoded),
    ] {
        case.check(name, actual.into_data())?;
    }
    case.check("out.decoded_uint8", codec.decode(latents).map_err(|e| e.to_string())?)
}
