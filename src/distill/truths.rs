//! What must hold for the losses and the trainer whatever the networks: tested where the exact answer is known.

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::{
    Error, Result,
    diffusion::LogNormal,
    kimg::Kimg,
    nn::{NetworkConfig, gaussian::Gaussian},
    seed::{Phase, Seed},
    state_dict::StateDict,
};

fn network() -> NetworkConfig {
    serde_json::from_value(serde_json::json!({ "ddpmpp": { "img_resolution": 8, "augment_dim": 0 } }))
        .unwrap()
}

fn recipe(method: serde_json::Value, rest: serde_json::Value) -> Distill {
    let mut recipe = serde_json::json!({
        "teacher": "teacher", "method": method, "batch_size": 8, "duration_kimg": 1, "augment": 0.0,
        "generator": { "init_sigma": 1.0, "lr": 0.01, "betas": [0.5, 0.999] },
        "fake_score": { "lr": 0.05, "betas": [0.5, 0.999] },
        "ema": { "half_life_kimg": 0.1 }
    });
    let object = recipe.as_object_mut().unwrap();
    object.extend(rest.as_object().unwrap().clone());
    serde_json::from_value(recipe).unwrap()
}

fn sid() -> serde_json::Value {
    serde_json::json!({ "sid": { "alpha": 1.0 } })
}

fn sida(generator_starts: f64, starts: f64) -> serde_json::Value {
    let adversarial =
        serde_json::json!({ "generator_starts_at_kimg": generator_starts, "starts_at_kimg": starts });
    serde_json::json!({ "sida": { "adversarial": adversarial } })
}

/// Real images are normal with mean 0.5 and standard deviation 0.25.
fn supply(recipe: &Distill) -> impl Supply {
    let objective = Objective::new(recipe, &network());
    let batches = |request: Request| -> Result<Batch> {
        let n = request.samples.clone().count();
        let values = request.draw.normals(request.samples, 64);
        let values = values.into_iter().map(|z| 0.5 + 0.25 * z).collect::<Vec<_>>();
        let images = Tensor::from_data(TensorData::new(values, [n, 1, 8, 8]), &Device::flex());
        Ok(Batch { images: request.images.then_some(images), class_labels: None })
    };
    Drawn {
        seed: Seed(7),
        image_shape: [1, 8, 8],
        generator_steps: objective.generator_steps,
        noise_levels: objective.noise_levels,
        augment: None,
        adversarial: objective.generator.adversarial,
        batches,
        device: Device::flex(),
    }
}

fn trainer(recipe: &Distill, generator: Gaussian) -> Trainer<Gaussian> {
    let teacher = Gaussian::new(0.5, 0.25);
    let objective = Objective::new(recipe, &network());
    Trainer::new(recipe.clone(), objective, Networks::of(teacher, Some(generator)))
}

