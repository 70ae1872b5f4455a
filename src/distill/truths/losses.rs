//! Losses and what recipes mean for them.

use super::*;

#[test]
fn the_generator_has_nothing_to_learn_once_the_fake_score_is_the_teachers() {
    let recipe = recipe(sid(), serde_json::json!({}));
    let objective = Objective::new(&recipe, &network());
    let batch = supply(&recipe).micro_batch(Phase::Generator, 0, 0..8).unwrap();
    let teacher = frozen(&Gaussian::new(0.5, 0.25));
    let round = |fake_score: Gaussian| {
        let fake_score = frozen(&fake_score);
        objective.generator_round(&perfect(), &teacher, &fake_score, &batch, Learning::Score, 8.0)
    };
    let at_optimum = round(Gaussian::new(0.5, 0.25));
    assert!(values(at_optimum.terms.score).iter().all(|&loss| loss == 0.0));
    assert_eq!(gradient(&at_optimum.gradients, "mean"), 0.0);
    assert_eq!(gradient(&at_optimum.gradients, "std"), 0.0);
    let elsewhere = round(Gaussian::new(0.2, 0.25));
    assert!(gradient(&elsewhere.gradients, "mean").abs() > 1.0);
}

#[test]
fn the_score_identity_is_the_squared_gap() {
    // With the exact fake score of a generator N(0.2, 0.4), E[gap (f_real - x)] = E[gap^2], so alpha = 1 gives 0 in
    // expectation and alpha = 0 the gap; large images make the normaliser the same for all of them.
    let device = Device::flex();
    let (n, side) = (16usize, 64usize);
    let normals = |what: &str| {
        let draw = Seed(3).at(Phase::Generator, 0).purpose(what);
        let data = TensorData::new(draw.normals(0..n as u64, side * side), [n, 1, side, side]);
        Tensor::<4>::from_data(data, &device)
    };
    let x = normals("x") * 0.4 + 0.2;
    let sigma = Tensor::<4>::full([n, 1, 1, 1], 0.7, &device);
    let noisy = x.clone() + normals("noise") * 0.7;
    let denoised = |network: Gaussian| {
        use crate::nn::{Condition, Denoiser, Dropout};
        network.denoise(noisy.clone(), sigma.clone(), &Condition::default(), Dropout::Off)
    };
    let (real, fake) = (denoised(Gaussian::new(0.5, 0.25)).images, denoised(Gaussian::new(0.2, 0.4)));
    let gap = (real.clone() - fake.images.clone()).square().mean().into_scalar::<f32>();
    let normaliser = (x.clone() - real.clone()).abs().mean().into_scalar::<f32>();
    let loss = |alpha: f64| {
        let settings =
            GeneratorLoss { alpha, adversarial: false, weight_by_logvar: false, drop_nan_logits: false };
        let terms = settings.terms(x.clone(), real.clone(), fake.clone());
        terms.score.mean().into_scalar::<f32>() * normaliser / gap
    };
    assert!((loss(0.0) - 1.0).abs() < 0.03, "{}", loss(0.0));
    assert!(loss(1.0).abs() < 0.03, "{}", loss(1.0));
    assert!((loss(0.5) - 0.5).abs() < 0.03, "{}", loss(0.5));
}

#[test]
fn a_poisoned_sample_is_left_out_of_everything_but_the_divisor() {
    let recipe = recipe(sida(0.0, 0.0), serde_json::json!({}));
    let objective = Objective::new(&recipe, &network());
    let batch = supply(&recipe).micro_batch(Phase::FakeScore, 0, 0..4).unwrap();
    let (generator, fake_score) = (Gaussian::new(0.1, 0.9), Gaussian::new(0.3, 0.6));
    let round = |batch: &MicroBatch| objective.fake_score_round(&generator, &fake_score, batch, 4.0).unwrap();
    let all = round(&batch);
    let mut poisoned = batch.clone();
    let spot = Tensor::<4>::from_data([[[[f32::NAN]]]], &Device::flex());
    poisoned.latents = poisoned.latents.slice_assign([2..3, 0..1, 4..5, 5..6], spot);
    let three = round(&poisoned);
    assert_eq!(three.terms.kept.count_dropped().into_scalar::<f32>(), 1.0);
    let (a, b) = (values(all.terms.score), values(three.terms.score));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert_eq!(*b, if i / 64 == 2 { 0.0 } else { *a });
    }
    // The discriminator's mean is over the three that are left.
    let mut without = batch.clone();
    let three_of = |t: Tensor<4>| Tensor::cat(vec![t.clone().narrow(0, 0, 2), t.narrow(0, 3, 1)], 0);
    without.latents = three_of(without.latents);
    without.pass.sigma = three_of(without.pass.sigma);
    without.pass.noise = three_of(without.pass.noise);
    without.real = without.real.map(|real| Real { images: three_of(real.images), ..real });
    let without = round(&without);
    let (found, expected) =
        (values(three.terms.adversarial.unwrap()), values(without.terms.adversarial.unwrap()));
    for (found, expected) in [found[0], found[1], found[3]].iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5 * expected);
    }
    assert_eq!(found[2], 0.0);
}

