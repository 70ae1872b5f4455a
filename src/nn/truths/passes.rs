//! What passes give, whole and in parts, with dropout and in reduced precision.

use super::*;
use crate::nn::AdmConfig;

#[test]
fn every_way_to_encode_gives_images_and_logits() {
    let device = Device::flex();
    for config in all() {
        let network = config.init(draw("init"), &device).unwrap();
        let q = question(&config, 2, &device);
        let denoised = ask(&network, &q, Dropout::Off);
        assert_eq!(denoised.images.dims(), [2, 3, 8, 8]);
        assert_eq!(denoised.logits().dims(), [2, 1, 4, 4]);
        let logits = network.encode(q.noisy, q.sigma, &q.condition, Dropout::Off);
        assert!(largest_gap(denoised.logits(), logits) < 1e-6);
        assert_eq!(denoised.logvar.map(|u| u.dims()), config.is_edm2().then_some([2, 1, 1, 1]));
        assert!(values(denoised.images).iter().all(|v| v.is_finite()));
    }
}

#[test]
fn dropout_is_the_same_however_a_batch_is_split() {
    let device = Device::flex();
    for config in [NetworkConfig::Ddpmpp(ddpmpp()), edm2()] {
        let network = config.load(&lively(&config), "a test", &device).unwrap();
        let q = question(&config, 4, &device);
        let whole = ask(&network, &q, dropping(&config, 8..12)).images;
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
            ask(&network, &q, dropping(&config, 8 + start as u64..8 + (start + length) as u64)).images
        };
        let parts = Tensor::cat(vec![part(0, 1), part(1, 3)], 0);
        assert!(largest_gap(whole.clone(), ask(&network, &q, dropping(&config, 8..12)).images) == 0.0);
        assert!(largest_gap(whole.clone(), parts) < 1e-5);
        assert!(largest_gap(whole, ask(&network, &q, Dropout::Off).images) > 1e-3);
    }
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
            _ => continue,
        };
        let network = config.load(&lively(&config), "a test", &device).unwrap();
        let q = question(&config, 3, &device);
        let dropped = ask(&network, &q, dropping(&config, 0..3)).images;
        let condition = Condition { class_labels: None, ..q.condition.clone() };
        let without = network.denoise(q.noisy.clone(), q.sigma.clone(), &condition, Dropout::Off).images;
        assert!(largest_gap(dropped, without.clone()) < 1e-6);
        assert!(largest_gap(without, ask(&network, &q, Dropout::Off).images) > 1e-4);
    }
}

#[test]
fn reduced_precision_is_close_and_its_results_are_float32() {
    let device = Device::flex();
    for config in all() {
        let network = config.load(&lively(&config), "a test", &device).unwrap();
        let q = question(&config, 2, &device);
        let exact = ask(&network, &q, Dropout::Off);
        let scale = exact.images.clone().abs().max().into_scalar::<f32>();
        let [half, brain] = if config.is_edm2() { [0.02, 0.15] } else { [0.01, 0.08] };
        for (dtype, slack) in [(DType::F16, half), (DType::BF16, brain)] {
            let d = ask(&network.clone().with_compute(dtype), &q, Dropout::Off);
            assert_eq!((d.images.dtype(), d.logits().dtype()), (DType::F32, DType::F32));
            let gap = largest_gap(d.images, exact.images.clone());
            assert!(gap > 0.0 && gap < slack * scale, "{dtype:?}: off by {gap} of {scale}");
        }
    }
}
