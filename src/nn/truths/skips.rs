//! What images beside the blocks of DDPM++ add.

use super::*;
use crate::nn::{DecoderType, EncoderType};

/// Weights of the standard network, and of another that has more: `change` says what the rest becomes, where it is not
/// lively.
fn shared(more: &NetworkConfig, change: impl Fn(&str, &mut TensorData)) -> (StateDict, StateDict) {
    let weights = lively(&NetworkConfig::Ddpmpp(ddpmpp()));
    let mut others = lively(more);
    for (name, data) in &mut others {
        match weights.get(name) {
            Some(same) => *data = same.clone(),
            None => change(name, data),
        }
    }
    (weights, others)
}

fn silence(data: &mut TensorData) {
    *data = TensorData::zeros::<f32, _>(data.shape().clone());
}

#[test]
fn a_skip_decoder_adds_the_images_of_its_levels() {
    let device = Device::flex();
    let standard = NetworkConfig::Ddpmpp(ddpmpp());
    let skip = NetworkConfig::Ddpmpp(SongUNetConfig { decoder_type: DecoderType::Skip, ..ddpmpp() });
    // The lower level contributes a constant image: its bias.
    let (weights, more) = shared(&skip, |name, data| {
        if name.ends_with("aux_conv.bias") {
            *data = TensorData::new(vec![0.5f32, -1.0, 2.0], [3]);
        } else if name.ends_with("aux_conv.weight") {
            silence(data);
        }
    });
    let q = question(&standard, 2, &device);
    let f_x = |config: &NetworkConfig, weights: &StateDict| {
        let network = config.load(weights, "a test", &device).unwrap();
        network.raw(&q.noisy, q.sigma.clone(), &q.condition, Dropout::Off).f_x
    };
    let constant = Tensor::<1>::from_floats([0.5, -1.0, 2.0], &device).reshape([1, 3, 1, 1]);
    assert!(largest_gap(f_x(&skip, &more), f_x(&standard, &weights) + constant) < 1e-5);
}

#[test]
fn a_silent_skip_encoder_is_a_standard_one() {
    let device = Device::flex();
    let standard = NetworkConfig::Ddpmpp(ddpmpp());
    let skip = NetworkConfig::Ddpmpp(SongUNetConfig { encoder_type: EncoderType::Skip, ..ddpmpp() });
    let (weights, more) = shared(&skip, |name, data| {
        if name.contains("aux_skip") {
            silence(data);
        }
    });
    let q = question(&standard, 2, &device);
    let images = |config: &NetworkConfig, weights: &StateDict| {
        ask(&config.load(weights, "a test", &device).unwrap(), &q, Dropout::Off).images
    };
    assert!(largest_gap(images(&standard, &weights), images(&skip, &more)) < 1e-6);
    assert!(largest_gap(images(&standard, &weights), images(&skip, &lively(&skip))) > 1e-3);
}
