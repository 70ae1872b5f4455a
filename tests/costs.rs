//! What a plan says of time and disk: nothing that was not measured, and what was seen afterwards.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::fs;

use program::{Bench, SCORES, TEACHER, folder};
use serde_json::{Value, json};

fn plan(bench: &Bench, arguments: &[&str]) -> Value {
    serde_json::from_str(&bench.sida(&[&["plan", "--json"], arguments].concat()).exits(0).out).unwrap()
}

fn stage<'a>(plan: &'a Value, name: &str) -> &'a Value {
    plan["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == name).unwrap()
}

#[test]
fn time_is_told_once_it_was_measured_and_never_invented() {
    let bench = Bench::new();
    let file = bench.write("t.yaml", [TEACHER, SCORES].concat());
    let unknown = plan(&bench, &[&file]);
    assert!(unknown["seconds"].is_null() && unknown["device"].is_null(), "{unknown}");
    assert!(stage(&unknown, "teacher")["seconds"].is_null());
    let said = bench.sida(&["plan", &file]).exits(0).out;
    assert!(said.contains("not measured yet; `sida plan FILE --measure`"), "{said}");

    let said = bench.sida(&["plan", &file, "--measure", "--device", "cpu"]).exits(0);
    for of in ["teacher, training: ", "scores, images of 3 evaluations", "scores, features of `pixels`: "] {
        assert!(said.err.contains(of), "{}", said.err);
    }
    let known = plan(&bench, &[&file]);
    let seconds = |plan: &Value, name: &str| stage(plan, name)["seconds"].as_f64().unwrap();
    let [teacher, scores] = ["teacher", "scores"].map(|name| seconds(&known, name));
    assert!(teacher > 0.0 && scores > 0.0, "{known}");
    assert!((known["seconds"].as_f64().unwrap() - teacher - scores).abs() < 1e-6, "{known}");
    assert_eq!(known["seconds_not_known_of"], json!([]));
    assert!(known["gpu_hours"].is_null(), "a CPU is no GPU");
    assert!(known["device"].as_str().unwrap().starts_with("CPU, "), "{known}");
    let said = bench.sida(&["plan", &file]).exits(0).out;
    assert!(said.contains("in all: about ") && said.contains(" on CPU, "), "{said}");

    // A training of ten times the length takes ten times as long; another network is not known.
    let longer = plan(&bench, &[&file, "--set", "stages.teacher.train_teacher.duration_kimg=3"]);
    assert!((seconds(&longer, "teacher") / teacher - 300.8 / 32.0).abs() < 1.0, "{longer}");
    let other = "stages.teacher.train_teacher.network.ddpmpp.model_channels=16";
    let other = plan(&bench, &[&file, "--set", other]);
    assert!(stage(&other, "teacher")["seconds"].is_null(), "{other}");
}

#[test]
fn a_run_leaves_its_rate_for_plans() {
    let bench = Bench::new();
    let file = bench.write("t.yaml", TEACHER);
    let lasts = |kimg: u32| format!("stages.teacher.train_teacher.duration_kimg={kimg}");
    bench.sida(&["run", &file, "--device", "cpu", "--set", &lasts(8)]).exits(0);
    let rates: Value = serde_json::from_slice(&fs::read(bench.path("cache/rates.json")).unwrap()).unwrap();
    let rate = rates.as_object().unwrap().values().find(|rate| rate["task"] == "training").unwrap();
    assert_eq!(rate["by_run"], true);
    let rate = rate["images_per_second"].as_f64().unwrap();
    // Of a longer run, what is left.
    let longer = plan(&bench, &[&file, "--set", &lasts(24)]);
    let seconds = stage(&longer, "teacher")["seconds"].as_f64().unwrap();
    assert!((seconds - 16_000.0 / rate).abs() < 0.01 * seconds, "{seconds} s at {rate} images/s");
}

#[test]
fn no_more_is_left_on_the_disk_than_was_said() {
    let bench = Bench::new();
    let snapshots = "      snapshots: { every_kimg: 0.1, keep: all }\n";
    let images =
        "  images:\n    generate: { network: teacher, images: 20, sampler: { edm: { num_steps: 2 } } }\n";
    let file = bench.write("t.yaml", [TEACHER, snapshots, images].concat());
    let planned = plan(&bench, &[&file]);
    bench.sida(&["run", &file, "--device", "cpu"]).exits(0);
    for name in ["teacher", "images"] {
        let said = stage(&planned, name)["disk_bytes"].as_u64().unwrap();
        let left = size(&folder(&bench.runs().join("t"), name));
        let records = 6 << 18;
        assert!(
            left <= said && said < 2 * left + records,
            "{name}: {left} bytes lie there, {said} were said"
        );
    }
}

fn size(dir: &std::path::Path) -> u64 {
    let of = |entry: fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() { size(&path) } else { path.metadata().unwrap().len() }
    };
    fs::read_dir(dir).unwrap().flatten().map(of).sum()
}

#[test]
fn stages_that_points_share_cost_once() {
    let bench = Bench::new();
    bench.write("p.yaml", [TEACHER, SCORES].concat());
    let axes = "axes: { trials: { paths: [stages.scores.evaluate.trials], values: [1, 2, 3] } }\n";
    let sweep = bench.write("s.yaml", format!("base: p.yaml\n{axes}"));
    let planned = plan(&bench, &[&sweep]);
    let of_point = |i: usize| planned["points"][i]["plan"]["disk_bytes"].as_u64().unwrap();
    let teacher = stage(&planned["points"][0]["plan"], "teacher")["disk_bytes"].as_u64().unwrap();
    let all: u64 = (0..3).map(of_point).sum();
    // The digits are shared, too.
    let digits = stage(&planned["points"][0]["plan"], "digits")["disk_bytes"].as_u64().unwrap();
    assert_eq!(planned["disk_bytes"].as_u64().unwrap(), all - 2 * (teacher + digits));
    let said = bench.sida(&["plan", &sweep]).exits(0).out;
    assert!(said.contains("in all: at most "), "{said}");
}

#[test]
fn the_plan_says_what_auto_comes_to_on_a_device() {
    let bench = Bench::new();
    let file = bench.write("t.yaml", TEACHER);
    let auto = ["--set", "stages.teacher.train_teacher.microbatch_size=auto"];
    let with = |more: &'static [&'static str]| [&[&*file], &auto[..], more].concat();
    let (unasked, asked) = (plan(&bench, &with(&[])), plan(&bench, &with(&["--device", "cpu"])));
    assert!(stage(&unasked, "teacher")["microbatch_size"].is_null());
    assert_eq!(stage(&asked, "teacher")["microbatch_size"], 32);
    let written = plan(&bench, &[&file]);
    assert_eq!(stage(&written, "teacher")["key"], stage(&asked, "teacher")["key"], "it is in no key");
    let text = |arguments: Vec<&str>| bench.sida(&[&["plan"], &arguments[..]].concat()).exits(0).out;
    assert!(text(with(&[])).contains("micro-batches as large as fit"));
    assert!(text(with(&["--device", "cpu"])).contains("micro-batches of 32, which fit"));
}