#[test]
fn one_nan_spoils_the_adversarial_term_of_edm_but_not_of_edm2() {
    let device = Device::flex();
    let images = |value: f32| {
        let mut values = vec![value; 3 * 4];
        values[5] = f32::NAN;
        Tensor::<4>::from_data(TensorData::new(values, [3, 1, 2, 2]), &device)
    };
    let fake = crate::nn::Denoised { images: images(0.3), encoding: images(20.0), logvar: None };
    for drop_nan_logits in [false, true] {
        let loss = GeneratorLoss { alpha: 1.0, adversarial: true, weight_by_logvar: false, drop_nan_logits };
        let terms = loss.terms(images(0.1), images(0.6), fake.clone());
        let adversarial = values(terms.adversarial.unwrap());
        assert_eq!(adversarial[0].is_nan(), !drop_nan_logits);
        assert_eq!(adversarial[1], 0.0);
        if drop_nan_logits {
            // Clamped at 10, over a distance of 0.5.
            let expected = (-10f32).exp().ln_1p() / 0.5;
            assert!((adversarial[2] - expected).abs() < 1e-6 * expected.max(1.0));
        }
        assert!(values(terms.score).iter().all(|v| v.is_finite()));
    }
}

#[test]
fn logvar_divides_the_generators_losses_and_learns_in_the_fake_score_phase() {
    let recipe = recipe(sida(0.0, 0.0), serde_json::json!({}));
    let mut objective = Objective::new(&recipe, &network());
    objective.fake_score.weight_by_logvar = true;
    objective.generator.weight_by_logvar = true;
    let u = 0.7f32;
    let fake_score = Gaussian::with_logvar(0.3, 0.6, u);
    let generator = Gaussian::with_logvar(0.1, 0.9, 0.0);
    let batch = supply(&recipe).micro_batch(Phase::FakeScore, 0, 0..8).unwrap();
    let round = objective.fake_score_round(&generator, &fake_score, &batch, 8.0).unwrap();
    // d/du of sum(a e^-u + u) + d e^-u = count - (sum(a) + d) e^-u.
    let weighted: f32 = values(round.terms.score).iter().map(|loss| loss - u).sum();
    let discriminator: f32 = values(round.terms.adversarial.unwrap()).iter().sum();
    let expected = (8.0 * 64.0 - weighted - discriminator) / 8.0;
    let found = gradient(&round.gradients, "logvar");
    assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{found} {expected}");

    let batch = supply(&recipe).micro_batch(Phase::Generator, 0, 0..8).unwrap();
    let teacher = frozen(&Gaussian::with_logvar(0.5, 0.25, 0.0));
    let losses = |objective: &Objective| {
        let frozen = frozen(&fake_score);
        let round = objective.generator_round(
            &generator,
            &teacher,
            &frozen,
            &batch,
            Learning::ScoreAndAdversarial,
            8.0,
        );
        assert!(round.gradients.get("logvar").is_none());
        (values(round.terms.score), values(round.terms.adversarial.unwrap()))
    };
    let divided = losses(&objective);
    objective.generator.weight_by_logvar = false;
    let plain = losses(&objective);
    for (a, b) in divided.0.iter().zip(&plain.0).chain(divided.1.iter().zip(&plain.1)) {
        assert!((a * u.exp() - b).abs() <= 1e-4 * b.abs() + 1e-6);
    }
}

#[test]
fn edm2_normalises_as_the_reference_really_does() {
    let edm2: NetworkConfig =
        serde_json::from_value(serde_json::json!({ "edm2": { "img_resolution": 64, "model_channels": 64 } }))
            .unwrap();
    let forced = |method: serde_json::Value, force: bool| {
        let recipe = recipe(method, serde_json::json!({ "edm2": { "force_normalization": force } }));
        let ForcedNormalization { fake_score, generator } =
            Objective::new(&recipe, &edm2).forced_normalization;
        [fake_score, generator]
    };
    assert_eq!(forced(sid(), true), [true, true]);
    assert_eq!(forced(sid(), false), [true, true]);
    assert_eq!(forced(sida(0.0, 0.0), true), [false, true]);
    assert_eq!(forced(sida(0.0, 0.0), false), [false, false]);
    let edm = Objective::new(&recipe(sid(), serde_json::json!({})), &network());
    assert_eq!(edm.forced_normalization, ForcedNormalization::default());
}

#[test]
fn the_recipe_reaches_the_draws() {
    let recipe = recipe(
        serde_json::json!({ "sid": { "tmax": 700 } }),
        serde_json::json!({ "fake_score": { "p_mean": -0.4, "p_std": 1.0 } }),
    );
    let levels = |phase| values(supply(&recipe).micro_batch(phase, 0, 0..4).unwrap().pass.sigma);
    let draw = |phase| Seed(7).at(phase, 0).purpose("sigma");
    let normals = draw(Phase::FakeScore).normals(0..4, 1).into_iter();
    let expected = LogNormal { p_mean: -0.4, p_std: 1.0 };
    let expected: Vec<f32> = normals.map(|z| expected.sigma(f64::from(z)) as f32).collect();
    assert_eq!(levels(Phase::FakeScore), expected);
    let uniforms = draw(Phase::Generator).uniforms(0..4, 1).into_iter();
    let expected: Vec<f32> = uniforms.map(|u| JUDGED.up_to(700, f64::from(u)) as f32).collect();
    assert_eq!(levels(Phase::Generator), expected);
}

#[test]
fn the_recipe_reaches_the_objective() {
    let recipe = recipe(
        sida(0.1, 0.2),
        serde_json::json!({ "fake_score": { "p_mean": -0.4, "p_std": 1.0, "loss_scale": 3.0 } }),
    );
    let objective = Objective::new(&recipe, &network());
    let scales = LossScales { fake_score: 3.0, discriminator: 1.0, generator: 100.0, adversarial: 0.01 };
    assert_eq!(objective.scales, scales);
    assert_eq!(recipe.method.terms().adversarial.unwrap().starts_at_kimg, Kimg(0.2));
}
