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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::seed::{Draw, Phase, Seed};

    fn draw() -> Draw {
        Seed(3).at(Phase::FakeScore, 0)
    }

    fn mask(n: usize, first: u64, layer: &str) -> Vec<f32> {
        let ones = Tensor::<4>::ones([n, 8, 8, 32], &Device::flex());
        drop_activations(ones, 0.13, layer, Dropout::On(draw(), first)).into_data().try_into_vec().unwrap()
    }

    #[test]
    fn the_asked_share_is_dropped_and_the_rest_scaled_up() {
        let mask = mask(16, 0, "model.enc.8x8_block0");
        let dropped = mask.iter().filter(|&&m| m == 0.0).count() as f64 / mask.len() as f64;
        // Four standard deviations of a share of 32768 trials.
        assert!((dropped - 0.13).abs() < 4.0 * (0.13f64 * 0.87 / 32768.0).sqrt(), "{dropped}");
        assert!(mask.iter().all(|&m| m == 0.0 || (m - 1.0 / 0.87).abs() < 1e-6));
    }

    #[test]
    fn masks_follow_layer_and_sample_and_not_the_split_of_the_batch() {
        let whole = mask(4, 8, "a");
        assert_eq!(whole, [mask(1, 8, "a"), mask(3, 9, "a")].concat());
        assert_ne!(whole, mask(4, 8, "b"));
        assert_ne!(whole, mask(4, 9, "a"));
    }

    #[test]
    fn evaluation_drops_nothing() {
        let ones = Tensor::<4>::ones([1, 4, 4, 4], &Device::flex());
        let kept = drop_activations(ones.clone(), 0.9, "a", Dropout::Off);
        assert_eq!(kept.into_data(), ones.into_data());
        let labels = Tensor::<2>::ones([5, 3], &Device::flex());
        assert_eq!(drop_labels(labels.clone(), 1.0, Dropout::Off).into_data(), labels.into_data());
    }

    #[test]
    fn labels_are_dropped_sample_by_sample() {
        let labels = Tensor::<2>::ones([2000, 3], &Device::flex());
        let kept = drop_labels(labels, 0.25, Dropout::On(draw(), 0));
        let kept: Vec<f32> = kept.into_data().try_into_vec().unwrap();
        assert!(kept.chunks(3).all(|row| row == [0.0; 3] || row == [1.0; 3]));
        let share = kept.iter().sum::<f32>() / kept.len() as f32;
        assert!((share - 0.75).abs() < 4.0 * (0.25f32 * 0.75 / 2000.0).sqrt(), "{share}");
    }
}
