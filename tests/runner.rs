//! The runner with a mock for the stages: order, skipping, reasons, resuming, continuing, failing, sweeping.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use sida::{
    Error, Result,
    diffusion::{Encoder, OneStep, Sampler},
    metrics::Score,
    pipeline::{
        Execute, Parsed, Places, Plan, PlannedStage, Running, Selection, Setting, Source, Status, Summary,
        run,
    },
    stages::{
        Artifact, DatasetArtifact, ImagesArtifact, Kind, NetworkArtifact, ScoresArtifact, StageSpec,
        TableArtifact, Web, World,
    },
};

const PIPELINE: &str = "
stages:
  scores:
    evaluate:
      network: sid
      reference: digits
      metrics: [{ frechet_distance: { detector: pixels, images: 100 } }]
      expect: [{ metric: fd_pixels_100, at_most: 1.0 }]
  digits:
    prepare_dataset: { source: { edm: { path: digits.zip, use_labels: true } } }
  teacher:
    train_teacher:
      dataset: digits
      network: { ddpmpp: { img_resolution: 8, img_channels: 1, label_dim: 10, model_channels: 16, channel_mult: [1], num_blocks: 1, attn_resolutions: [] } }
      duration_kimg: 1
      batch_size: 64
      augment: 0
  sid:
    distill:
      teacher: teacher
      dataset: digits
      method: { sid: {} }
      duration_kimg: 2
      batch_size: 64
      augment: 0
";

/// Makes artifacts without doing anything, notes what it was asked for, and fails where it is told to.
#[derive(Default)]
struct Mock {
    asked: Vec<String>,
    continued: Vec<(String, PathBuf)>,
    fails_at: Option<&'static str>,
    value: f64,
}

impl Execute for Mock {
    fn execute(&mut self, stage: &PlannedStage, running: &Running<'_>) -> Result<Artifact> {
        self.asked.push(stage.name.to_string());
        fs::write(stage.dir.join("weights.safetensors"), "").unwrap();
        if let Some(from) = &stage.continue_from {
            self.continued.push((stage.name.to_string(), from.clone()));
        }
        for input in stage.spec.stage().inputs() {
            assert!(running.finished.contains_key(input.stage), "{} runs before {}", stage.name, input.stage);
        }
        if self.fails_at == Some(stage.name.as_str()) {
            fs::create_dir_all(stage.dir.join("checkpoint-0000000640")).unwrap();
            return Err(Error::Interrupted);
        }
        let value = self.value;
        Ok(match StageSpec::makes(stage.spec.verb()).unwrap() {
            Kind::Dataset => Artifact::Dataset(DatasetArtifact {
                path: stage.dir.clone(),
                images: 1,
                has_images: true,
                resolution: 8,
                channels: 1,
                label_dim: 10,
                class_names: None,
                xflip: false,
                max_images: None,
                identity: String::new(),
            }),
            Kind::Network => {
                let stages = running.plan.stages.iter().map(|stage| (stage.name.clone(), stage.spec.clone()));
                let stages = stages.collect::<IndexMap<_, _>>();
                network(World { stages: &stages, search: &[] }.network(&stage.name).unwrap())
            }
            Kind::Scores => Artifact::Scores(ScoresArtifact {
                network: Some(stage.spec.stage().inputs()[0].stage.clone()),
                nfe: Some(1),
                scores: IndexMap::from([(
                    "fd_pixels_100".to_owned(),
                    Score { mean: value, std: 0.0, min: value, trials: vec![value] },
                )]),
            }),
            Kind::Images => Artifact::Images(ImagesArtifact {
                images: 1,
                folder: "images".into(),
                grid: "grid.png".into(),
                npz: None,
                nfe: 1,
            }),
            Kind::Table => Artifact::Table(TableArtifact {
                text: String::new(),
                brief: String::new(),
                files: Vec::new(),
            }),
        })
    }
}

fn network(config: &sida::nn::NetworkConfig) -> Artifact {
    Artifact::Network(NetworkArtifact {
        network: config.clone(),
        weights: "weights.safetensors".into(),
        sampler: Sampler::OneStep(OneStep::default()),
        encoder: Encoder::Rgb,
        nimg: 0,
    })
}

