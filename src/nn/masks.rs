//! Dropout as networks apply it: masks are a function of the draw, the layer's name and the sample, never of the device.

use std::{ops::Range, sync::Arc};

use burn::tensor::{Device, Tensor};

use super::{config::NetworkConfig, denoiser::Dropout};
use crate::{
    kernels::{self, Keys, Slots},
    seed::Draw,
};

/// What training drops in a network.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// The layers whose activations are.
    layers: Arc<[String]>,
    /// Whether class labels are.
    labels: bool,
}

/// The masks of one training pass over some samples.
#[derive(Clone, Debug)]
pub struct Masks {
    layers: Arc<[String]>,
    /// One for each layer.
    keys: Keys,
    /// Uniforms, where labels are dropped. `[n, 1]`
    labels: Option<Tensor<2>>,
}

impl Dropped {
    /// By a network with these settings.
    pub fn by(network: &NetworkConfig) -> Self {
        let layers = if network.dropout() > 0.0 { network.blocks() } else { Vec::new() };
        Self { layers: layers.into(), labels: network.label_dim() > 0 && network.label_dropout() > 0.0 }
    }

    /// The masks that follow from `draw`; samples are counted within the whole batch.
    pub fn masks(&self, draw: Draw, samples: Range<u64>, device: &Device) -> Dropout {
        let (first, n) = (samples.start, samples.count());
        Dropout::On(Box::new(Masks {
            layers: Arc::clone(&self.layers),
            keys: Keys::new(self.layers.iter().map(|layer| draw.purpose(layer)), first, device),
            labels: self
                .labels
                .then(|| kernels::uniforms(draw.purpose("label_dropout"), first, [n, 1], device)),
        }))
    }
}

impl Masks {
    /// Shows what a pass reads of them.
    pub(super) fn each(&mut self, slots: &mut Slots) {
        let Self { layers: _, keys, labels } = self;
        slots.keys(keys);
        labels.iter_mut().for_each(|labels| slots.tensor(labels));
    }
}

/// Drops a share of the activations and scales the others up. x `[n, h, w, c]`
pub(crate) fn drop_activations(x: Tensor<4>, share: f64, layer: &str, dropout: &Dropout) -> Tensor<4> {
    match dropout {
        Dropout::On(masks) if share > 0.0 => {
            let Masks { layers, keys, .. } = &**masks;
            let number = layers.iter().position(|name| name == layer).expect("masks are of this network");
            kernels::drop_activations(x, keys, number, share)
        }
        _ => x,
    }
}

/// Turns a share of the samples unconditional. labels `[n, classes]`
pub(crate) fn drop_labels(labels: Tensor<2>, share: f64, dropout: &Dropout) -> Tensor<2> {
    match dropout {
        Dropout::On(masks) => match &masks.labels {
            Some(uniforms) => labels * uniforms.clone().greater_equal_elem(share).float(),
            None => labels,
        },
        Dropout::Off => labels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Phase, Seed};

    fn draw() -> Draw {
        Seed(3).at(Phase::FakeScore, 0)
    }

    fn dropped(layer: &str, samples: Range<u64>) -> Dropout {
        let dropped = Dropped { layers: ["first", layer].map(String::from).into(), labels: true };
        dropped.masks(draw(), samples, &Device::flex())
    }

    fn mask(n: usize, first: u64, layer: &str) -> Vec<f32> {
        let ones = Tensor::<4>::ones([n, 8, 8, 32], &Device::flex());
        let dropout = dropped(layer, first..first + n as u64);
        drop_activations(ones, 0.13, layer, &dropout).into_data().try_into_vec().unwrap()
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
        let kept = drop_activations(ones.clone(), 0.9, "a", &Dropout::Off);
        assert_eq!(kept.into_data(), ones.into_data());
        let labels = Tensor::<2>::ones([5, 3], &Device::flex());
        assert_eq!(drop_labels(labels.clone(), 1.0, &Dropout::Off).into_data(), labels.into_data());
    }

    #[test]
    fn labels_are_dropped_sample_by_sample() {
        let labels = Tensor::<2>::ones([2000, 3], &Device::flex());
        let kept = drop_labels(labels, 0.25, &dropped("a", 0..2000));
        let kept: Vec<f32> = kept.into_data().try_into_vec().unwrap();
        assert!(kept.chunks(3).all(|row| row == [0.0; 3] || row == [1.0; 3]));
        let share = kept.iter().sum::<f32>() / kept.len() as f32;
        assert!((share - 0.75).abs() < 4.0 * (0.25f32 * 0.75 / 2000.0).sqrt(), "{share}");
    }
}
