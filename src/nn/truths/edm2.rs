//! What only EDM2 has: a quiet start, forced normalisation, clipping.

use super::*;

fn clipped_at(clip_act: f64) -> NetworkConfig {
    match edm2() {
        NetworkConfig::Edm2(settings) => {
            NetworkConfig::Edm2(crate::nn::Edm2Config { clip_act: Some(clip_act), ..settings })
        }
        other => panic!("EDM2 stands last, not {other:?}"),
    }
}

/// A network that has left its starting point: its gains are not zero, its weights not normalised.
fn network(config: &NetworkConfig, device: &Device) -> Network {
    let mut weights = config.init(draw("init"), &Device::flex()).unwrap().state_dict();
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

fn largest(x: Tensor<4>) -> f32 {
    x.abs().max().into_scalar()
}

#[test]
fn a_fresh_network_gives_back_its_input_scaled() {
    let device = Device::flex();
    let fresh = edm2().init(draw("init"), &device).unwrap();
    let q = question(&edm2(), 2, &device);
    let c_skip = (q.sigma.clone().square() + 0.25).recip() * 0.25;
    assert!(largest_gap(ask(&fresh, &q, Dropout::Off).images, q.noisy * c_skip) < 1e-6);
}

#[test]
fn forced_normalization_keeps_the_function() {
    let device = Device::flex();
    let network = network(&edm2(), &device);
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
    let q = question(&edm2(), 2, &device);
    let [before, after] = [network, forced].map(|network| ask(&network, &q, Dropout::Off));
    assert!(largest_gap(before.logits(), after.logits()) < 5e-3);
    assert!(largest_gap(before.images, after.images) < 5e-3);
}

/// Where everything is clipped, nothing passes back.
#[test]
fn clipping_bounds_activations_and_stops_gradients() {
    let device = Device::flex().autodiff();
    let q = question(&edm2(), 2, &device);
    let x = q.noisy.require_grad();
    let encode = |clip_act: f64| {
        let network = network(&clipped_at(clip_act), &device);
        network.encode(x.clone(), q.sigma.clone(), &q.condition, Dropout::Off)
    };
    let gradient =
        |encoded: Tensor<4>| largest(x.grad(&encoded.sum().backward()).expect("the input is tracked"));
    assert!(gradient(encode(256.0)) > 1e-3);
    let shut = encode(1e-7);
    assert!(largest(shut.clone()) <= 1.001e-7);
    assert!(gradient(shut) < 1e-6);
}
