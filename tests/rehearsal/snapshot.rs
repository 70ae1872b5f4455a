//! Snapshots of networks that know nothing yet, in the layouts of the published ones.

use burn::tensor::{DType, Device, TensorData};
use serde_json::{Map, Value, json};
use sida::{
    diffusion::{LatentStatistics, StabilityVae},
    nn::NetworkConfig,
    seed::Draw,
    state_dict::StateDict,
};

use super::{
    module::{arguments, network, persistent},
    pickle::Pickler,
};

/// The arguments with which EDM's training makes its network.
const EDM: [&str; 15] = [
    "img_resolution",
    "img_channels",
    "label_dim",
    "model_channels",
    "channel_mult",
    "num_blocks",
    "attn_resolutions",
    "dropout",
    "channel_mult_emb",
    "embedding_type",
    "encoder_type",
    "decoder_type",
    "channel_mult_noise",
    "resample_filter",
    "augment_dim",
];

/// Those of EDM2's.
const EDM2: [&str; 9] = [
    "img_resolution",
    "img_channels",
    "label_dim",
    "logvar_channels",
    "model_channels",
    "channel_mult",
    "num_blocks",
    "attn_resolutions",
    "channels_per_head",
];

/// Fresh weights in which no tensor is all zeros, as some are before a training: everything shall have an effect.
pub fn weights(config: &NetworkConfig, draw: Draw) -> StateDict {
    let mut weights = config.init(draw, &Device::flex()).unwrap().state_dict();
    for (name, data) in &mut weights {
        let values = data.as_slice::<f32>().unwrap();
        if values.iter().all(|value| *value == 0.0) {
            let drawn = draw.purpose(name).normals(0..1, values.len()).into_iter().map(|z| 0.05 * z);
            *data = TensorData::new(drawn.collect::<Vec<_>>(), data.shape().clone());
        }
    }
    weights
}

fn keywords(config: &NetworkConfig, names: &[&str], more: Value) -> Map<String, Value> {
    let settings = config.settings();
    let mut keywords: Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), settings[*name].clone())).collect();
    keywords.extend(more.as_object().unwrap().clone());
    keywords
}

/// EDM's and SiD's: float32, the average alone.
pub fn edm(config: &NetworkConfig, weights: &StateDict) -> Vec<u8> {
    let keywords = keywords(config, &EDM, json!({ "use_fp16": false, "model_type": "SongUNet" }));
    Pickler::file(|p| {
        p.dict(|p| {
            p.text("ema");
            network(p, "EDMPrecond", &keywords, weights, config);
        });
    })
}

/// EDM2's post-hoc reconstructions: float16, with the encoder.
pub fn edm2(config: &NetworkConfig, weights: &StateDict) -> Vec<u8> {
    let keywords = keywords(config, &EDM2, json!({ "use_fp16": true, "dropout": 0.0 }));
    let weights: StateDict =
        weights.iter().map(|(name, data)| (name.clone(), data.clone().convert_dtype(DType::F16))).collect();
    let latents = LatentStatistics::from(&StabilityVae::default());
    let vae = json!({ "vae_name": "stabilityai/sd-vae-ft-mse", "batch_size": 4 });
    Pickler::file(|p| {
        p.new_object("dnnlib.util", "EasyDict");
        p.entries(|p| {
            p.text("encoder");
            persistent(p, "StabilityVAEEncoder", |p| {
                arguments(p, vae.as_object().unwrap());
                for (name, values) in [("scale", latents.scale()), ("bias", latents.bias())] {
                    p.text(name);
                    p.array(&TensorData::new(values, [4]));
                }
                p.text("vae_name");
                p.text("stabilityai/sd-vae-ft-mse");
            });
            p.text("dataset_kwargs");
            p.json(&json!({ "class_name": "training.dataset.ImageFolderDataset", "use_labels": true }));
            p.text("ema");
            network(p, "Precond", &keywords, &weights, config);
        });
    })
}
