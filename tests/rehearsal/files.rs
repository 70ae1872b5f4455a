//! The small files that the recipes read beside networks: latents, statistics, the autoencoder.

use std::io::{Cursor, Write};

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde_json::json;
use sida::{
    diffusion::{Codec, LatentStatistics, StabilityVae},
    metrics::{Detect, Divisor, Moments, RandomConv},
    nn::VaeConfig,
    seed::Draw,
    state_dict::StateDict,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::pickle::Pickler;

/// A file as `numpy.save` writes it.
fn npy(array: &TensorData) -> Vec<u8> {
    let descr = if array.dtype() == DType::F64 { "<f8" } else { "<f4" };
    let extents: Vec<String> = array.shape().iter().map(|n| format!("{n},")).collect();
    let extents = extents.concat();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}), }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), array.as_bytes()].concat()
}

/// A zip without compression.
fn stored(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Raw latents, mean and standard deviation of each, with the moments that EDM2 knows of ImageNet. `[n, 8, side, side]`
pub fn latents(draw: Draw, n: usize, side: usize) -> TensorData {
    let known = LatentStatistics::from(&StabilityVae::default());
    let plane = side * side;
    let channels = known.raw_mean.iter().zip(&known.raw_std).map(|(mean, std)| [*mean, *std]);
    let channels: Vec<_> = channels.chain([[0.2, 0.02]; 4]).collect();
    let mut values = draw.normals(0..n as u64, channels.len() * plane);
    for (i, value) in values.iter_mut().enumerate() {
        let [mean, std] = channels[i / plane % channels.len()];
        *value = mean + std * *value;
    }
    TensorData::new(values, [n, channels.len(), side, side])
}

/// Latents as EDM2's tool writes them, of classes of which the last is one of `classes`.
pub fn latent_zip(latents: &TensorData, classes: usize) -> Vec<u8> {
    let [n, c, h, w] = std::array::from_fn(|i| latents.shape()[i]);
    let mut labels = Vec::new();
    let mut entries = Vec::new();
    for (i, values) in latents.as_slice::<f32>().unwrap().chunks(c * h * w).enumerate() {
        let name = format!("{:05}/img-mean-std-{i:08}.npy", i / 1000);
        labels.push(json!([name, (classes - 1) * i / (n - 1)]));
        entries.push((name, npy(&TensorData::new(values.to_vec(), [c, h, w]))));
    }
    entries.push(("dataset.json".to_owned(), json!({ "labels": labels }).to_string().into_bytes()));
    stored(&entries)
}

/// An autoencoder of the published depth and of the least width, whose images are coloured noise around grey.
pub fn autoencoder(draw: Draw) -> StateDict {
    let config = VaeConfig { block_out_channels: vec![32; 4], ..VaeConfig::default() };
    let drawn = |entry: sida::nn::Entry| {
        let count: usize = entry.shape.iter().product();
        let inputs: usize = entry.shape[1..].iter().product();
        let values = match (entry.name.ends_with("weight"), entry.shape.len()) {
            (true, 1) => vec![1.0; count],
            (false, _) if entry.name == "decoder.conv_out.bias" => vec![0.5; count],
            (false, _) => vec![0.0; count],
            (true, _) => {
                let size = 0.5 / (inputs as f32).sqrt();
                draw.purpose(&entry.name).normals(0..1, count).into_iter().map(|z| z * size).collect()
            }
        };
        (entry.name, TensorData::new(values, entry.shape))
    };
    config.shapes().into_iter().map(drawn).collect()
}

/// The images that latents stand for. `[n, 3, 8 side, 8 side]`
pub fn decoded(latents: &TensorData, autoencoder: &StateDict, device: &Device) -> Tensor<4> {
    let settings = StabilityVae::default();
    let codec = Codec::stability_vae(&settings, autoencoder, "the autoencoder", device).unwrap();
    let raw = Tensor::<4>::from_data(latents.clone(), device);
    let [n, c, h, w] = raw.dims();
    let images = codec.decode(codec.encode_final(raw, || Tensor::zeros([n, c / 2, h, w], device))).unwrap();
    Tensor::from_data(images.convert::<f32>(), device)
}

/// Mean and covariance of what the detector `random_conv` sees in images. images 0..=255 `[n, c, h, w]`
pub struct Reference {
    mu: TensorData,
    sigma: TensorData,
}

impl Reference {
    pub fn of(images: Tensor<4>) -> Self {
        let [_, c, h, w] = images.dims();
        let features = RandomConv::new(c, h, w, &images.device()).detect(images).unwrap().features;
        let d = features.dims()[1];
        let mut moments = Moments::new(d);
        moments.extend(features.into_data().as_slice::<f32>().unwrap());
        let statistics = moments.statistics(Divisor::Sample).unwrap();
        let sigma: Vec<f64> = (0..d * d).map(|i| statistics.covariance[(i / d, i % d)]).collect();
        Self { mu: TensorData::new(statistics.mean, [d]), sigma: TensorData::new(sigma, [d, d]) }
    }

    /// EDM's file.
    pub fn npz(&self) -> Vec<u8> {
        stored(&[("mu.npy".to_owned(), npy(&self.mu)), ("sigma.npy".to_owned(), npy(&self.sigma))])
    }

    /// EDM2's file.
    pub fn pkl(&self) -> Vec<u8> {
        Pickler::file(|p| {
            p.dict(|p| {
                p.text("fid");
                p.dict(|p| {
                    for (name, array) in [("mu", &self.mu), ("sigma", &self.sigma)] {
                        p.text(name);
                        p.array(array);
                    }
                });
            });
        })
    }
}
