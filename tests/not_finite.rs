//! NaN and infinity never become a result: not as weights, not as images, not as a metric that passes.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

mod program;

use std::{fs, path::PathBuf};

use program::{Bench, TEACHER, folder};

/// The trained teacher's weights, the value of one of them replaced.
fn spoiled(bench: &Bench, tensor: &str, value: f32) -> String {
    let file = bench.write("t.yaml", TEACHER);
    bench.sida(&["run", &file]).exits(0);
    let trained = folder(&bench.runs().join("t"), "teacher").join("network.safetensors");
    let mut bytes = fs::read(trained).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let at = 8 + length + usize::try_from(header[tensor]["data_offsets"][0].as_u64().unwrap()).unwrap();
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    bench.write("spoiled.safetensors", bytes)
}

fn loads(bench: &Bench, weights: &str, more: &str) -> String {
    let start = TEACHER.split("  teacher:").next().unwrap();
    let load = format!("  teacher:\n    load_teacher: {{ weights: {{ safetensors: {weights} }} }}\n");
    bench.write("p.yaml", format!("{start}{load}{more}"))
}

/// The full name of the trained tensor that ends like this.
fn tensor(bench: &Bench, end: &str) -> String {
    let file = bench.write("t.yaml", TEACHER);
    bench.sida(&["run", &file]).exits(0);
    let trained: PathBuf = folder(&bench.runs().join("t"), "teacher").join("network.safetensors");
    let said = bench.sida(&["inspect", trained.to_str().unwrap()]).exits(0);
    let names = said.out.lines().filter_map(|line| line.split_whitespace().next());
    names.rev().find(|name| name.ends_with(end)).unwrap().to_owned()
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let bench = Bench::new();
    let tensor = tensor(&bench, "aux_conv.bias");
    for value in [f32::NAN, f32::INFINITY] {
        let weights = spoiled(&bench, &tensor, value);
        let file = loads(&bench, &weights, "");
        bench.sida(&["run", &file]).exits(1).complains(&["spoiled.safetensors", &tensor, "damaged"]);
    }
}

/// Weights that are finite, and images that are not.
fn too_large(bench: &Bench) -> String {
    let tensor = tensor(bench, "aux_norm.weight");
    spoiled(bench, &tensor, f32::MAX)
}

#[test]
fn images_that_are_not_finite_are_no_images() {
    let bench = Bench::new();
    let weights = too_large(&bench);
    let sampler = "sampler: { edm: { num_steps: 4 } }";
    for stage in [
        format!("  out:\n    generate: {{ network: teacher, images: 4, {sampler} }}\n"),
        format!(
            "  out:\n    evaluate: {{ network: teacher, {sampler}, reference: digits, \
             metrics: [{{ frechet_distance: {{ detector: pixels, images: 10 }} }}], \
             expect: [{{ metric: fd_pixels_10, at_most: 1e15 }}] }}\n"
        ),
    ] {
        let file = loads(&bench, &weights, &stage);
        bench.sida(&["run", &file]).exits(1).complains(&["not finite"]);
        let dir = bench.runs().join("p");
        assert!(program::folders(&dir, "out").iter().all(|dir| !dir.join("artifact.json").exists()));
    }
}

#[test]
fn a_snapshot_that_is_not_finite_is_a_divergence() {
    let bench = Bench::new();
    let weights = too_large(&bench);
    let distill = "  sid:\n    distill: { teacher: teacher, dataset: digits, method: { sid: {} }, duration_kimg: 0.1, \
                   batch_size: 32, augment: 0, snapshots: { every_kimg: 0.05 } }\n";
    let file = loads(&bench, &weights, distill);
    bench.sida(&["run", &file]).exits(4).complains(&["stage `sid` diverged at 0 kimg", "not finite"]);
    let dir = folder(&bench.runs().join("p"), "sid");
    let left = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".safetensors")));
}
