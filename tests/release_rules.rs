//! Rules of the PyTorch release that no recorded case is about, through the real program.

mod program;

use std::fs;

use program::{Bench, TEACHER, folder, json};
use serde_json::Value;

/// The teacher with snapshots, and scores of what it hands on by the same metric and sampler.
const MEASURED: &str = "
      snapshots: { every_kimg: 0.2, also_at_kimg: [0.1], metrics: [{ frechet_distance: { detector: pixels, images: 50 } }] }
      sampler: { edm: { num_steps: 2 } }
  scores:
    evaluate: { network: teacher, reference: digits, metrics: [{ frechet_distance: { detector: pixels, images: 50 } }] }
";

#[test]
fn a_snapshot_is_not_chosen_by_the_images_that_are_reported_of_it() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", format!("{}{MEASURED}", TEACHER.trim_end()));
    bench.sida(&["run", &file]).exits(0);
    let teacher = folder(&bench.runs().join("p"), "teacher");
    let lines = fs::read_to_string(teacher.join("metrics.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at: Vec<u64> = lines.iter().map(|line| line["nimg"].as_f64().unwrap() as u64).collect();
    assert_eq!(at, [0, 128, 224, 320], "at the beginning, early, regularly, at the end");
    let artifact = json(&teacher.join("artifact.json"))["artifact"]["network"].clone();
    let chosen = lines.iter().find(|line| line["nimg"].as_f64() == artifact["nimg"].as_f64()).unwrap();
    let scores = json(&folder(&bench.runs().join("p"), "scores").join("artifact.json"));
    let reported = scores.pointer("/artifact/scores/scores/fd_pixels_50/mean").unwrap();
    let (chosen, reported) = (chosen["fd_pixels_50"].as_f64().unwrap(), reported.as_f64().unwrap());
    assert!(
        chosen.to_bits() != reported.to_bits() && (chosen / reported - 1.0).abs() < 0.5,
        "{chosen} {reported}"
    );
}

#[test]
fn the_dropout_of_a_generator_is_the_recipes_and_not_its_files() {
    let bench = Bench::new();
    let with = |dropout: &str| {
        TEACHER.replace("attn_resolutions: []", &format!("attn_resolutions: [], dropout: {dropout}"))
    };
    let first = bench.write("first.yaml", with("0.3"));
    bench.sida(&["run", &first]).exits(0);
    let weights = bench.path("generator.safetensors").display().to_string();
    bench
        .sida(&["export", &folder(&bench.runs().join("first"), "teacher").display().to_string(), &weights])
        .exits(0);
    let second = format!(
        "{}
  generator:
    load_teacher: {{ weights: {{ safetensors: '{weights}' }}, sampler: {{ one_step: {{ init_sigma: 2.5 }} }} }}
  sid2a:
    distill:
      teacher: teacher
      dataset: digits
      method: {{ sid2a: {{ initial_generator: generator, adversarial: {{ starts_at_kimg: 0.05, generator_starts_at_kimg: 0.05 }} }} }}
      duration_kimg: 0.1
      batch_size: 32
      augment: 0
      status_every_kimg: 0.1
",
        with("0.1")
    );
    let second = bench.write("second.yaml", second);
    bench.sida(&["run", &second]).exits(0);
    let dropout = |stage: &str| {
        let artifact = json(&folder(&bench.runs().join("second"), stage).join("artifact.json"));
        artifact.pointer("/artifact/network/network/ddpmpp/dropout").unwrap().as_f64().unwrap()
    };
    assert_eq!([dropout("generator"), dropout("teacher"), dropout("sid2a")], [0.3, 0.1, 0.1]);
}
