//! Stopping, killing and continuing the real program: it ends with the same bits as if nothing had happened.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

mod program;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use program::{Bench, Said, copy, folder, folders, json, lines, made_before, root, signal, wait, works_in};

const PIPELINE: &str = "tests/pipelines/quickstart-small.yaml";
const TRAININGS: [&str; 4] = ["teacher", "sid", "sida", "sid2a"];
const STAGES: usize = 11;

/// The runs of one process from the beginning to the end.
fn uninterrupted() -> &'static Path {
    static RUNS: OnceLock<PathBuf> = OnceLock::new();
    RUNS.get_or_init(|| {
        made_before("uninterrupted", |bench| {
            let said = bench.sida(&["run", PIPELINE, "--device", "cpu"]).exits(0);
            assert!(said.out.contains(&format!("{STAGES} stages ran, 0 were done before")), "{}", said.out);
        })
    })
}

/// A bench where everything is done.
fn finished() -> Bench {
    let bench = Bench::new();
    copy(uninterrupted(), &bench.runs());
    bench
}

fn pipeline_dir(runs: &Path) -> PathBuf {
    runs.join("quickstart-small")
}

/// All weights that a training's folder holds: what it hands on, and its last state.
fn weights(runs: &Path, stage: &str) -> BTreeMap<String, Vec<u8>> {
    let dir = folder(&pipeline_dir(runs), stage);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&dir).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".safetensors") {
            found.insert(name, fs::read(entry.path()).unwrap());
        } else if name.starts_with("checkpoint-") {
            found.insert(name, fs::read(entry.path().join("state.safetensors")).unwrap());
        }
    }
    let named = |start: &str| found.keys().any(|name| name.starts_with(start));
    assert!((named("snapshot-") || named("network.")) && named("checkpoint-"), "{:?}", found.keys());
    found
}

#[track_caller]
fn same_weights(left: &Path, right: &Path, stage: &str) {
    let (left, right) = (weights(left, stage), weights(right, stage));
    assert!(left.keys().eq(right.keys()), "{stage}: {:?} and {:?}", left.keys(), right.keys());
    for (name, bytes) in &left {
        assert!(*bytes == right[name], "{stage}: {name} differs");
    }
}

/// The end of a terminal; where this test was started by `nohup` or the like, the program has to ignore it.
fn hang_up() -> &'static str {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & 1 == 1);
    if ignored { "TERM" } else { "HUP" }
}

