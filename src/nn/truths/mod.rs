//! What the recorded networks do not reach, of small networks of every architecture.

mod edm2;
mod gradients;
mod passes;
mod skips;
mod weights;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{Condition, Denoised, Denoiser, Dropout, Dropped, Entry, Network, NetworkConfig, SongUNetConfig};
use crate::{
    seed::{Draw, Phase, Seed},
    state_dict::StateDict,
};

fn draw(what: &str) -> Draw {
    Seed(11).at(Phase::Init, 0).purpose(what)
}

/// What a training pass over these samples drops.
fn dropping(config: &NetworkConfig, samples: std::ops::Range<u64>) -> Dropout {
    Dropped::by(config).masks(draw("d"), samples, &Device::flex())
}

fn config(json: &str) -> NetworkConfig {
    serde_json::from_str(json).unwrap()
}

/// A small network of every architecture and way to encode and decode; the last one is EDM2's.
fn all() -> Vec<NetworkConfig> {
    let any = r#""img_resolution": 8, "img_channels": 3, "model_channels": 8, "channel_mult": [1, 2], "channel_mult_emb": 2, "num_blocks": 1, "attn_resolutions": [4], "label_dim": 3"#;
    let edm = format!(r#"{any}, "augment_dim": 9"#);
    let mut all = vec![
        config(&format!(r#"{{"adm": {{{edm}}}}}"#)),
        config(&format!(r#"{{"adm": {{{edm}, "preconditioning": {{"iddpm": {{"timesteps": 20}}}}}}}}"#)),
    ];
    for encoder in ["standard", "skip", "residual"] {
        for decoder in ["standard", "skip"] {
            for family in ["ddpmpp", "ncsnpp"] {
                all.push(config(&format!(
                    r#"{{"{family}": {{{edm}, "encoder_type": "{encoder}", "decoder_type": "{decoder}"}}}}"#
                )));
            }
        }
    }
    let own = r#""channels_per_head": 8, "dropout": 0.5, "logvar_channels": 16"#;
    all.push(config(&format!(r#"{{"edm2": {{{any}, {own}}}}}"#)));
    all
}

/// The one with the standard encoder and decoder of DDPM++.
fn ddpmpp() -> SongUNetConfig {
    match all().swap_remove(2) {
        NetworkConfig::Ddpmpp(settings) => settings,
        other => panic!("DDPM++ stands there, not {other:?}"),
    }
}

fn edm2() -> NetworkConfig {
    all().pop().unwrap()
}

/// Weights that leave no path nearly silent, as fresh ones do.
fn lively(config: &NetworkConfig) -> StateDict {
    let entry = |e: Entry| {
        let count = e.shape.iter().product();
        let centre = if e.name.contains("norm") && e.name.ends_with("weight") { 1.0 } else { 0.0 };
        let fan_in: usize = e.shape.iter().skip(1).product::<usize>().max(16);
        let scale = (1.0 / fan_in as f32).sqrt();
        let drawn = draw(&e.name).normals(0..1, count).into_iter().map(|z| centre + scale * z).collect();
        let derived = e.name.ends_with("resample_filter") || e.name == "u";
        let values: Vec<f32> = if derived { e.buffer.unwrap() } else { drawn };
        (e.name, TensorData::new(values, e.shape))
    };
    config.shapes().unwrap().into_iter().map(entry).collect()
}

fn noise(what: &str, shape: [usize; 4], device: &Device) -> Tensor<4> {
    let values = draw(what).normals(0..1, shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

struct Question {
    noisy: Tensor<4>,
    sigma: Tensor<4>,
    condition: Condition,
}

fn question(config: &NetworkConfig, n: usize, device: &Device) -> Question {
    let r = config.img_resolution();
    let one_hot: Vec<f32> = (0..n * 3).map(|i| f32::from(i / 3 % 3 == i % 3)).collect();
    Question {
        noisy: noise("x", [n, 3, r, r], device),
        sigma: noise("sigma", [n, 1, 1, 1], device).exp(),
        condition: Condition {
            class_labels: Some(Tensor::from_data(TensorData::new(one_hot, [n, 3]), device)),
            augment_labels: Some(noise("a", [n, 9, 1, 1], device).reshape([n, 9])),
        },
    }
}

fn ask(network: &Network, q: &Question, dropout: Dropout) -> Denoised {
    network.denoise(q.noisy.clone(), q.sigma.clone(), &q.condition, dropout)
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn largest_gap(a: Tensor<4>, b: Tensor<4>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}
