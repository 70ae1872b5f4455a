//! Dropout as networks apply it: masks are a function of the draw, the layer's name and the sample, never of the device.

use burn::tensor::Tensor;

use super::denoiser::Dropout;
use crate::kernels;

/// Drops a share of the activations and scales the others up. x `[n, h, w, c]`
pub(crate) fn drop_activations(x: Tensor<4>, share: f64, layer: &str, dropout: Dropout) -> Tensor<4> {
    match dropout {
        Dropout::On(draw, first) if share > 0.0 => {
            kernels::drop_activations(x, draw.purpose(layer), first, share)
        }
        _ => x,
    }
}

/// Turns a share of the samples unconditional. labels `[n, classes]`
pub(crate) fn drop_labels(labels: Tensor<2>, share: f64, dropout: Dropout) -> Tensor<2> {
    match dropout {
        Dropout::On(draw, first) if share > 0.0 => {
            let dims = [labels.dims()[0], 1];
            let uniforms = kernels::uniforms(draw.purpose("label_dropout"), first, dims, &labels.device());
            labels * uniforms.greater_equal_elem(share).float()
        }
        _ => labels,
    }
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
