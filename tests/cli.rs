//! The command line through the real binary, on a pipeline that takes a moment: exit codes, streams, resuming.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test may fail, and its numbers are exact")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const PIPELINE: &str = "
stages:
  digits:
    prepare_dataset: { source: { edm: { path: digits.zip, use_labels: true, max_images: 64 } } }
  teacher:
    train_teacher:
      dataset: digits
      network: { ddpmpp: { img_resolution: 8, img_channels: 1, label_dim: 10, model_channels: 4, channel_mult: [1], num_blocks: 1, attn_resolutions: [], dropout: 0.1 } }
      duration_kimg: 0.04
      batch_size: 4
      augment: 0
  sida:
    distill:
      teacher: teacher
      dataset: digits
      method: { sida: { adversarial: { generator_starts_at_kimg: 0.02, starts_at_kimg: 0.04 } } }
      generator: { lr: 1e-4 }
      fake_score: { lr: 1e-4 }
      duration_kimg: 0.8
      batch_size: 4
      microbatch_size: 2
      augment: 0
      status_every_kimg: 0.1
      checkpoint_every_kimg: 0.02
      snapshots: { every_kimg: 1 }
  scores:
    evaluate:
      network: sida
      reference: digits
      metrics: [{ frechet_distance: { detector: pixels, images: 64 } }]
      expect: [{ metric: fd_pixels_64, at_most: 1e6 }]
";

