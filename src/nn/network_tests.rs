//! What the recorded networks do not reach: all ways to encode and decode, dropout, gradients, wrong weights.

use burn::{
    module::Module,
    tensor::{DType, Device, FloatDType, Gradients, Tensor, TensorData},
};

use super::{
    AdmConfig, Condition, DecoderType, Denoised, Denoiser, Dropout, EncoderType, Entry, Network,
    NetworkConfig, SongUNetConfig,
};
use crate::{
    Error,
    seed::{Draw, Phase, Seed},
    state_dict::StateDict,
};

fn draw(what: &str) -> Draw {
    Seed(11).at(Phase::Init, 0).purpose(what)
}

fn config(json: &str) -> NetworkConfig {
    serde_json::from_str(json).unwrap()
}

/// A small network of every architecture and way to encode and decode.
fn all() -> Vec<NetworkConfig> {
    let small = r#""img_resolution": 8, "model_channels": 8, "channel_mult": [1, 2], "channel_mult_emb": 2, "num_blocks": 1, "attn_resolutions": [4], "augment_dim": 9, "label_dim": 3"#;
    let mut all = vec![
        config(&format!(r#"{{"adm": {{{small}}}}}"#)),
        config(&format!(r#"{{"adm": {{{small}, "preconditioning": {{"iddpm": {{"timesteps": 20}}}}}}}}"#)),
    ];
    for encoder in ["standard", "skip", "residual"] {
        for decoder in ["standard", "skip"] {
            for family in ["ddpmpp", "ncsnpp"] {
                all.push(config(&format!(
                    r#"{{"{family}": {{{small}, "encoder_type": "{encoder}", "decoder_type": "{decoder}"}}}}"#
                )));
            }
        }
    }
    all
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

#[test]
fn weights_come_back_as_they_were_loaded_in_the_order_of_registration() {
    let device = Device::flex();
    for config in all() {
        let weights = lively(&config);
        let network = config.load(&weights, "a test", &device).unwrap();
        let state = network.state_dict();
        assert_eq!(state.keys().collect::<Vec<_>>(), weights.keys().collect::<Vec<_>>());
        for (name, data) in &weights {
            assert_eq!(state[name], *data, "{name}");
        }
        let parameters: Vec<_> = network.entries().iter().filter(|e| e.is_parameter()).collect();
        assert_eq!(network.parameter_names().len(), parameters.len());
        assert_eq!(
            network.num_params(),
            parameters.iter().map(|e| e.shape.iter().product::<usize>()).sum::<usize>()
        );
    }
}

#[test]
fn every_way_to_encode_gives_images_and_logits() {
    let device = Device::flex();
    for config in all() {
        let network = config.init(draw("init"), &device).unwrap();
        let q = question(&config, 2, &device);
        let denoised = ask(&network, &q, Dropout::Off);
        assert_eq!(denoised.images.dims(), [2, 3, 8, 8]);
        assert_eq!(denoised.logits.dims(), [2, 1, 4, 4]);
        assert!(values(denoised.images).iter().all(|v| v.is_finite()));
        let logits = network.encode(q.noisy, q.sigma, &q.condition, Dropout::Off);
        assert!(largest_gap(denoised.logits, logits) < 1e-6);
    }
}

/// A step along the gradient, of the input and all weights together, changes a random projection of the outputs
/// by the gradient's length: true only if every part of the gradient is.
#[test]
fn gradients_agree_with_finite_differences() {
    let device = Device::flex().autodiff();
    for config in all() {
        let weights = lively(&config);
        let q = question(&config, 2, &device);
        let (r, r_logits) = (noise("r", [2, 3, 8, 8], &device), noise("l", [2, 1, 4, 4], &device));
        let loss = |network: &Network, x: Tensor<4>| {
            let d = network.denoise(x, q.sigma.clone(), &q.condition, Dropout::Off);
            (d.images * r.clone()).sum() + (d.logits * r_logits.clone()).sum()
        };
        let network = config.load(&weights, "a test", &device).unwrap();
        let x = q.noisy.clone().require_grad();
        let gradients = loss(&network, x.clone()).backward();
        let of_x = Tensor::from_inner(x.grad(&gradients).unwrap());
        let of_weights = parameter_gradients(&network, &gradients);
        assert_eq!(of_weights.len(), network.parameter_names().len());
        let squares = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let length = squares(&values(of_x.clone())) + of_weights.iter().map(|(_, g)| squares(g)).sum::<f64>();
        let length = length.sqrt();
        let at = |step: f64| {
            let step = (step / length) as f32;
            let mut weights = weights.clone();
            for (name, gradient) in &of_weights {
                let values = weights[name].as_mut_slice::<f32>().unwrap();
                values.iter_mut().zip(gradient).for_each(|(w, g)| *w += step * g);
            }
            let network = config.load(&weights, "a test", &device).unwrap();
            f64::from(loss(&network, q.noisy.clone() + of_x.clone() * step).into_scalar::<f32>())
        };
        // A five-point stencil: its error falls with the fourth power of the step.
        let h = 0.01;
        let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
        let error = (slope / length - 1.0).abs();
        assert!(error < 2e-3, "{config:?}: the slope is {slope}, the gradient {length}");
    }
}

fn parameter_gradients(network: &Network, gradients: &Gradients) -> Vec<(String, Vec<f32>)> {
    struct Collect<'a>(&'a Gradients, Vec<Option<Vec<f32>>>);
    impl burn::module::ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            let gradient = param.val().grad(self.0);
            self.1.push(gradient.map(|g| g.into_data().try_into_vec().unwrap()));
        }
    }
    let mut collect = Collect(gradients, Vec::new());
    network.visit(&mut collect);
    let named = network.parameter_names().into_iter().zip(collect.1);
    named.filter_map(|(name, gradient)| Some((name, gradient?))).collect()
}

#[test]
fn a_skip_decoder_adds_the_images_of_its_levels() {
    let device = Device::flex();
    let standard = all().swap_remove(2);
    let NetworkConfig::Ddpmpp(settings) = &standard else { panic!("DDPM++ stands there") };
    let skip = NetworkConfig::Ddpmpp(SongUNetConfig { decoder_type: DecoderType::Skip, ..settings.clone() });
    let weights = lively(&standard);
    // The lower level contributes a constant image: its bias.
    let mut more = lively(&skip);
    for (name, data) in &mut more {
        match weights.get(name) {
            Some(same) => *data = same.clone(),
            None if name.ends_with("aux_conv.bias") => *data = TensorData::new(vec![0.5f32, -1.0, 2.0], [3]),
            None if name.ends_with("aux_conv.weight") => {
                *data = TensorData::zeros::<f32, _>(data.shape().clone());
            }
            None => {}
        }
    }
    let q = question(&standard, 2, &device);
    let f_x = |config: &NetworkConfig, weights: &StateDict| {
        let network = config.load(weights, "a test", &device).unwrap();
        network.raw(&q.noisy, q.sigma.clone(), &q.condition, Dropout::Off).f_x
    };
    let constant = Tensor::<1>::from_floats([0.5, -1.0, 2.0], &device).reshape([1, 3, 1, 1]);
    let expected = f_x(&standard, &weights) + constant;
    assert!(largest_gap(f_x(&skip, &more), expected) < 1e-5);
}

#[test]
fn a_silent_skip_encoder_is_a_standard_one() {
    let device = Device::flex();
    let standard = all().swap_remove(2);
    let NetworkConfig::Ddpmpp(settings) = &standard else { panic!("DDPM++ stands there") };
    let skip = NetworkConfig::Ddpmpp(SongUNetConfig { encoder_type: EncoderType::Skip, ..settings.clone() });
    let weights = lively(&standard);
    let mut more = lively(&skip);
    for (name, data) in &mut more {
        match weights.get(name) {
            Some(same) => *data = same.clone(),
            None if name.contains("aux_skip") => *data = TensorData::zeros::<f32, _>(data.shape().clone()),
            None => {}
        }
    }
    let q = question(&standard, 2, &device);
    let images = |config: &NetworkConfig, weights: &StateDict| {
        ask(&config.load(weights, "a test", &device).unwrap(), &q, Dropout::Off).images
    };
    assert!(largest_gap(images(&standard, &weights), images(&skip, &more)) < 1e-6);
    assert!(largest_gap(images(&standard, &weights), images(&skip, &lively(&skip))) > 1e-3);
}

#[test]
fn dropout_is_the_same_however_a_batch_is_split() {
    let device = Device::flex();
    let config = all().swap_remove(2);
    let network = config.load(&lively(&config), "a test", &device).unwrap();
    let q = question(&config, 4, &device);
    let whole = ask(&network, &q, Dropout::On(draw("d"), 8)).images;
    let part = |start: usize, length: usize| {
        let labels = |l: &Option<Tensor<2>>| l.clone().map(|l| l.narrow(0, start, length));
        let q = Question {
            noisy: q.noisy.clone().narrow(0, start, length),
            sigma: q.sigma.clone().narrow(0, start, length),
            condition: Condition {
                class_labels: labels(&q.condition.class_labels),
                augment_labels: labels(&q.condition.augment_labels),
            },
        };
        ask(&network, &q, Dropout::On(draw("d"), 8 + start as u64)).images
    };
    let parts = Tensor::cat(vec![part(0, 1), part(1, 3)], 0);
    assert!(largest_gap(whole.clone(), parts) < 1e-5);
    assert!(largest_gap(whole, ask(&network, &q, Dropout::Off).images) > 1e-3);
}

#[test]
fn dropped_labels_are_no_labels() {
    let device = Device::flex();
    for config in all() {
        let config = match config {
            NetworkConfig::Ddpmpp(c) => {
                NetworkConfig::Ddpmpp(SongUNetConfig { label_dropout: 1.0, dropout: 0.0, ..c })
            }
            NetworkConfig::Adm(c) => NetworkConfig::Adm(AdmConfig { label_dropout: 1.0, dropout: 0.0, ..c }),
            other => other,
        };
        if matches!(config, NetworkConfig::Ncsnpp(_)) {
            continue;
        }
        let network = config.load(&lively(&config), "a test", &device).unwrap();
        let q = question(&config, 3, &device);
        let dropped = ask(&network, &q, Dropout::On(draw("d"), 0)).images;
        let condition = Condition { class_labels: None, ..q.condition.clone() };
        let without = network.denoise(q.noisy.clone(), q.sigma.clone(), &condition, Dropout::Off).images;
        assert!(largest_gap(dropped, without.clone()) < 1e-6);
        assert!(largest_gap(without, ask(&network, &q, Dropout::Off).images) > 1e-4);
    }
}

#[test]
fn a_network_without_gradients_still_passes_them_to_its_input() {
    let device = Device::flex().autodiff();
    let config = all().swap_remove(0);
    let network = config.load(&lively(&config), "a test", &device).unwrap();
    let q = question(&config, 2, &device);
    let gradient = |network: &Network| {
        let x = q.noisy.clone().require_grad();
        let d = network.denoise(x.clone(), q.sigma.clone(), &q.condition, Dropout::Off);
        let gradients = (d.images.square().sum() + d.logits.square().sum()).backward();
        (x.grad(&gradients).unwrap(), parameter_gradients(network, &gradients).len())
    };
    let (learning, with) = gradient(&network);
    let (frozen, without) = gradient(&network.clone().no_grad());
    assert_eq!(learning.into_data(), frozen.into_data());
    assert_eq!(without, 0);
    assert!(with > 0);

    let plain = question(&config, 2, &Device::flex());
    assert!(!ask(&network.valid(), &plain, Dropout::Off).images.is_autodiff());
}

#[test]
fn reduced_precision_is_close_and_its_results_are_float32() {
    let device = Device::flex();
    for config in all() {
        let network = config.load(&lively(&config), "a test", &device).unwrap();
        let q = question(&config, 2, &device);
        let exact = ask(&network, &q, Dropout::Off);
        let scale = exact.images.clone().abs().max().into_scalar::<f32>();
        for (dtype, slack) in [(FloatDType::F16, 0.01), (FloatDType::BF16, 0.08)] {
            let d = ask(&network.clone().with_compute(dtype.into()), &q, Dropout::Off);
            assert_eq!((d.images.dtype(), d.logits.dtype()), (DType::F32, DType::F32));
            let gap = largest_gap(d.images, exact.images.clone());
            assert!(gap < slack * scale, "{dtype:?}: off by {gap} of {scale}");
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_refused_by_name() {
    let device = Device::flex();
    let config = all().swap_remove(2);
    let weights = lively(&config);
    let name = "model.enc.8x8_conv.weight";
    let load = |weights: &StateDict| config.load(weights, "a.pkl", &device).map(|_| ()).unwrap_err();

    let mut changed = weights.clone();
    changed.shift_remove(name);
    assert!(matches!(load(&changed), Error::MissingTensor { tensor, .. } if tensor == name));
    let mut changed = weights.clone();
    changed.insert("model.extra".to_owned(), TensorData::zeros::<f32, _>([1]));
    assert!(matches!(load(&changed), Error::UnexpectedTensor { tensor, .. } if tensor == "model.extra"));
    let mut changed = weights.clone();
    changed[name] = TensorData::zeros::<f32, _>([8, 3, 3, 1]);
    assert!(matches!(load(&changed), Error::ShapeMismatch { found, .. } if found == [8, 3, 3, 1]));
    let mut changed = weights.clone();
    changed[name] = TensorData::zeros::<i64, _>([8, 3, 3, 3]);
    assert!(load(&changed).to_string().contains(name));
    let mut changed = weights;
    let filter = "model.enc.4x4_down.conv0.resample_filter";
    changed[filter] = TensorData::zeros::<f32, _>([1, 1, 2, 2]);
    assert!(load(&changed).to_string().contains(filter));
}

#[test]
fn weights_of_other_precisions_become_float32() {
    let device = Device::flex();
    let config = all().swap_remove(2);
    let weights = lively(&config);
    let in_other = |dtype: DType| -> StateDict {
        weights.iter().map(|(name, data)| (name.clone(), data.clone().convert_dtype(dtype))).collect()
    };
    let exact = config.load(&in_other(DType::F64), "a.pkl", &device).unwrap().state_dict();
    assert_eq!(exact, weights);
    let halved = config.load(&in_other(DType::F16), "a.pkl", &device).unwrap().state_dict();
    assert!(halved.values().all(|data| data.dtype() == DType::F32));
    assert_ne!(halved, weights);
}
