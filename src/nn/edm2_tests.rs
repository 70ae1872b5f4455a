//! What the recorded EDM2 networks do not reach: forced normalisation, clipping, dropout, reduced precision.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{Condition, Denoiser, Dropout, Edm2Config, Network, NetworkConfig};
use crate::{
    seed::{Draw, Phase, Seed},
    stage_name::StageName,
};

fn draw() -> Draw {
    Seed(11).stage(&StageName::new("edm2")).at(Phase::Init, 0)
}

fn config(clip_act: f64) -> Edm2Config {
    let settings = serde_json::json!({
        "img_resolution": 8, "img_channels": 3, "label_dim": 4, "model_channels": 8, "channel_mult": [1, 2],
        "num_blocks": 1, "attn_resolutions": [4], "channels_per_head": 8, "dropout": 0.5,
        "clip_act": clip_act, "logvar_channels": 16,
    });
    serde_json::from_value(settings).unwrap()
}

/// A network that has left its starting point: its gains are not zero, its weights not normalised.
fn network(config: Edm2Config, device: &Device) -> Network {
    let config = NetworkConfig::Edm2(config);
    let mut weights = config.init(draw(), &Device::flex()).unwrap().state_dict();
    for (name, data) in &mut weights {
        if name.ends_with("gain") {
            *data = TensorData::new(vec![0.7f32], Vec::<usize>::new());
        } else if name.ends_with("weight") {
            let tripled = data.iter::<f32>().map(|w| 3.0 * w).collect::<Vec<_>>();
            *data = TensorData::new(tripled, data.shape().clone());
        }
    }
    config.load(&weights, "the test", device).unwrap()
}

fn batch(device: &Device) -> (Tensor<4>, Tensor<4>, Condition) {
    let x = TensorData::new(draw().purpose("x").normals(0..2, 3 * 64), [2, 3, 8, 8]);
    let sigma = TensorData::new(vec![0.3f32, 4.0], [2, 1, 1, 1]);
    let labels = TensorData::new(vec![0.0f32, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [2, 4]);
    let class_labels = Some(Tensor::from_data(labels, device));
    let condition = Condition { class_labels, augment_labels: None };
    (Tensor::from_data(x, device), Tensor::from_data(sigma, device), condition)
}

fn largest(x: Tensor<4>) -> f32 {
    x.abs().max().into_scalar()
}

#[test]
fn a_fresh_network_gives_back_its_input_scaled() {
    let device = Device::flex();
    let fresh = NetworkConfig::Edm2(config(256.0)).init(draw(), &device).unwrap();
    let (x, sigma, condition) = batch(&device);
    let denoised = fresh.denoise(x.clone(), sigma.clone(), &condition, Dropout::Off);
    let c_skip = (sigma.square() + 0.25).recip() * 0.25;
    assert!(largest(denoised.images - x * c_skip) < 1e-6);
    assert_eq!(denoised.logvar.map(|u| u.dims()), Some([2, 1, 1, 1]));
}

#[test]
fn forced_normalization_keeps_the_function() {
    let device = Device::flex();
    let network = network(config(256.0), &device);
    let forced = network.clone().force_weight_normalization();
    for (name, data) in forced.state_dict() {
        let values: Vec<f64> = data.iter::<f64>().collect();
        let rms = (values.iter().map(|w| w * w).sum::<f64>() / values.len() as f64).sqrt();
        if name.ends_with("weight") {
            assert!((rms - 1.0).abs() < 1e-3, "{name} has magnitude {rms}");
        } else {
            assert_eq!(data, network.state_dict()[&name], "{name}");
        }
    }
    let (x, sigma, condition) = batch(&device);
    let passes = [network, forced].map(|net| net.denoise(x.clone(), sigma.clone(), &condition, Dropout::Off));
    let [before, after] = passes;
    assert!(largest(before.images - after.images) < 5e-3);
    assert!(largest(before.logits - after.logits) < 5e-3);
}

/// Where everything is clipped, nothing passes back.
#[test]
fn clipping_bounds_activations_and_stops_gradients() {
    let device = Device::flex().autodiff();
    let (x, sigma, condition) = batch(&device);
    let x = x.require_grad();
    let open = network(config(256.0), &device).encode(x.clone(), sigma.clone(), &condition, Dropout::Off);
    let gradient = x.grad(&open.sum().backward()).expect("the input is tracked");
    assert!(largest(gradient) > 1e-3);
    let shut = network(config(1e-7), &device).encode(x.clone(), sigma, &condition, Dropout::Off);
    assert!(largest(shut.clone()) <= 1.001e-7);
    let gradient = x.grad(&shut.sum().backward()).expect("the input is tracked");
    assert!(largest(gradient) < 1e-6);
}

#[test]
fn dropout_is_a_function_of_draw_and_sample() {
    let device = Device::flex();
    let network = network(config(256.0), &device);
    let (x, sigma, condition) = batch(&device);
    let pass = |dropout| network.denoise(x.clone(), sigma.clone(), &condition, dropout).images;
    let whole = pass(Dropout::On(draw(), 0));
    assert!(largest(whole.clone() - pass(Dropout::On(draw(), 0))) == 0.0);
    assert!(largest(whole.clone() - pass(Dropout::Off)) > 1e-3);
    let second = Condition {
        class_labels: condition.class_labels.clone().map(|labels| labels.narrow(0, 1, 1)),
        augment_labels: None,
    };
    let (x, sigma) = (x.clone().narrow(0, 1, 1), sigma.clone().narrow(0, 1, 1));
    let alone = network.denoise(x, sigma, &second, Dropout::On(draw(), 1)).images;
    assert!(largest(alone - whole.narrow(0, 1, 1)) < 1e-5);
}

#[test]
fn reduced_precision_is_close_and_its_results_are_float32() {
    let device = Device::flex();
    let network = network(config(256.0), &device);
    let (x, sigma, condition) = batch(&device);
    let exact = network.denoise(x.clone(), sigma.clone(), &condition, Dropout::Off);
    for (dtype, tolerance) in [(DType::F16, 0.02), (DType::BF16, 0.15)] {
        let close = network.clone().with_compute(dtype);
        let denoised = close.denoise(x.clone(), sigma.clone(), &condition, Dropout::Off);
        assert_eq!((denoised.images.dtype(), denoised.logits.dtype()), (DType::F32, DType::F32));
        let scale = largest(exact.images.clone());
        let error = largest(denoised.images - exact.images.clone()) / scale;
        assert!(error > 0.0 && error < tolerance, "{dtype:?}: {error}");
    }
}
