//! The command line through the real binary, on a pipeline that takes a moment: exit codes, streams, resuming.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use program::{Bench, root};

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

/// A folder with the pipeline and its digits, and the program in it.
fn tiny() -> Bench {
    let bench = Bench::inside();
    fs::copy(root().join("datasets/digits-8x8.zip"), bench.path("digits.zip")).unwrap();
    bench.write("tiny.yaml", PIPELINE);
    bench
}

/// The folder of a stage, once it is there.
fn stage(bench: &Bench, runs: &str, stage: &str) -> Option<PathBuf> {
    program::folders(&bench.path(runs).join("tiny"), stage).into_iter().next()
}

fn weights(bench: &Bench, runs: &str) -> Vec<u8> {
    let dir = stage(bench, runs, "sida").unwrap();
    let snapshots = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    let mut snapshots: Vec<PathBuf> = snapshots
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    snapshots.sort();
    fs::read(snapshots.last().unwrap()).unwrap()
}

#[test]
fn a_run_prints_its_results_and_a_second_one_does_nothing() {
    let bench = tiny();
    let first = bench.sida(&["run", "tiny.yaml", "--device", "cpu"]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    assert!(first.out.contains("scores: fd_pixels_64"), "{}", first.out);
    let second = bench.sida(&["run", "tiny.yaml", "--device", "cpu"]);
    assert_eq!(second.code, Some(0));
    assert!(second.out.contains("nothing to do: 4 stages were done before"), "{}", second.out);
    let plan = bench.sida(&["plan", "tiny.yaml", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.out).unwrap();
    assert_eq!((&plan["to_run"], &plan["stages"][2]["status"]), (&0.into(), &"done".into()));

    // A limit that is missed is its own exit code, and the trained networks are still done.
    let strict =
        ["run", "tiny.yaml", "--device", "cpu", "--set", "stages.scores.evaluate.expect.0.at_most=0"];
    let strict = bench.sida(&strict);
    assert_eq!(strict.code, Some(3), "{}", strict.err);
    assert!(strict.out.contains("FAIL scores: fd_pixels_64"), "{}", strict.out);
    assert!(strict.out.contains("nothing to do: 4 stages were done before"), "{}", strict.out);

    // The record of a run is a pipeline of the same values: all that it asks for is done.
    fs::create_dir(bench.path("copy")).unwrap();
    fs::copy(bench.path("runs/tiny/pipeline.yaml"), bench.path("copy/tiny.yaml")).unwrap();
    let plan = bench.sida(&["plan", "copy/tiny.yaml"]);
    assert!(plan.out.starts_with("tiny: 4 stages, 0 to run"), "{}{}", plan.out, plan.err);

    // Each stage says what it is about, and the end where to look.
    let said = |parts: &[&str]| {
        parts.iter().for_each(|part| assert!(first.err.contains(part), "{part}\n{}", first.err));
    };
    said(&[
        "digits: finds 64 images in `digits.zip`\n",
        " parameters) learns the 64 images of `digits`, in 0.04 kimg\n",
        "sida: a copy of `teacher` (35 network evaluations per image) learns to need one, by SiDA, judged against the 64 images of `digits`, in 0.8 kimg\n",
        "scores: measures `fd_pixels_64` of 64 images of `sida` against the 64 images of `digits`\n",
    ]);
    let pictures: Vec<&str> = first.out.lines().filter_map(|line| line.strip_prefix("pictures: ")).collect();
    assert!(!pictures.is_empty(), "{}", first.out);
    pictures
        .iter()
        .for_each(|path| assert!(bench.path(path).is_file() && path.contains("tiny/sida-"), "{path}"));

    // With the data gone and everything done, nothing needs the data; the artifact says so.
    let json = bench.sida(&["--log-format", "json", "run", "tiny.yaml", "--device", "cpu"]);
    let line = json.err.lines().next().unwrap_or_default().to_owned();
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
}

#[test]
fn a_derived_pipeline_is_what_its_record_says() {
    let bench = tiny();
    let file = |name: &str| bench.path(name);
    let text = "base: tiny.yaml
remove: [scores]
set: { stages.sida.distill.duration_kimg: 0.8, stages.sida.distill.batch_size: 8 }
stages:
  samples: { generate: { network: sida, images: 4 } }
";
    fs::write(file("derived.yaml"), text).unwrap();
    let shorter = ["derived.yaml", "--set", "stages.sida.distill.duration_kimg=0.048"];
    let run = bench.sida(&[&["run", "--device", "cpu"], &shorter[..]].concat());
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.contains("4 stages ran"), "{}", run.out);
    let record = fs::read_to_string(file("runs/derived/pipeline.yaml")).unwrap();
    let shown = bench.sida(&[&["plan", "--resolved"], &shorter[..]].concat());
    assert_eq!(shown.out, record);
    assert!(record.contains("duration_kimg: 0.048") && !record.contains("base:"), "{record}");
    let lost = bench.sida(&["plan", "derived.yaml", "--set", "stages.scores.evaluate.trials=2"]);
    assert_eq!(lost.code, Some(2));
    let words = "the command line: `--set stages.scores.evaluate.trials=2`: there is no `scores` in `stages`";
    assert!(lost.err.starts_with(words), "{}", lost.err);
    // Without the base, and under the name of the derived pipeline, nothing is left to do.
    fs::remove_file(file("tiny.yaml")).unwrap();
    fs::write(file("derived.yaml"), record).unwrap();
    let again = bench.sida(&["run", "derived.yaml", "--device", "cpu"]);
    assert!(again.out.contains("nothing to do: 4 stages"), "{}{}", again.out, again.err);
}

#[test]
fn a_sweep_may_vary_a_derived_pipeline() {
    let bench = tiny();
    let file = |name: &str| bench.path(name);
    fs::write(file("derived.yaml"), "base: tiny.yaml\nset: { seed: 3 }\n").unwrap();
    let sweep = "base: derived.yaml\naxes: { lr: { paths: [stages.sida.distill.generator.lr], values: [1e-4, 1e-5] } }\n";
    fs::write(file("sweep.yaml"), sweep).unwrap();
    let plan = bench.sida(&["plan", "sweep.yaml", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.out).unwrap();
    assert_eq!(
        (plan["points"].as_array().unwrap().len(), &plan["points"][1]["plan"]["seed"]),
        (2, &3.into())
    );
    let resolved = bench.sida(&["plan", "sweep.yaml", "--resolved"]);
    assert_eq!(resolved.code, Some(2));
    assert!(resolved.err.contains("is a sweep"), "{}", resolved.err);
}

#[test]
fn stopped_and_killed_runs_end_with_the_same_weights() {
    let bench = tiny();
    let whole = bench.sida(&["run", "tiny.yaml", "--device", "cpu", "--runs", "whole"]);
    assert_eq!(whole.code, Some(0), "{}", whole.err);

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
        let dir = stage(&bench, "parts", "sida").unwrap();
        assert!(!dir.join("artifact.json").exists(), "an unfinished stage is not done");
    }
    let plan = bench.sida(&["plan", "tiny.yaml", "--runs", "parts"]);
    assert!(plan.out.contains("stopped, continues at"), "{}", plan.out);
    let last = bench.sida(&arguments);
    assert_eq!(last.code, Some(0), "{}", last.err);
    assert!(weights(&bench, "whole") == weights(&bench, "parts"), "the weights differ");
}

fn wait_for_checkpoint(bench: &Bench, child: &mut Child, after: u64) -> u64 {
    let started = Instant::now();
    loop {
        let newest = stage(bench, "parts", "sida").map(|dir| {
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
    let bench = tiny();
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let output = bench.sida(arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.err);
        assert!(output.err.contains(words), "{arguments:?}: {}", output.err);
        assert!(output.out.is_empty(), "{arguments:?} prints no result");
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
    assert!(!bench.path("runs").exists(), "nothing was begun");
    // A file where the folder of runs should be.
    refused(&["run", "tiny.yaml", "--runs", "digits.zip"], 1, "cannot create the folder");
}

#[test]
fn a_dataset_that_is_absent_or_damaged_is_one_sentence_and_loses_nothing() {
    let bench = tiny();
    let zip = bench.path("digits.zip");
    let bytes = fs::read(&zip).unwrap();
    fs::write(&zip, &bytes[..bytes.len() / 2]).unwrap();
    let truncated = bench.sida(&["run", "tiny.yaml", "--device", "cpu", "--until", "digits"]);
    assert_eq!(truncated.code, Some(1), "{}", truncated.err);
    assert!(truncated.err.contains("digits.zip"), "{}", truncated.err);
    fs::remove_file(&zip).unwrap();
    let absent = bench.sida(&["run", "tiny.yaml", "--device", "cpu", "--until", "digits"]);
    assert_eq!(absent.code, Some(2), "{}", absent.err);
    assert!(absent.err.contains("`digits.zip` is not here"), "{}", absent.err);
    fs::write(&zip, &bytes).unwrap();
    let whole = bench.sida(&["run", "tiny.yaml", "--device", "cpu", "--until", "digits"]);
    assert_eq!(whole.code, Some(0), "{}", whole.err);
}

#[test]
fn a_failing_point_of_a_sweep_does_not_stop_the_others() {
    let bench = tiny();
    // The first point's file is no zip, which only its run can know.
    fs::write(bench.path("broken.zip"), "no zip").unwrap();
    let text = "base: tiny.yaml
axes:
  data: { paths: [stages.digits.prepare_dataset.source.edm.path], values: [broken.zip, digits.zip] }
table: { rows: data, cell: { stage: scores, metric: fd_pixels_64 } }
set: { stages.sida.distill.duration_kimg: 0.048, stages.sida.distill.snapshots.every_kimg: 0.04 }
";
    fs::write(bench.path("sweep.yaml"), text).unwrap();
    let output = bench.sida(&["run", "sweep.yaml", "--device", "cpu"]);
    assert_eq!(output.code, Some(1), "{}", output.err);
    let table = output.out;
    assert!(table.lines().any(|line| line.contains("broken.zip") && line.contains("failed")), "{table}");
    assert!(table.lines().any(|line| line.contains("digits.zip") && !line.contains("failed")), "{table}");
    assert!(output.err.contains("1 of 2 sweep points failed"), "{}", output.err);
    assert!(bench.path("runs/sweep/sweep.json").is_file());
    let record = bench.path("runs/sweep/points/data=digits.zip/pipeline.yaml");
    assert!(fs::read_to_string(record).unwrap().contains("path: digits.zip"), "every point keeps its record");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = tiny();
    let mut child =
        bench.command(&["plan", "tiny.yaml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn the_version_names_burn_and_the_features() {
    let bench = tiny();
    let output = bench.sida(&["--version"]);
    assert_eq!(output.code, Some(0));
    assert!(output.out.contains("Burn 0.22") && output.out.contains("features: cpu"), "{}", output.out);
}

/// A folder of pictures, a sub-folder per class, becomes a dataset that the next stage can open.
#[test]
fn a_folder_of_pictures_becomes_a_dataset() {
    let bench = tiny();
    for (class, shade) in [("cats", 40u8), ("dogs", 200)] {
        let folder = bench.path("pictures").join(class);
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
    fs::write(bench.path("pets.yaml"), text).unwrap();
    let output = bench.sida(&["run", "pets.yaml"]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    let runs = bench.path("runs/pets");
    let stage = fs::read_dir(runs).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    let output = bench.sida(&["inspect", stage.join("dataset.zip").to_str().unwrap()]);
    let words = &output.out;
    assert!(words.contains("6 images, 8x8, 3 channels") && words.contains("2 classes with 3, 3"), "{words}");
    let wrong = text.replace("center_crop", "center_crop_dhariwal");
    fs::write(bench.path("wrong.yaml"), wrong).unwrap();
    let output = bench.sida(&["check", "wrong.yaml"]);
    assert_eq!(output.code, Some(2));
    assert!(output.err.contains("rules: edm2"));
}
