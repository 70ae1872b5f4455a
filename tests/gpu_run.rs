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
/// Stage and verb of each training; how long it is, and how many of its losses are compared: an iteration takes lavapipe
/// seconds. SiD2A is SiDA from another beginning: until both its adversarial terms have taken part.
const TRAININGS: [(&str, &str, &str, usize); 4] = [
    ("teacher", "train_teacher", "1.28", 20),
    ("sid", "distill", "0.32", 20),
    ("sida", "distill", "0.35", 20),
    ("sid2a", "distill", "0.25", 16),
];
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
    for (stage, verb, duration_kimg, _) in TRAININGS {
        let set = |what: String| ["--set".to_owned(), format!("stages.{stage}.{verb}.{what}")];
        arguments.extend(set("status_every_kimg=0.001".to_owned()));
        arguments.extend(set(format!("duration_kimg={duration_kimg}")));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = bench.sida(&arguments).exits(0);
    assert!(said.out.contains("PASS: 1 of 1 expectation met"), "{}", said.out);
    let losses = |(stage, verb, _, count): (&str, &str, &str, usize)| -> Vec<f64> {
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