/// A pipeline file in a folder of its own, with the digits beside it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/digits-8x8.zip");
        fs::copy(digits, folder.path().join("digits.zip")).unwrap();
        fs::write(folder.path().join("p.yaml"), PIPELINE).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("p.yaml")
    }

    fn places(&self) -> Places {
        let path = self.folder.path();
        Places {
            runs: path.join("runs"),
            cache: path.join("cache"),
            search: vec![path.to_path_buf()],
            lock: None,
            web: Web::default(),
        }
    }

    fn plan(&self, set: &[&str]) -> Plan {
        let settings: Vec<Setting> = set.iter().map(|text| Setting::parse(text).unwrap()).collect();
        let source = Source::read(&self.file()).unwrap();
        let Parsed::Pipeline(pipeline) = source.parse(&settings).unwrap() else { panic!("a pipeline") };
        Plan::new(&pipeline, "p", self.places().home("p"), &self.places()).unwrap()
    }

    fn run(&self, set: &[&str], mock: &mut Mock) -> Result<Summary> {
        let plan = self.plan(set);
        run(&plan, &Selection::default(), mock)
    }
}

fn reason(plan: &Plan, stage: &str) -> String {
    match &plan.stages[plan.find("", stage).unwrap()].status {
        Status::Done => "done".to_owned(),
        Status::ToRun(reason) => reason.clone(),
    }
}

#[test]
fn stages_run_after_what_they_read_and_never_twice() {
    let bench = Bench::new();
    let mut mock = Mock::default();
    assert_eq!(bench.run(&[], &mut mock).unwrap().ran.len(), 4);
    assert_eq!(mock.asked, ["digits", "teacher", "sid", "scores"]);
    let again = bench.run(&[], &mut mock).unwrap();
    assert_eq!((again.ran.len(), again.skipped.len()), (0, 4));
    assert_eq!(mock.asked.len(), 4);
}

#[test]
fn a_changed_value_runs_its_stage_and_all_that_read_it_and_says_why() {
    let bench = Bench::new();
    let mut mock = Mock::default();
    bench.run(&[], &mut mock).unwrap();
    let changed = ["stages.sid.distill.generator.lr=1e-4"];
    let plan = bench.plan(&changed);
    assert_eq!(reason(&plan, "teacher"), "done");
    assert_eq!(reason(&plan, "sid"), "`generator.lr` was 0.00001, is 0.0001");
    assert_eq!(reason(&plan, "scores"), "what `network` names changed");
    mock.asked.clear();
    bench.run(&changed, &mut mock).unwrap();
    assert_eq!(mock.asked, ["sid", "scores"]);
    // The first values are still done: nothing was overwritten.
    assert_eq!(reason(&bench.plan(&[]), "scores"), "done");
}

#[test]
fn changed_contents_of_a_dataset_run_everything_again() {
    let bench = Bench::new();
    bench.run(&[], &mut Mock::default()).unwrap();
    let zip = bench.folder.path().join("digits.zip");
    let mut writer = zip::ZipWriter::new(fs::File::create(&zip).unwrap());
    writer.start_file::<_, ()>("new.png".to_owned(), zip::write::FileOptions::default()).unwrap();
    writer.finish().unwrap();
    // The label check would object now, so the plan is made from the typed value.
    let text = fs::read_to_string(bench.file()).unwrap();
    let pipeline = serde_saphyr::from_str(&text).unwrap();
    let plan = Plan::new(&pipeline, "p", bench.places().home("p"), &bench.places()).unwrap();
    assert_eq!(reason(&plan, "digits"), "the contents of `source/edm/path` changed");
    assert!(plan.stages.iter().all(|stage| stage.status != Status::Done));
}

#[test]
fn an_interrupted_stage_leaves_no_artifact_and_continues() {
    let bench = Bench::new();
    let mut mock = Mock { fails_at: Some("sid"), ..Mock::default() };
    assert!(matches!(bench.run(&[], &mut mock), Err(Error::Interrupted)));
    let plan = bench.plan(&[]);
    let sid = &plan.stages[plan.find("", "sid").unwrap()];
    assert!(!sid.dir.join("artifact.json").exists());
    assert_eq!(reason(&plan, "sid"), "stopped, continues at 0.64 kimg");
    assert_eq!(reason(&plan, "teacher"), "done");
    let mut mock = Mock::default();
    bench.run(&[], &mut mock).unwrap();
    assert_eq!(mock.asked, ["sid", "scores"]);
}