/// A folder with the pipeline in it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/digits-8x8.zip");
        fs::copy(digits, folder.path().join("digits.zip")).unwrap();
        fs::write(folder.path().join("tiny.yaml"), PIPELINE).unwrap();
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sida"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env_remove("SIDA_RUNS")
            .env("SIDA_CACHE", self.folder.path().join("cache"));
        command
    }

    fn sida(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The folder of a stage, once it is there.
    fn stage(&self, runs: &str, stage: &str) -> Option<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join(runs).join("tiny")).ok()?;
        let mut paths = entries.flatten().map(|entry| entry.path());
        paths.find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{stage}-")))
    }

    fn weights(&self, runs: &str) -> Vec<u8> {
        let dir = self.stage(runs, "sida").unwrap();
        let snapshots = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
        let mut snapshots: Vec<PathBuf> = snapshots
            .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
            .collect();
        snapshots.sort();
        fs::read(snapshots.last().unwrap()).unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_run_prints_its_results_and_a_second_one_does_nothing() {
    let bench = Bench::new();
    let first = bench.sida(&["run", "tiny.yaml", "--device", "cpu"]);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    assert!(printed(&first).contains("scores: fd_pixels_64"), "{}", printed(&first));
    let second = bench.sida(&["run", "tiny.yaml", "--device", "cpu"]);
    assert_eq!(second.status.code(), Some(0));
    assert!(printed(&second).contains("nothing to do: 4 stages were done before"), "{}", printed(&second));
    let plan = bench.sida(&["plan", "tiny.yaml", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!((&plan["to_run"], &plan["stages"][2]["status"]), (&0.into(), &"done".into()));

    // A limit that is missed is its own exit code, and the trained networks are still done.
    let strict =
        ["run", "tiny.yaml", "--device", "cpu", "--set", "stages.scores.evaluate.expect.0.at_most=0"];
    let strict = bench.sida(&strict);
    assert_eq!(strict.status.code(), Some(3), "{}", said(&strict));
    assert!(printed(&strict).contains("FAIL scores: fd_pixels_64"), "{}", printed(&strict));
    assert!(printed(&strict).contains("1 stage ran, 3 were done before"), "{}", printed(&strict));

    // The record of a run is a pipeline of the same values: all that it asks for is done.
    fs::create_dir(bench.folder.path().join("copy")).unwrap();
    fs::copy(bench.folder.path().join("runs/tiny/pipeline.yaml"), bench.folder.path().join("copy/tiny.yaml"))
        .unwrap();
    let plan = bench.sida(&["plan", "copy/tiny.yaml"]);
    assert!(printed(&plan).starts_with("tiny: 4 stages, 0 to run"), "{}{}", printed(&plan), said(&plan));

    // With the data gone and everything done, nothing needs the data; the artifact says so.
    let json = bench.sida(&["--log-format", "json", "run", "tiny.yaml", "--device", "cpu"]);
    let line = said(&json).lines().next().unwrap_or_default().to_owned();
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
}

#[test]
fn a_derived_pipeline_is_what_its_record_says() {
    let bench = Bench::new();
    let file = |name: &str| bench.folder.path().join(name);
    let text = "base: tiny.yaml
remove: [scores]
set: { stages.sida.distill.duration_kimg: 0.8, stages.sida.distill.batch_size: 8 }
stages:
  samples: { generate: { network: sida, images: 4 } }
";
    fs::write(file("derived.yaml"), text).unwrap();
    let shorter = ["derived.yaml", "--set", "stages.sida.distill.duration_kimg=0.048"];
    let run = bench.sida(&[&["run", "--device", "cpu"], &shorter[..]].concat());
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    assert!(printed(&run).contains("4 stages ran"), "{}", printed(&run));
    let record = fs::read_to_string(file("runs/derived/pipeline.yaml")).unwrap();
    let shown = bench.sida(&[&["plan", "--resolved"], &shorter[..]].concat());
    assert_eq!(printed(&shown), record);
    assert!(record.contains("duration_kimg: 0.048") && !record.contains("base:"), "{record}");
    let lost = bench.sida(&["plan", "derived.yaml", "--set", "stages.scores.evaluate.trials=2"]);
    assert_eq!(lost.status.code(), Some(2));
    let words = "the command line: `--set stages.scores.evaluate.trials=2`: there is no `scores` in `stages`";
    assert!(said(&lost).starts_with(words), "{}", said(&lost));
    // Without the base, and under the name of the derived pipeline, nothing is left to do.
    fs::remove_file(file("tiny.yaml")).unwrap();
    fs::write(file("derived.yaml"), record).unwrap();
    let again = bench.sida(&["run", "derived.yaml", "--device", "cpu"]);
    assert!(printed(&again).contains("nothing to do: 4 stages"), "{}{}", printed(&again), said(&again));
}

#[test]
fn a_sweep_may_vary_a_derived_pipeline() {
    let bench = Bench::new();
    let file = |name: &str| bench.folder.path().join(name);
    fs::write(file("derived.yaml"), "base: tiny.yaml\nset: { seed: 3 }\n").unwrap();
    let sweep = "base: derived.yaml\naxes: { lr: { paths: [stages.sida.distill.generator.lr], values: [1e-4, 1e-5] } }\n";
    fs::write(file("sweep.yaml"), sweep).unwrap();
    let plan = bench.sida(&["plan", "sweep.yaml", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(
        (plan["points"].as_array().unwrap().len(), &plan["points"][1]["plan"]["seed"]),
        (2, &3.into())
    );
    let resolved = bench.sida(&["plan", "sweep.yaml", "--resolved"]);
    assert_eq!(resolved.status.code(), Some(2));
    assert!(said(&resolved).contains("is a sweep"), "{}", said(&resolved));
}

#[test]
fn stopped_and_killed_runs_end_with_the_same_weights() {
    let bench = Bench::new();
    let whole = bench.sida(&["run", "tiny.yaml", "--device", "cpu", "--runs", "whole"]);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));

    let arguments = ["run", "tiny.yaml", "--device", "cpu", "--runs", "parts"];
    let mut seen = 0;
    for signal in ["-TERM", "-KILL", "-INT"] {
        let mut child = bench.start(&arguments);
        let reached = wait_for_checkpoint(&bench, &mut child, seen);
        assert!(reached > seen, "a checkpoint after {seen} images");
        seen = reached;
        assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success());
        let code = child.wait().unwrap().code();
        // A killed process has no exit code.
        assert_eq!(code, if signal == "-KILL" { None } else { Some(130) }, "{signal}");
        let dir = bench.stage("parts", "sida").unwrap();
        assert!(!dir.join("artifact.json").exists(), "an unfinished stage is not done");
    }
    let plan = bench.sida(&["plan", "tiny.yaml", "--runs", "parts"]);
    assert!(printed(&plan).contains("stopped, continues at"), "{}", printed(&plan));
    let last = bench.sida(&arguments);
    assert_eq!(last.status.code(), Some(0), "{}", said(&last));
    assert!(bench.weights("whole") == bench.weights("parts"), "the weights differ");
}

fn wait_for_checkpoint(bench: &Bench, child: &mut Child, after: u64) -> u64 {
    let started = Instant::now();
    loop {
        let newest = bench.stage("parts", "sida").map(|dir| {
            let names = fs::read_dir(dir).into_iter().flatten().flatten();
            let number = |entry: fs::DirEntry| {
                entry.file_name().to_string_lossy().strip_prefix("checkpoint-")?.parse::<u64>().ok()
            };
            names.filter_map(number).max().unwrap_or(0)
        });
        match newest {
            Some(newest) if newest > after => return newest,
            _ => {}
        }
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be stopped");
        assert!(started.elapsed() < Duration::from_mins(5), "no checkpoint");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn wrong_commands_are_refused_with_a_sentence() {
    let bench = Bench::new();
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let output = bench.sida(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{arguments:?} prints no result");
    };
    refused(&["run", "absent.yaml"], 2, "cannot read `absent.yaml`");
    refused(&["run", "digits.zip"], 2, "not UTF-8");
    refused(&["run", "tiny.yaml", "--device", "gpu"], 2, "no device `gpu`");
    refused(&["run", "tiny.yaml", "--set", "stages.sida.distill.lr=1"], 2, "there is no `lr`");
    refused(&["run", "tiny.yaml", "--set", "stages.sida.distill.batch_size=0"], 2, "at least 1, not `0`");
    refused(&["run", "tiny.yaml", "--set", "stages.sida.distill.batch_size=3"], 2, "not a multiple");
    refused(&["run", "tiny.yaml", "--only", "sida"], 2, "needs `teacher`, which has not run");
    refused(&["run", "tiny.yaml", "--until", "sidaa"], 2, "did you mean `sida`?");
    refused(&["run"], 2, "FILE");
    if !cfg!(feature = "cuda") {
        refused(&["run", "tiny.yaml", "--device", "cuda:0"], 2, "no device `cuda:0`");
    }
    assert!(!bench.folder.path().join("runs").exists(), "nothing was begun");
    // A file where the folder of runs should be.
    refused(&["run", "tiny.yaml", "--runs", "digits.zip"], 1, "cannot create the folder");
}

#[test]
fn a_folder_in_use_is_refused_with_the_process_that_uses_it() {
    let bench = Bench::new();
    let folder = bench.folder.path().join("runs/tiny");
    let _lock = sida::pipeline::Lock::take(&folder).unwrap();
    let output = bench.sida(&["run", "tiny.yaml", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("in use by another sida (process {})", std::process::id())));
}

#[test]
fn a_dataset_that_is_absent_or_damaged_is_one_sentence_and_loses_nothing() {
    let bench = Bench::new();
    let zip = bench.folder.path().join("digits.zip");
    let bytes = fs::read(&zip).unwrap();
    fs::write(&zip, &bytes[..bytes.len() / 2]).unwrap();
    let truncated = bench.sida(&["run", "tiny.yaml", "--device", "cpu", "--until", "digits"]);
    assert_eq!(truncated.status.code(), Some(1), "{}", said(&truncated));
    assert!(said(&truncated).contains("digits.zip"), "{}", said(&truncated));
    fs::remove_file(&zip).unwrap();
    let absent = bench.sida(&["run", "tiny.yaml", "--device", "cpu", "--until", "digits"]);
    assert_eq!(absent.status.code(), Some(1), "{}", said(&absent));
    assert!(said(&absent).contains("digits.zip"), "{}", said(&absent));
    fs::write(&zip, &bytes).unwrap();
    let whole = bench.sida(&["run", "tiny.yaml", "--device", "cpu", "--until", "digits"]);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
}

#[test]
fn a_failing_point_of_a_sweep_does_not_stop_the_others() {
    let bench = Bench::new();
    // The second seed's file does not exist, which only its run can know.
    let text = "base: tiny.yaml
axes:
  data: { paths: [stages.digits.prepare_dataset.source.edm.path], values: [absent.zip, digits.zip] }
table: { rows: data, cell: { stage: scores, metric: fd_pixels_64 } }
set: { stages.sida.distill.duration_kimg: 0.048, stages.sida.distill.snapshots.every_kimg: 0.04 }
";
    fs::write(bench.folder.path().join("sweep.yaml"), text).unwrap();
    let output = bench.sida(&["run", "sweep.yaml", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let table = printed(&output);
    assert!(table.lines().any(|line| line.contains("absent.zip") && line.contains("failed")), "{table}");
    assert!(table.lines().any(|line| line.contains("digits.zip") && !line.contains("failed")), "{table}");
    assert!(said(&output).contains("1 of 2 sweep points failed"), "{}", said(&output));
    assert!(bench.folder.path().join("runs/sweep/sweep.json").is_file());
    let record = bench.folder.path().join("runs/sweep/points/data=_digits.zip_/pipeline.yaml");
    assert!(fs::read_to_string(record).unwrap().contains("path: digits.zip"), "every point keeps its record");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::new();
    let mut child =
        bench.command(&["plan", "tiny.yaml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
}

#[test]
fn the_version_names_burn_and_the_features() {
    let bench = Bench::new();
    let output = bench.sida(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        printed(&output).contains("Burn 0.22") && printed(&output).contains("features: cpu"),
        "{}",
        printed(&output)
    );
}

/// A folder of pictures, a sub-folder per class, becomes a dataset that the next stage can open.
#[test]
fn a_folder_of_pictures_becomes_a_dataset() {
    let bench = Bench::new();
    for (class, shade) in [("cats", 40u8), ("dogs", 200)] {
        let folder = bench.folder.path().join("pictures").join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..3 {
            let (width, height) = (20 + i, 16);
            let pixels = sida::data::Pixels::new(width, height, 3, vec![shade; width * height * 3]);
            sida::data::write_png(&folder.join(format!("{i}.png")), &pixels).unwrap();
        }
    }
    let text = "
stages:
  pets:
    prepare_dataset:
      source: { convert: { path: pictures, transform: center_crop, resolution: 8, use_labels: true } }
";
    fs::write(bench.folder.path().join("pets.yaml"), text).unwrap();
    let output = bench.sida(&["run", "pets.yaml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let runs = bench.folder.path().join("runs/pets");
    let stage = fs::read_dir(runs).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    let output = bench.sida(&["inspect", stage.join("dataset.zip").to_str().unwrap()]);
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(words.contains("6 images, 8x8, 3 channels") && words.contains("2 classes with 3, 3"), "{words}");
    let wrong = text.replace("center_crop", "center_crop_dhariwal");
    fs::write(bench.folder.path().join("wrong.yaml"), wrong).unwrap();
    let output = bench.sida(&["check", "wrong.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("rules: edm2"));
}
