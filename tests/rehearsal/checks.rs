//! What a rehearsal has to show, whichever recipe it is of.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::stand::{made, statistics};
use crate::program::{folder, json, lines};

/// What may differ from the recipe, by the ends of the paths: sizes and addresses, how often something is done, and
/// that a small detector stands in for Inception.
const SIZES: [&str; 25] = [
    "weights.edm_pickle",
    "load_teacher.sha256",
    "stability_vae.weights",
    ".statistics",
    ".img_resolution",
    ".model_channels",
    ".channels_per_head",
    ".num_blocks",
    ".attn_resolutions",
    ".generator_starts_at_kimg",
    ".starts_at_kimg",
    ".duration_kimg",
    ".batch_size",
    ".microbatch_size",
    ".status_every_kimg",
    ".checkpoint_every_kimg",
    ".every_kimg",
    ".also_at_kimg",
    "generate.images",
    ".trials",
    ".metrics",
    ".metrics.0.frechet_distance.detector",
    ".metrics.0.frechet_distance.images",
    "report.columns",
    "published.fid50k_full",
];

#[track_caller]
pub fn only_sizes_differ(paths: &[String], more: &[String]) {
    assert!(!paths.is_empty());
    let allowed = |path: &String| SIZES.iter().any(|end| path.ends_with(end)) || more.contains(path);
    let others: Vec<_> = paths.iter().filter(|path| !allowed(path)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// The training went through all its phases: the generator begins to learn, then from the discriminator, too. No number
/// is without a value.
#[track_caller]
pub fn every_phase_was_there(home: &Path, stage: &str) {
    let lines = statistics(&folder(home, stage).join("stats.jsonl"));
    let learns = |line: &Value| line.get("generator_gradient_norm").is_some();
    let judged = |line: &Value| line["adversarial_active"].as_f64().unwrap() == 1.0;
    let mut phases: Vec<_> = lines.iter().map(|line| (learns(line), judged(line))).collect();
    phases.dedup();
    assert_eq!(phases, [(false, false), (true, false), (true, true)]);
    for line in &lines {
        let line = line.as_object().unwrap();
        let dropped =
            line.iter().any(|(name, value)| name.ends_with("_dropped") && value.as_f64() != Some(0.0));
        assert!(line.values().all(Value::is_number) && !dropped, "{line:?}");
    }
}

/// The best snapshot is the one with the smallest distance, which is what the stage hands on, and only it and the last
/// one stay. Says which it is.
#[track_caller]
pub fn the_best_is_handed_on(home: &Path, stage: &str, metric: &str, taken: usize) -> u64 {
    let dir = folder(home, stage);
    let measured: Vec<(u64, f64)> = statistics(&dir.join("metrics.jsonl"))
        .iter()
        .map(|line| (line["nimg"].as_f64().unwrap() as u64, line[metric].as_f64().unwrap()))
        .collect();
    assert_eq!(measured.len(), taken, "{measured:?}");
    assert!(measured.iter().all(|(_, distance)| *distance > 0.0), "{measured:?}");
    let best = measured.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    let file = |nimg: u64| format!("snapshot-{nimg:010}.safetensors");
    let made = made(&dir);
    assert_eq!(
        (made["nimg"].as_u64(), made["weights"].as_str()),
        (Some(best), Some(&*file(best))),
        "{measured:?}"
    );
    let mut kept: Vec<_> = names(&dir).into_iter().filter(|name| name.starts_with("snapshot-")).collect();
    kept.sort();
    let mut wanted = vec![file(best), file(measured[taken - 1].0)];
    wanted.sort();
    wanted.dedup();
    assert_eq!(kept, wanted);
    best
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The pages are there, and their one row has what `scores` measured, in two trials.
#[track_caller]
pub fn is_reported(home: &Path, label: &str, metric: &str) {
    let report = json(&home.join("report.json"));
    let rows = report["table"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["label"], &rows[0]["nfe"]), (&json!(label), &json!(1)));
    let measured = &rows[0]["measured"][metric];
    assert_eq!(measured["trials"].as_array().unwrap().len(), 2, "{measured}");
    let scores = json(&folder(home, "scores").join("artifact.json"));
    assert_eq!(scores["artifact"]["scores"]["scores"][metric]["mean"], measured["mean"], "{scores}");
    for page in ["report.html", "report.md", "report.csv", "report.tex"] {
        assert!(fs::read_to_string(home.join(page)).unwrap().contains(label), "{page}");
    }
    assert!(folder(home, "samples").join("grid.png").is_file());
}

/// Two runs left the same weights, statistics and scores.
#[track_caller]
pub fn same_ends(home: &Path, other: &Path, stage: &str) {
    let [left, right] = [home, other].map(|home| folder(home, stage));
    let mut compared = names(&left);
    let is_compared = |name: &String| matches!(name.rsplit_once('.'), Some((_, "safetensors" | "jsonl")));
    compared.retain(is_compared);
    assert!(compared.len() >= 4, "{compared:?}");
    for name in compared {
        assert!(lines(&left.join(&name)) == lines(&right.join(&name)), "{name}");
    }
    let [left, right] =
        [home, other].map(|home| json(&home.join("report.json"))["table"]["rows"].to_string());
    assert_eq!(left, right);
}