#[test]
fn a_longer_training_continues_the_longest_shorter_one() {
    let bench = Bench::new();
    let mut mock = Mock::default();
    bench.run(&[], &mut mock).unwrap();
    bench.run(&["stages.sid.distill.duration_kimg=3"], &mut mock).unwrap();
    bench.run(&["stages.sid.distill.duration_kimg=9"], &mut mock).unwrap();
    // Another learning rate is another training.
    bench
        .run(&["stages.sid.distill.duration_kimg=10", "stages.sid.distill.generator.lr=1e-4"], &mut mock)
        .unwrap();
    bench.run(&["stages.sid.distill.duration_kimg=5"], &mut mock).unwrap();
    let three = bench.plan(&["stages.sid.distill.duration_kimg=3"]);
    let three = three.stages[three.find("", "sid").unwrap()].dir.clone();
    let two = bench.plan(&[]);
    let two = two.stages[two.find("", "sid").unwrap()].dir.clone();
    let sid = |dir: &PathBuf| ("sid".to_owned(), dir.clone());
    assert_eq!(mock.continued, [sid(&two), sid(&three), sid(&three)]);
}

#[test]
fn a_missed_expectation_is_known_even_when_nothing_runs() {
    let bench = Bench::new();
    let mut mock = Mock { value: 2.0, ..Mock::default() };
    assert!(matches!(
        bench.run(&[], &mut mock).unwrap().judge(),
        Err(Error::ExpectationsNotMet { failed: 1, total: 1 })
    ));
    let again = bench.run(&[], &mut mock).unwrap();
    assert!(again.ran.is_empty());
    assert_eq!(again.judge().unwrap_err().exit_code(), 3);
}

#[test]
fn only_until_and_force() {
    let bench = Bench::new();
    let plan = bench.plan(&[]);
    let said =
        |only, until, force: &[String]| Selection::new(&plan, only, until, force).unwrap_err().to_string();
    assert!(said(Some("sid"), None, &[]).contains("`--until sid` runs both"));
    assert!(said(None, Some("sod"), &[]).contains("did you mean `sid`?"));
    let mut mock = Mock::default();
    let until = Selection::new(&plan, None, Some("teacher"), &[]).unwrap();
    run(&plan, &until, &mut mock).unwrap();
    assert_eq!(mock.asked, ["digits", "teacher"]);
    let plan = bench.plan(&[]);
    let only = Selection::new(&plan, Some("sid"), None, &[]).unwrap();
    run(&plan, &only, &mut mock).unwrap();
    assert_eq!(mock.asked, ["digits", "teacher", "sid"]);
    let plan = bench.plan(&[]);
    let force = Selection::new(&plan, None, None, &["teacher".to_owned()]).unwrap();
    run(&plan, &force, &mut mock).unwrap();
    assert_eq!(mock.asked[3..], ["teacher", "sid", "scores"]);
}

#[test]
fn a_folder_of_a_newer_program_is_refused() {
    let bench = Bench::new();
    bench.run(&[], &mut Mock::default()).unwrap();
    let plan = bench.plan(&[]);
    let record = plan.stages[0].dir.join("stage.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replacen("\"format\": 3", "\"format\": 99", 1)).unwrap();
    let source = Source::read(&bench.file()).unwrap();
    let Parsed::Pipeline(pipeline) = source.parse(&[]).unwrap() else { panic!("a pipeline") };
    let error = Plan::new(&pipeline, "p", bench.places().home("p"), &bench.places()).unwrap_err();
    assert!(matches!(error, Error::NewerFormat { found: 99, .. }), "{error}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn a_damaged_artifact_runs_its_stage_again() {
    let bench = Bench::new();
    bench.run(&[], &mut Mock::default()).unwrap();
    let plan = bench.plan(&[]);
    let scores = plan.find("", "scores").unwrap();
    fs::write(plan.stages[scores].dir.join("artifact.json"), "{").unwrap();
    let mut mock = Mock::default();
    bench.run(&[], &mut mock).unwrap();
    assert_eq!(mock.asked, ["scores"]);
}

#[test]
fn points_of_a_sweep_share_stages_with_the_same_key() {
    let bench = Bench::new();
    let text = "base: p.yaml\naxes:\n  alpha: { paths: [stages.sid.distill.method.sid.alpha], values: [0.5, 1.0] }\n  lr: { paths: [stages.sid.distill.generator.lr], values: [1e-5, 1e-4] }\n";
    fs::write(bench.folder.path().join("s.yaml"), text).unwrap();
    let source = Source::read(&bench.folder.path().join("s.yaml")).unwrap();
    let Parsed::Sweep(_, points) = source.parse(&[]).unwrap() else { panic!("a sweep") };
    let mut mock = Mock::default();
    for point in points {
        let plan =
            Plan::new(&point.pipeline, "s", bench.places().home(&point.label), &bench.places()).unwrap();
        run(&plan, &Selection::default(), &mut mock).unwrap();
    }
    let count = |name: &str| mock.asked.iter().filter(|asked| *asked == name).count();
    assert_eq!((count("digits"), count("teacher"), count("sid"), count("scores")), (1, 1, 4, 4));
}