#[test]
fn a_training_that_spares_memory_or_launches_ends_with_the_same_bits_and_is_the_same_stage() {
    let bench = Bench::new();
    let switched = |stage: &str| {
        let verb = if stage == "teacher" { "train_teacher" } else { "distill" };
        ["recompute", "graphs"].map(|switch| format!("stages.{stage}.{verb}.{switch}=true"))
    };
    let sets = TRAININGS.map(switched).concat();
    let mut arguments = vec!["run", PIPELINE, "--device", "cpu"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    bench.sida(&arguments).exits(0);
    for stage in TRAININGS {
        same_weights(&bench.runs(), uninterrupted(), stage);
    }
    let said = bench.sida(&["run", PIPELINE, "--device", "cpu"]).exits(0);
    assert!(said.out.contains(&format!("nothing to do: {STAGES} stages were done before")), "{}", said.out);
}

#[test]
fn a_micro_batch_that_the_device_chooses_is_no_part_of_a_stage_and_stays_what_it_was() {
    let auto = "stages.teacher.train_teacher.microbatch_size=auto";
    let bench = finished();
    let run = |more: &[&str]| {
        let arguments = ["run", PIPELINE, "--device", "cpu", "--until", "teacher", "--set", auto];
        bench.sida(&[&arguments, more].concat()).exits(0)
    };
    // It is the stage that says nothing of micro-batches; and where a whole batch fits, it comes to the same bits.
    let said = run(&[]);
    assert!(said.out.contains("nothing to do: "), "{}", said.out);
    let said = run(&["--force", "teacher"]);
    assert!(said.err.contains("teacher: micro-batches of 64, about "), "{}", said.err);
    assert!(said.err.contains("the largest that fits into 80 % of "), "{}", said.err);
    same_weights(&bench.runs(), uninterrupted(), "teacher");
    // A longer run of it goes on from there as it began, whatever fits now.
    let began = folder(&pipeline_dir(&bench.runs()), "teacher").join("checkpoint-0000001536/checkpoint.json");
    let (header, eight) = (fs::read_to_string(&began).unwrap(), "\"microbatch_size\": 8");
    assert!(header.contains("\"microbatch_size\": 64"), "{header}");
    fs::write(&began, header.replace("\"microbatch_size\": 64", eight)).unwrap();
    let said = run(&["--set", "stages.teacher.train_teacher.duration_kimg=1.9"]);
    assert!(said.err.contains("teacher: micro-batches of 8, about "), "{}", said.err);
    assert!(said.err.contains(": as it began"), "{}", said.err);
    let ended = folders(&pipeline_dir(&bench.runs()), "teacher").into_iter();
    let ended = ended.map(|dir| dir.join("checkpoint-0000001920/checkpoint.json")).find(|path| path.exists());
    assert!(fs::read_to_string(ended.unwrap()).unwrap().contains(eight));
}

#[test]
fn a_run_that_is_stopped_and_killed_again_and_again_ends_with_the_same_bits() {
    let bench = Bench::new();
    let dir = pipeline_dir(&bench.runs());
    let stops = [
        ("INT", "teacher", "stats.jsonl"),
        ("TERM", "teacher", "checkpoint-0000000640"),
        ("KILL", "teacher", "checkpoint-0000000960"),
        ("KILL", "sid", "stats.jsonl"),
        ("INT", "sid", "snapshot-0000000320.safetensors"),
        ("KILL", "sid", "checkpoint-0000000480"),
        ("TERM", "sida", "checkpoint-0000000160"),
        ("KILL", "sida", "snapshot-0000000320.safetensors"),
        (hang_up(), "sid2a", "checkpoint-0000000480"),
        ("KILL", "sida_samples", "images"),
        ("INT", "teacher_scores", "stage.json"),
    ];
    for (how, stage, what) in stops {
        let mut child = bench.start(&["run", PIPELINE, "--device", "cpu"]);
        // On a busy machine the stage may have ended before this test looks.
        let there = |dir: &PathBuf| dir.join(what).exists() || dir.join("artifact.json").exists();
        let ready = |child: &std::process::Child| {
            works_in(child, &bench.runs()) && folders(&dir, stage).iter().any(there)
        };
        assert!(wait(&mut child, ready), "ended before {stage} had {what}: {}", Said::end(child).err);
        signal(&child, how);
        let said = Said::end(child);
        if how == "KILL" {
            assert_eq!(said.code, None, "{}", said.err);
        } else {
            said.exits(130).complains(&["interrupted", "the same command"]);
        }
    }
    let said = bench.sida(&["run", PIPELINE, "--device", "cpu"]).exits(0);
    assert!(said.out.contains("PASS: 1 of 1 expectation met"), "{}", said.out);

    let straight = uninterrupted();
    for stage in TRAININGS {
        same_weights(straight, &bench.runs(), stage);
        for name in ["stats.jsonl", "metrics.jsonl"] {
            let [left, right] =
                [&dir, &pipeline_dir(straight)].map(|dir| lines(&folder(dir, stage).join(name)));
            assert!(left == right && (name != "stats.jsonl" || !left.is_empty()), "{stage}: {name}");
        }
    }
    let [left, right] = [&dir, &pipeline_dir(straight)].map(|dir| json(&dir.join("report.json")));
    for part in ["scores", "expectations", "verdict"] {
        assert!(!left[part].is_null());
        assert_eq!(left[part], right[part], "{part}");
    }
    let [left, right] = [&dir, &pipeline_dir(straight)]
        .map(|dir| fs::read(folder(dir, "sida_samples").join("images/000015.png")).unwrap());
    assert_eq!(left, right);
    // Nothing half-written stays behind.
    for stage in TRAININGS {
        let litter = fs::read_dir(folder(&dir, stage)).unwrap().flatten();
        let litter: Vec<_> = litter.filter(|e| e.file_name().to_string_lossy().starts_with('.')).collect();
        assert!(litter.is_empty(), "{litter:?}");
    }
}

#[test]
fn a_finished_run_does_nothing_and_a_change_runs_what_depends_on_it() {
    let bench = finished();
    let said = bench.sida(&["run", PIPELINE]).exits(0);
    assert!(said.out.contains(&format!("nothing to do: {STAGES} stages were done before")), "{}", said.out);

    let forced = bench.sida(&["run", PIPELINE, "--force", "sida_samples"]).exits(0);
    assert!(forced.out.contains("2 stages ran, 9 were done before"), "{}", forced.out);
    for stage in ["sida_samples: generate runs (`--force`", "table: report runs (`--force`"] {
        assert!(forced.err.contains(stage), "{}", forced.err);
    }

    let changed = ["run", PIPELINE, "--set", "stages.sid_scores.evaluate.trials=2"];
    let said = bench.sida(&changed).exits(0);
    assert!(said.out.contains("2 stages ran, 9 were done before"), "{}", said.out);
    assert!(said.err.contains("sid_scores: evaluate runs (`trials` was 1, is 2"), "{}", said.err);
    // The values before the change are still done.
    let said = bench.sida(&["run", PIPELINE]).exits(0);
    assert!(said.out.contains("1 stage ran, 10 were done before"), "its page alone: {}", said.out);

    // Weights that somebody deleted are made again, and what was made from them stays.
    let sid = folder(&pipeline_dir(&bench.runs()), "sid");
    fs::remove_file(sid.join("snapshot-0000000608.safetensors")).unwrap();
    let said = bench.sida(&["run", PIPELINE]).exits(0);
    assert!(said.out.contains("1 stage ran, 10 were done before"), "{}", said.out);
    same_weights(uninterrupted(), &bench.runs(), "sid");

    // So are weights that were damaged before the stage was done.
    fs::remove_file(sid.join("artifact.json")).unwrap();
    let snapshot = sid.join("snapshot-0000000608.safetensors");
    let mut bytes = fs::read(&snapshot).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    let said = bench.sida(&["run", PIPELINE]).exits(0);
    assert!(said.err.contains("`snapshot-0000000608.safetensors` was changed"), "{}", said.err);
    same_weights(uninterrupted(), &bench.runs(), "sid");

    let to_run = |setting: &str| -> Vec<String> {
        let plan = bench.sida(&["plan", PIPELINE, "--json", "--set", setting]).exits(0);
        let plan: serde_json::Value = serde_json::from_str(&plan.out).unwrap();
        let stages = plan["stages"].as_array().unwrap().iter();
        let open = stages.filter(|stage| stage["status"] != "done");
        open.map(|stage| stage["stage"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        to_run("stages.sid.distill.generator.lr=1e-4"),
        ["sid", "sid2a", "sid_scores", "sid2a_scores", "table"]
    );
    assert_eq!(
        to_run("stages.sida.distill.method.sida.alpha=0.5"),
        ["sida", "sida_samples", "sida_scores", "table"]
    );
    assert_eq!(to_run("seed=1").len(), STAGES);
    assert_eq!(to_run("stages.table.report.caption=other"), ["table"]);
}

#[test]
fn a_longer_training_continues_a_shorter_one_to_the_same_bits() {
    let bench = finished();
    let dir = pipeline_dir(&bench.runs());
    for stage in ["sid", "teacher"] {
        fs::remove_dir_all(folder(&dir, stage)).unwrap();
    }
    // Ends where nothing else would have happened.
    for (stage, setting) in [
        ("teacher", "stages.teacher.train_teacher.duration_kimg=0.7"),
        ("sid", "stages.sid.distill.duration_kimg=0.25"),
    ] {
        bench.sida(&["run", PIPELINE, "--until", stage, "--set", setting]).exits(0);
        let shorter = folder(&dir, stage);
        let said = bench.sida(&["run", PIPELINE, "--until", stage]).exits(0);
        let kimg = if stage == "teacher" { "0.704" } else { "0.256" };
        assert!(said.err.contains(&format!("{stage}: continues at {kimg} kimg")), "{}", said.err);
        assert!(shorter.join("artifact.json").is_file(), "the shorter run is kept");
        fs::remove_dir_all(shorter).unwrap();
        same_weights(uninterrupted(), &bench.runs(), stage);
    }
}

#[test]
fn two_processes_make_every_stage_once() {
    let bench = Bench::new();
    let command = ["run", PIPELINE, "--until", "teacher_scores", "--device", "cpu"];
    let [first, second] = [(); 2].map(|()| bench.start(&command));
    // To look is no run.
    bench.sida(&["plan", PIPELINE]).exits(0);
    let first = Said::end(first).exits(0);
    let second = Said::end(second).exits(0);
    let ran = |said: &Said| {
        let line = said.out.lines().find_map(|line| line.split_once(" ran, ").map(|(ran, _)| ran.to_owned()));
        line.map_or(0, |ran| ran.split(' ').next().unwrap().parse::<usize>().unwrap())
    };
    assert_eq!(ran(&first) + ran(&second), 3, "{}\n{}", first.err, second.err);
    same_weights(uninterrupted(), &bench.runs(), "teacher");
}

#[test]
fn a_folder_of_a_newer_program_is_refused_and_left_alone() {
    let bench = Bench::new();
    let stage = pipeline_dir(&bench.runs()).join("digits-01234567");
    fs::create_dir_all(&stage).unwrap();
    let record = r#"{"format": 99, "stage": "digits"}"#;
    fs::write(stage.join("stage.json"), record).unwrap();
    for verb in ["run", "plan"] {
        bench.sida(&[verb, PIPELINE]).exits(1).complains(&[
            "digits-01234567",
            "newer sida",
            "format 99",
            "--runs",
        ]);
    }
    assert_eq!(fs::read_to_string(stage.join("stage.json")).unwrap(), record);
    assert_eq!(fs::read_dir(pipeline_dir(&bench.runs())).unwrap().count(), 1);
}

#[test]
fn a_failing_point_of_a_sweep_does_not_stop_the_others() {
    let bench = Bench::new();
    let digits = root().join("datasets/digits-8x8.zip").display().to_string();
    let broken = bench.write("broken.zip", "no zip");
    bench.write(
        "base.yaml",
        format!(
            "stages:\n  digits:\n    prepare_dataset: {{ source: {{ edm: {{ path: '{digits}', use_labels: true }} }} }}\n  \
             teacher:\n    train_teacher:\n      dataset: digits\n      network: {{ ddpmpp: {{ img_resolution: 8, img_channels: 1, \
             label_dim: 10, model_channels: 8, channel_mult: [1], num_blocks: 1, attn_resolutions: [] }} }}\n      \
             duration_kimg: 0.2\n      batch_size: 64\n      augment: 0\n      status_every_kimg: 0.1\n      checkpoint_every_kimg: 0.1\n  \
             scores:\n    evaluate:\n      network: teacher\n      reference: digits\n      sampler: {{ edm: {{ num_steps: 2 }} }}\n      \
             metrics: [{{ frechet_distance: {{ detector: pixels, images: 100 }} }}]\n"
        ),
    );
    let sweep = bench.write(
        "sweep.yaml",
        format!(
            "base: base.yaml\naxes:\n  data: {{ paths: [stages.digits.prepare_dataset.source.edm.path], values: ['{broken}', '{digits}'] }}\n  \
             steps: {{ paths: [stages.scores.evaluate.sampler.edm.num_steps], values: [2, 3] }}\n"
        ),
    );
    let said = bench.sida(&["run", &sweep]).exits(1).complains(&["2 of 4 sweep points failed"]);
    let table = said.out.trim();
    assert_eq!(
        table.lines().filter(|line| line.starts_with("data=") && !line.contains(": ")).count(),
        4,
        "{table}"
    );
    assert_eq!(table.matches("failed: ").count(), 2, "{table}");
    assert_eq!(table.matches("scores.fd_pixels_100 ").count(), 2, "{table}");
    assert!(table.contains("broken.zip"), "{table}");
    let written = json(&bench.runs().join("sweep/sweep.json"));
    let points = written["points"].as_array().unwrap();
    assert_eq!(points.iter().filter(|point| point["end"] == "failed").count(), 2);
    // The shared teacher was trained once.
    assert_eq!(said.err.matches("teacher: train_teacher runs").count(), 1, "{}", said.err);
}
