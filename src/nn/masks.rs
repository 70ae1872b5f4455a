//! Dropout with masks of our own: a function of the draw, the layer's name and the sample, never of the device.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rayon::prelude::*;

use super::denoiser::Dropout;

/// Drops a share of the activations and scales the others up. x `[n, h, w, c]`
pub(crate) fn drop_activations(x: Tensor<4>, share: f64, layer: &str, dropout: Dropout) -> Tensor<4> {
    let Dropout::On(draw, first) = dropout else { return x };
    if share <= 0.0 {
        return x;
    }
    let [n, h, w, c] = x.dims();
    let draw = draw.purpose(layer);
    let per_sample = h * w * c;
    // Sixteen bits per activation are enough to say which share is dropped, and cheap to make.
    let threshold = (share * 65536.0).round() as u32;
    let kept = (1.0 / (1.0 - share)) as f32;
    let mut mask = vec![0f32; n * per_sample];
    mask.par_chunks_mut(per_sample.max(1)).enumerate().for_each(|(i, mask)| {
        let mut bits = vec![0u16; per_sample];
        draw.sample(first + i as u64).fill(&mut bits[..]);
        for (m, bits) in mask.iter_mut().zip(bits) {
            *m = if u32::from(bits) >= threshold { kept } else { 0.0 };
        }
    });
    let mask = Tensor::<4>::from_data(TensorData::new(mask, [n, h, w, c]), &x.device());
    let mask = super::layers::cast(mask, x.dtype());
    x * mask
}

/// Turns a share of the samples unconditional. labels `[n, classes]`
pub(crate) fn drop_labels(labels: Tensor<2>, share: f64, dropout: Dropout) -> Tensor<2> {
    let Dropout::On(draw, first) = dropout else { return labels };
    if share <= 0.0 {
        return labels;
    }
    let [n, _] = labels.dims();
    let uniforms = draw.purpose("label_dropout").uniforms(first..first + n as u64, 1);
    let kept: Vec<f32> = uniforms.iter().map(|&u| f32::from(f64::from(u) >= share)).collect();
    let kept = Tensor::<2>::from_data(TensorData::new(kept, [n, 1]), &labels.device());
    labels * kept
}