#[test]
fn finished_stages_are_shared_between_pipelines_and_with_sweeps() {
    let bench = Bench::new();
    bench.run(&[], &mut Mock::default()).unwrap();
    let other = bench.folder.path().join("q.yaml");
    fs::write(&other, PIPELINE.replace("path: digits.zip", "path: ./digits.zip")).unwrap();
    let Parsed::Pipeline(pipeline) = Source::read(&other).unwrap().parse(&[]).unwrap() else { panic!() };
    let plan = Plan::new(&pipeline, "q", bench.places().home("q"), &bench.places()).unwrap();
    assert!(
        plan.stages.iter().all(|stage| stage.status == Status::Done),
        "a path spelled another way is the same"
    );
    let mut mock = Mock::default();
    run(&plan, &Selection::default(), &mut mock).unwrap();
    assert!(mock.asked.is_empty());
    // Each folder says what is its own, and deleting one loses nothing.
    let own = |name: &str| sida::pipeline::home::stages(&bench.places().home(name)).unwrap();
    let links = |name: &str| own(name).into_iter().filter(|name| name.contains('-')).collect::<Vec<_>>();
    assert_eq!((links("p"), links("p").len()), (links("q"), 4));
    fs::remove_dir_all(bench.places().home("p")).unwrap();
    assert!(bench.plan(&[]).stages.iter().all(|stage| stage.status == Status::Done));
}

#[test]
fn a_name_may_be_short_and_a_comparison_never_is() {
    let bench = Bench::new();
    let plan = bench.plan(&[]);
    let [digits, teacher] =
        [0, 1].map(|i| plan.stages[plan.find("", ["digits", "teacher"][i]).unwrap()].clone());
    bench.run(&[], &mut Mock::default()).unwrap();
    // Another stage whose key begins alike: it is not this one, and stays where it is.
    let record = digits.dir.join("stage.json");
    let text = fs::read_to_string(&record).unwrap();
    let other = format!("{}{}", digits.key.short(), "0".repeat(24));
    fs::write(&record, text.replace(&digits.key.to_string(), &other)).unwrap();
    let plan = bench.plan(&[]);
    assert_eq!(reason(&plan, "digits"), "its last run is gone");
    assert_eq!(reason(&plan, "teacher"), "done");
    let mut mock = Mock::default();
    bench.run(&[], &mut mock).unwrap();
    assert_eq!(mock.asked, ["digits"]);
    assert!(fs::read_to_string(&record).unwrap().contains(&other));
    assert!(teacher.dir.is_dir());
}

#[test]
fn damage_is_found_by_what_reads_it_and_mended() {
    let bench = Bench::new();
    bench.run(&[], &mut Mock::default()).unwrap();
    let plan = bench.plan(&[]);
    let weights = |stage: &str| plan.stages[plan.find("", stage).unwrap()].dir.join("weights.safetensors");
    fs::write(weights("teacher"), "x").unwrap();
    fs::remove_file(weights("sid")).unwrap();
    let plan = bench.plan(&[]);
    assert_eq!(reason(&plan, "teacher"), "`weights.safetensors` has 1 bytes and had 0: it is made again");
    assert_eq!(reason(&plan, "sid"), "`weights.safetensors` is gone: it is made again");
    let mut mock = Mock::default();
    let summary = bench.run(&[], &mut mock).unwrap();
    assert_eq!(mock.asked, ["teacher", "sid"], "what was made from them stays");
    assert_eq!(summary.finished.len(), 4);
}

#[test]
fn stages_of_the_layout_before_the_store_are_refused_with_a_sentence() {
    let bench = Bench::new();
    let old = bench.places().home("p").join("digits-01234567");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("stage.json"), r#"{"format": 1, "stage": "digits"}"#).unwrap();
    let source = Source::read(&bench.file()).unwrap();
    let Parsed::Pipeline(pipeline) = source.parse(&[]).unwrap() else { panic!("a pipeline") };
    let error = Plan::new(&pipeline, "p", bench.places().home("p"), &bench.places()).unwrap_err().to_string();
    assert!(error.contains("made by an older sida") && error.contains("--runs"), "{error}");
}
