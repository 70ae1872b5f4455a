//! The small quickstart on a GPU, or on what stands in for one: it ends as on the CPU, by way of the same losses.
//!
//! Needs `--features cuda` or `wgpu`; `SIDA_DEVICE` names the device. Where there is none a line says so.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use burn::tensor::DType;
use libtest_mimic::{Arguments, Trial};
use program::{Bench, folder, lines};
use sida::cli::device;

const PIPELINE: &str = "tests/pipelines/quickstart-small.yaml";
/// Stage and verb of each training, how many of its losses are compared, and what makes it small: an iteration takes
/// lavapipe seconds. SiDA's adversarial terms begin within what is compared, and SiD2A, which is SiDA from another beginning,
/// ends when they have taken part.
const TRAININGS: [(&str, &str, usize, &[&str]); 4] = [
    ("teacher", "train_teacher", 20, &["batch_size=16", "duration_kimg=0.32"]),
    ("sid", "distill", 20, &["batch_size=8", "microbatch_size=4", "duration_kimg=0.08"]),
    (
        "sida",
        "distill",
        20,
        &[
            "batch_size=8",
            "duration_kimg=0.08",
            // Whose rounds are replayed; other trainings' are not.
            "graphs=true",
            "method.sida.adversarial.generator_starts_at_kimg=0.05",
            "method.sida.adversarial.starts_at_kimg=0.07",
        ],
    ),
    (
        "sid2a",
        "distill",
        16,
        &[
            "batch_size=8",
            "duration_kimg=0.064",
            "method.sid2a.adversarial.generator_starts_at_kimg=0.05",
            "method.sid2a.adversarial.starts_at_kimg=0.05",
        ],
    ),
];
/// Adam's first steps are signs of gradients, also of those that are mere rounding; and a distillation's losses are
/// differences of what such steps made. With an epsilon above the rounding those gradients make no step.
const DISTILLATIONS: [&str; 2] = ["generator.epsilon=1e-3", "fake_score.epsilon=1e-3"];
/// Fewer images from the networks, of which none is compared.
const SCORES: [&str; 2] =
    ["stages.teacher_scores.evaluate.sampler.edm.num_steps=2", "stages.sida_scores.evaluate.trials=1"];
/// How closely losses are compared: relative to the larger of the loss and 1.
const TOLERANCE: f64 = 1e-4;

fn main() {
    let arguments = Arguments::from_args();
    let named = std::env::var("SIDA_DEVICE");
    let first = || if device::choose("cuda:0").is_ok() { "cuda:0" } else { "wgpu:0" }.to_owned();
    let asked = named.clone().unwrap_or_else(|_| first());
    let found = device::choose(&asked);
    if let (Ok(_), Err(error)) = (&named, &found) {
        panic!("SIDA_DEVICE: {error}");
    }
    match &found {
        Ok((_, name)) => println!("on {name}"),
        Err(why) => println!("skipped: {why}"),
    }
    let takes_bf16 = found.as_ref().is_ok_and(|(device, _)| device.supports_dtype(DType::BF16));
    let on = asked.clone();
    let name = "what the device does not compute in is refused before anything runs";
    let refusal = Trial::test(name, move || {
        let bench = Bench::new();
        let settings = ["--set", "stages.sid2a_scores.evaluate.precision=bf16"];
        let said = bench.sida(&[&["run", PIPELINE, "--device", &on], &settings[..]].concat()).exits(1);
        assert!(said.err.contains("stage `sid2a_scores`: `precision: bf16`: this device"), "{}", said.err);
        assert!(!said.err.contains("digits: finished"), "{}", said.err);
        Ok(())
    });
    let name = "the quickstart ends as on the CPU, by way of the same losses";
    let trial = Trial::test(name, move || {
        let [ours, theirs] = [asked.as_str(), "cpu"].map(losses_on);
        for ((stage, ..), (ours, theirs)) in TRAININGS.iter().zip(ours.iter().zip(&theirs)) {
            for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let gap = (ours - theirs).abs() / theirs.abs().max(1.0);
                println!("{stage}, loss {i}: {ours} and {theirs}, off by {gap:.1e}");
                if gap.is_nan() || gap > TOLERANCE {
                    return Err(format!("{stage}: loss {i} is {ours}, on the CPU {theirs}").into());
                }
            }
        }
        Ok(())
    });
    let trials = vec![
        refusal.with_ignored_flag(found.is_err() || takes_bf16),
        trial.with_ignored_flag(found.is_err()),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// The losses of all trainings on this device, one a line of their statistics.
fn losses_on(device: &str) -> Vec<Vec<f64>> {
    let bench = Bench::new();
    let mut arguments = vec!["run".to_owned(), PIPELINE.to_owned(), "--device".to_owned(), device.to_owned()];
    arguments.extend(SCORES.iter().flat_map(|setting| ["--set", setting]).map(str::to_owned));
    for (stage, verb, _, settings) in TRAININGS {
        let of_verb = if verb == "distill" { &DISTILLATIONS[..] } else { &[] };
        for setting in settings.iter().chain(of_verb).chain(&["status_every_kimg=0.001"]) {
            arguments.extend(["--set".to_owned(), format!("stages.{stage}.{verb}.{setting}")]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = bench.sida(&arguments).exits(0);
    assert!(said.out.contains("PASS: 1 of 1 expectation met"), "{}", said.out);
    assert!(!said.err.contains("`graphs: true`"), "{}", said.err);
    let losses = |(stage, verb, count, _): (&str, &str, usize, &[&str])| -> Vec<f64> {
        let dir = folder(&bench.runs().join("quickstart-small"), stage);
        let of_line = |line: &Vec<u8>| -> Vec<f64> {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            let of_verb: &[&str] =
                if verb == "train_teacher" { &["loss"] } else { &["fake_score_loss", "generator_loss"] };
            of_verb.iter().filter_map(|loss| line[*loss].as_f64()).collect()
        };
        let all: Vec<f64> = lines(&dir.join("stats.jsonl")).iter().flat_map(of_line).take(count).collect();
        assert_eq!(all.len(), count, "{stage}");
        all
    };
    TRAININGS.into_iter().map(losses).collect()
}
