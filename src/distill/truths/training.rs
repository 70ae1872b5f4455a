//! Whole iterations.

use super::*;

#[test]
fn sid_finds_the_data_without_seeing_any() {
    let recipe = recipe(sid(), serde_json::json!({ "batch_size": 32 }));
    let mut trainer = trainer(&recipe, Gaussian::new(0.0, 1.0));
    let mut supply = supply(&recipe);
    for _ in 0..400 {
        trainer.step(&mut supply, &Ranks::alone()).unwrap().wait();
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
        let iterations: Vec<Iteration> =
            (0..3).map(|_| trainer.step(&mut supply, &Ranks::alone()).unwrap().wait()).collect();
        (iterations, trainer.generator().mean(), trainer.fake_score().std())
    };
    let (a, b) = (run(&whole), run(&split));
    for (a, b) in a.0.iter().zip(&b.0) {
        assert!((a.fake_score.loss - b.fake_score.loss).abs() < 1e-4 * a.fake_score.loss);
        assert!((a.generator.loss - b.generator.loss).abs() < 1e-4 * a.generator.loss.abs());
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
        let iteration = trainer.step(&mut supply, &Ranks::alone()).unwrap().wait();
        let moved = (trainer.generator().mean() - before).abs() > 1e-6;
        assert_eq!(moved, iteration.generator_gradients.is_some());
        assert!(
            iteration.fake_score.adversarial.unwrap() > 0.0 && iteration.generator.adversarial.unwrap() > 0.0
        );
        seen.push((iteration.nimg, moved, iteration.adversarial_active));
    }
    assert_eq!(seen, [(0, false, false), (8, false, false), (16, true, false), (24, true, true)]);
}

#[test]
fn weights_that_began_as_one_change_each_for_itself() {
    let recipe = recipe(sid(), serde_json::json!({}));
    let objective = Objective::new(&recipe, &network());
    let networks = Networks::of(Gaussian::new(0.3, 0.7), None);
    let mut trainer = Trainer::new(recipe.clone(), objective, networks.clone());
    let mut supply = supply(&recipe);
    trainer.step(&mut supply, &Ranks::alone()).unwrap().wait();
    let all = |trainer: &Trainer<Gaussian>| {
        [trainer.fake_score().clone(), trainer.generator().clone(), trainer.generator_ema().clone()]
    };
    let held = all(&trainer);
    let weights = |network: &Gaussian| (network.mean(), network.std());
    let before = held.each_ref().map(weights);
    (0..2).for_each(|_| drop(trainer.step(&mut supply, &Ranks::alone()).unwrap().wait()));
    assert_eq!(held.each_ref().map(weights), before, "clones do not learn");
    for (now, before) in all(&trainer).iter().zip(before) {
        assert_ne!(weights(now), before, "students and averages do");
    }
    for network in [&networks.teacher, &networks.fake_score, &networks.generator, &networks.generator_ema] {
        assert_eq!(weights(network), (0.3, 0.7));
    }
}

#[test]
fn a_restored_trainer_continues_bit_for_bit() {
    let recipe = recipe(sida(0.0, 0.008), serde_json::json!({ "microbatch_size": 4 }));
    let mut uninterrupted = trainer(&recipe, Gaussian::new(0.1, 0.9));
    let mut supply_ = supply(&recipe);
    (0..3).for_each(|_| drop(uninterrupted.step(&mut supply_, &Ranks::alone()).unwrap().wait()));
    let saved: StateDict = uninterrupted.state();
    let expected: Vec<Iteration> =
        (0..3).map(|_| uninterrupted.step(&mut supply_, &Ranks::alone()).unwrap().wait()).collect();

    let mut resumed = trainer(&recipe, Gaussian::new(9.0, 9.0));
    resumed.restore(&saved, "a checkpoint").unwrap();
    let mut supply_ = supply(&recipe);
    let found: Vec<Iteration> =
        (0..3).map(|_| resumed.step(&mut supply_, &Ranks::alone()).unwrap().wait()).collect();
    assert_eq!(found, expected);
    assert_eq!(resumed.state(), uninterrupted.state());
}

/// A supply that is told to stop before its n-th micro-batch.
struct Stopped<S>(S, u32);

impl<S: Supply> Supply for Stopped<S> {
    type MicroBatch = S::MicroBatch;

    fn micro_batch(
        &mut self,
        phase: Phase,
        nimg: u64,
        samples: std::ops::Range<u64>,
    ) -> crate::Result<S::MicroBatch> {
        self.1 = self.1.checked_sub(1).ok_or(Error::Interrupted)?;
        self.0.micro_batch(phase, nimg, samples)
    }
}

#[test]
fn a_trainer_that_was_stopped_in_any_phase_of_an_iteration_continues_bit_for_bit() {
    let recipe = recipe(sida(0.0, 0.008), serde_json::json!({ "microbatch_size": 2 }));
    let sums = |iteration: Iteration| Iteration { rounds: Vec::new(), ..iteration };
    let mut uninterrupted = trainer(&recipe, Gaussian::new(0.1, 0.9));
    let expected: Vec<Iteration> = {
        let mut supply = supply(&recipe);
        (0..3).map(|_| sums(uninterrupted.step(&mut supply, &Ranks::alone()).unwrap().wait())).collect()
    };
    // Two phases of four micro-batches each, and the second of three iterations.
    for before in 8..16 {
        let mut stopped = trainer(&recipe, Gaussian::new(0.1, 0.9));
        let mut supply_ = Stopped(supply(&recipe), before);
        let first = sums(stopped.step(&mut supply_, &Ranks::alone()).unwrap().wait());
        assert!(matches!(stopped.step(&mut supply_, &Ranks::alone()), Err(Error::Interrupted)));
        let state = stopped.state();
        assert_eq!(state.contains_key("fake_score_phase"), before >= 12);

        let mut resumed = trainer(&recipe, Gaussian::new(9.0, 9.0));
        resumed.restore(&state, "a checkpoint").unwrap();
        assert_eq!(resumed.state(), state);
        let mut supply_ = supply(&recipe);
        let rest = (0..2).map(|_| sums(resumed.step(&mut supply_, &Ranks::alone()).unwrap().wait()));
        assert_eq!([vec![first], rest.collect()].concat(), expected);
        assert_eq!(resumed.state(), uninterrupted.state());
    }
}

#[test]
fn a_state_of_other_networks_is_refused_and_changes_nothing() {
    let recipe = recipe(sid(), serde_json::json!({}));
    let mut trainer = trainer(&recipe, Gaussian::new(0.1, 0.9));
    trainer.step(&mut supply(&recipe), &Ranks::alone()).unwrap().wait();
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
    let mut half = state.clone();
    half.insert("fake_score_phase".to_owned(), TensorData::from([1f32, 2.0]));
    assert!(matches!(trainer.restore(&half, "x"), Err(Error::ShapeMismatch { .. })));
    assert_eq!(trainer.state(), state);
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
        trainer.step(&mut supply(&recipe), &Ranks::alone()).unwrap().wait();
        assert!((trainer.fake_score().std() / 0.25 - factors[0]).abs() < 1e-6);
        assert!((trainer.generator().std() / 0.9 - factors[1]).abs() < 1e-6);
    }
}