/// A generator that makes exactly N(0.5, 0.25) of unit noise at `init_sigma` 1: D = (v z + m) / (v + 1).
fn perfect() -> Gaussian {
    let v = 0.25 / (1.0 - 0.25);
    Gaussian::new(0.5 * (v + 1.0), v.sqrt())
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn gradient(gradients: &crate::diffusion::Gradients, name: &str) -> f32 {
    gradients.get(name).unwrap().into_scalar()
}

#[test]
fn the_generator_has_nothing_to_learn_once_the_fake_score_is_the_teachers() {
    let recipe = recipe(sid(), serde_json::json!({}));
    let objective = Objective::new(&recipe, &network());
    let batch = supply(&recipe).micro_batch(Phase::Generator, 0, 0..8).unwrap();
    let teacher = objective::frozen(&Gaussian::new(0.5, 0.25));
    let round = |fake_score: Gaussian| {
        let fake_score = objective::frozen(&fake_score);
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
fn sid_finds_the_data_without_seeing_any() {
    let recipe = recipe(sid(), serde_json::json!({ "batch_size": 32 }));
    let mut trainer = trainer(&recipe, Gaussian::new(0.0, 1.0));
    let mut supply = supply(&recipe);
    for _ in 0..400 {
        trainer.step(&mut supply).unwrap();
    }
    // The generator maps z to (v z + m) / (v + 1).
    let generator = trainer.generator_ema();
    let v = generator.std().powi(2);
    let (mean, std) = (generator.mean() / (v + 1.0), v / (v + 1.0));
    assert!((mean - 0.5).abs() < 0.05, "mean {mean}");
    assert!((std - 0.25).abs() < 0.05, "std {std}");
}

#[test]
fn micro_batches_make_no_difference_to_sid() {
    let whole = recipe(sid(), serde_json::json!({}));
    let split = recipe(sid(), serde_json::json!({ "microbatch_size": 2 }));
    let run = |recipe: &Distill| {
        let mut trainer = trainer(recipe, Gaussian::new(0.1, 0.9));
        let mut supply = supply(recipe);
        let iterations: Vec<Iteration> = (0..3).map(|_| trainer.step(&mut supply).unwrap()).collect();
        (iterations, trainer.generator().mean(), trainer.fake_score().std())
    };
    let (a, b) = (run(&whole), run(&split));
    for (a, b) in a.0.iter().zip(&b.0) {
        assert!((a.fake_score_loss - b.fake_score_loss).abs() < 1e-4 * a.fake_score_loss);
        assert!((a.generator_loss - b.generator_loss).abs() < 1e-4 * a.generator_loss.abs());
    }
    assert!((a.1 - b.1).abs() < 1e-5 && (a.2 - b.2).abs() < 1e-5);
}

#[test]
fn the_generator_and_the_adversarial_term_start_strictly_after_their_thresholds() {
    // Thresholds at 8 and 16 images; a batch is 8.
    let recipe = recipe(sida(0.008, 0.016), serde_json::json!({}));
    let mut trainer = trainer(&recipe, Gaussian::new(0.1, 0.9));
    let mut supply = supply(&recipe);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let before = trainer.generator().mean();
        let iteration = trainer.step(&mut supply).unwrap();
        let moved = (trainer.generator().mean() - before).abs() > 1e-6;
        assert_eq!(moved, iteration.generator_gradients.is_some());
        assert!(iteration.discriminator_loss.unwrap() > 0.0 && iteration.adversarial_loss.unwrap() > 0.0);
        seen.push((iteration.nimg, moved, iteration.adversarial_active));
    }
    assert_eq!(seen, [(0, false, false), (8, false, false), (16, true, false), (24, true, true)]);
}

#[test]
fn a_restored_trainer_continues_bit_for_bit() {
    let recipe = recipe(sida(0.0, 0.008), serde_json::json!({ "microbatch_size": 4 }));
    let mut uninterrupted = trainer(&recipe, Gaussian::new(0.1, 0.9));
    let mut supply_ = supply(&recipe);
    (0..3).for_each(|_| drop(uninterrupted.step(&mut supply_).unwrap()));
    let saved: StateDict = uninterrupted.state();
    let expected: Vec<Iteration> = (0..3).map(|_| uninterrupted.step(&mut supply_).unwrap()).collect();

    let mut resumed = trainer(&recipe, Gaussian::new(9.0, 9.0));
    resumed.restore(&saved, "a checkpoint").unwrap();
    let mut supply_ = supply(&recipe);
    let found: Vec<Iteration> = (0..3).map(|_| resumed.step(&mut supply_).unwrap()).collect();
    assert_eq!(found, expected);
    assert_eq!(resumed.state(), uninterrupted.state());
}

#[test]
fn a_state_of_other_networks_is_refused_and_changes_nothing() {
    let recipe = recipe(sid(), serde_json::json!({}));
    let mut trainer = trainer(&recipe, Gaussian::new(0.1, 0.9));
    trainer.step(&mut supply(&recipe)).unwrap();
    let state = trainer.state();
    let mut lacking = state.clone();
    lacking.shift_remove("generator/std");
    assert!(
        matches!(trainer.restore(&lacking, "x"), Err(Error::MissingTensor { tensor, .. }) if tensor == "std")
    );
    let mut strange = state.clone();
    strange.insert("generator_optimizer/bias/step".to_owned(), TensorData::from([1i64]));
    assert!(matches!(trainer.restore(&strange, "x"), Err(Error::UnexpectedTensor { .. })));
    let mut misshapen = state.clone();
    misshapen.insert("fake_score/mean".to_owned(), TensorData::from([1f32, 2.0]));
    assert!(matches!(trainer.restore(&misshapen, "x"), Err(Error::ShapeMismatch { .. })));
    assert_eq!(trainer.state(), state);
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
    let (a, b) = (values(all.terms.denoising), values(three.terms.denoising));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert_eq!(*b, if i / 64 == 2 { 0.0 } else { *a });
    }
    // The discriminator's mean is over the three that are left.
    let mut without = batch.clone();
    let three_of = |t: Tensor<4>| Tensor::cat(vec![t.clone().narrow(0, 0, 2), t.narrow(0, 3, 1)], 0);
    without.latents = three_of(without.latents);
    without.sigma = three_of(without.sigma);
    without.noise = three_of(without.noise);
    without.real = without.real.map(|real| Real { images: three_of(real.images), ..real });
    let without = round(&without);
    let (found, expected) =
        (values(three.terms.discriminator.unwrap()), values(without.terms.discriminator.unwrap()));
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
    let fake = crate::nn::Denoised { images: images(0.3), logits: images(20.0), logvar: None };
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
    let weighted: f32 = values(round.terms.denoising).iter().map(|loss| loss - u).sum();
    let discriminator: f32 = values(round.terms.discriminator.unwrap()).iter().sum();
    let expected = (8.0 * 64.0 - weighted - discriminator) / 8.0;
    let found = gradient(&round.gradients, "logvar");
    assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{found} {expected}");

    let batch = supply(&recipe).micro_batch(Phase::Generator, 0, 0..8).unwrap();
    let teacher = objective::frozen(&Gaussian::with_logvar(0.5, 0.25, 0.0));
    let losses = |objective: &Objective| {
        let frozen = objective::frozen(&fake_score);
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
fn weights_are_normalised_whenever_a_training_pass_begins() {
    let cases = [
        (ForcedNormalization { fake_score: true, generator: true }, [0.25, 0.25]),
        (ForcedNormalization { fake_score: false, generator: true }, [1.0, 0.25]),
        (ForcedNormalization::default(), [1.0, 1.0]),
    ];
    for (forced_normalization, factors) in cases {
        // Two rounds halve twice; a learning rate of 0 moves nothing.
        let recipe = recipe(
            sid(),
            serde_json::json!({ "microbatch_size": 4, "generator": { "lr": 0.0 }, "fake_score": { "lr": 0.0 } }),
        );
        let objective = Objective { forced_normalization, ..Objective::new(&recipe, &network()) };
        let networks = Networks::of(Gaussian::new(0.5, 0.25), Some(Gaussian::new(0.1, 0.9)));
        let mut trainer = Trainer::new(recipe.clone(), objective, networks);
        trainer.step(&mut supply(&recipe)).unwrap();
        assert!((trainer.fake_score().std() / 0.25 - factors[0]).abs() < 1e-6);
        assert!((trainer.generator().std() / 0.9 - factors[1]).abs() < 1e-6);
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
fn the_recipe_reaches_the_objective() {
    let recipe = recipe(
        sida(0.1, 0.2),
        serde_json::json!({ "fake_score": { "p_mean": -0.4, "p_std": 1.0, "loss_scale": 3.0 } }),
    );
    let objective = Objective::new(&recipe, &network());
    assert_eq!(objective.noise_levels.fake_score, LogNormal { p_mean: -0.4, p_std: 1.0 });
    assert_eq!(objective.noise_levels.tmax, 800);
    let scales = LossScales { fake_score: 3.0, discriminator: 1.0, generator: 100.0, adversarial: 0.01 };
    assert_eq!(objective.scales, scales);
    assert_eq!(recipe.method.terms().adversarial.unwrap().starts_at_kimg, Kimg(0.2));
}
