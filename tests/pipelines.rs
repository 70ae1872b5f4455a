//! Every file in `pipelines/` is read, judged, planned and written back; the paper's are the reference's recipes.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sida::{
    diffusion::Precision,
    distill::Distill,
    kimg::Kimg,
    metrics::Metric,
    nn::NetworkConfig,
    pipeline::{Parsed, Pipeline, Places, Plan, Source, record::record},
    stage_name::StageName,
    stages::{LoadTeacher, StageSpec, Web, load_teacher::agree},
    training::Keep,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn files() -> Vec<PathBuf> {
    let folders =
        ["pipelines", "pipelines/ci", "pipelines/published", "pipelines/sweeps", "pipelines/tables"];
    let list = |folder: &&str| fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = folders.iter().flat_map(list).map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        path.extension().is_some_and(|extension| extension == "yaml") && !path.ends_with(WORKFLOW)
    });
    files.sort();
    files
}

/// An example for GitHub, in another language.
const WORKFLOW: &str = "pipelines/ci/github-workflow.yaml";

fn places() -> Places {
    Places {
        runs: root().join("no-runs"),
        cache: root().join("no-cache"),
        search: vec![root()],
        lock: None,
        web: Web::default(),
    }
}

fn pipeline(name: &str) -> Pipeline {
    let path = root().join("pipelines").join(format!("{name}.yaml"));
    match Source::read(&path).unwrap().parse(&[]).unwrap() {
        Parsed::Pipeline(pipeline) => pipeline,
        Parsed::Sweep(..) => panic!("{name} is a sweep"),
    }
}

/// The method in a recipe's name: the last part, before the alpha where a recipe exists for two.
fn method(name: &str) -> &str {
    let name = name.split_once("-alpha").map_or(name, |(name, _)| name);
    name.rsplit('-').next().unwrap()
}

fn distillation(name: &str) -> Distill {
    match &pipeline(name).stages[method(name)] {
        StageSpec::Distill(distill) => distill.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

fn loaded(recipe: &str, stage: &StageName) -> LoadTeacher {
    match &pipeline(recipe).stages[stage] {
        StageSpec::LoadTeacher(load) => load.clone(),
        other => panic!("{recipe}: {other:?}"),
    }
}

/// The papers' recipes, by name.
fn recipes() -> Vec<String> {
    let entries = fs::read_dir(root().join("pipelines")).unwrap().map(|entry| entry.unwrap().path());
    let yaml = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let names = yaml.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name != "quickstart").collect();
    names.sort();
    names
}

#[test]
fn every_file_is_read_judged_and_planned() {
    let files = files();
    assert!(files.len() > 35);
    for file in files {
        let source = Source::read(&file).unwrap();
        let first = source.text.lines().next().unwrap();
        let schema = first
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{} lacks its schema", file.display()));
        assert!(file.parent().unwrap().join(schema).is_file(), "{}: {schema}", file.display());
        match source.parse(&[]).unwrap_or_else(|error| panic!("{error}")) {
            Parsed::Pipeline(pipeline) => {
                let plan =
                    Plan::new(&pipeline, &source.name(), places().home(&source.name()), &places()).unwrap();
                assert_eq!(plan.stages.len(), pipeline.stages.len());
            }
            Parsed::Sweep(sweep, points) => {
                let count: usize = sweep.axes.values().map(|axis| axis.values.len()).product();
                assert_eq!(points.len(), count);
            }
        }
    }
}

#[test]
fn the_record_of_every_pipeline_is_the_same_pipeline() {
    for file in files() {
        let source = Source::read(&file).unwrap();
        let Parsed::Pipeline(pipeline) = source.parse(&[]).unwrap() else { continue };
        let written = record(&pipeline, &source, &[]).unwrap();
        assert!(written.starts_with("# All values, made from ") && !written.contains("base:"), "{written}");
        let again = Source { text: written.clone(), ..source };
        match again.parse(&[]).unwrap_or_else(|error| panic!("{}: {error}\n{written}", file.display())) {
            Parsed::Pipeline(again) => assert_eq!(pipeline, again, "{}", file.display()),
            Parsed::Sweep(..) => panic!("{} became a sweep", file.display()),
        }
    }
}

#[test]
fn text_and_tree_are_decoded_alike() {
    // With a setting the tree is decoded, without one the text.
    let setting = sida::pipeline::Setting::parse("seed=0").unwrap();
    for file in files() {
        let source = Source::read(&file).unwrap();
        if let Parsed::Pipeline(from_text) = source.parse(&[]).unwrap() {
            assert_eq!(source.parse(std::slice::from_ref(&setting)).unwrap(), Parsed::Pipeline(from_text));
        }
    }
}

#[test]
fn the_plan_of_the_quickstart() {
    let plan =
        Plan::new(&pipeline("quickstart"), "quickstart", places().home("quickstart"), &places()).unwrap();
    let stages: Vec<String> = plan
        .stages
        .iter()
        .map(|stage| format!("{} {:?} {:?}", stage.name, stage.work.parameters, stage.work.steps))
        .take(5)
        .collect();
    let expected = [
        "digits None None",
        "teacher Some(180369) Some(1563)",
        "sid Some(180369) Some(469)",
        "sida Some(180369) Some(625)",
        "sid2a Some(180369) Some(625)",
    ];
    assert_eq!(stages, expected);
    assert!(plan.stages.iter().all(|stage| stage.work.downloads.is_empty()), "nothing is downloaded");
}

#[test]
fn the_readme_lists_every_recipe_and_its_numbers() {
    let text = fs::read_to_string(root().join("pipelines/README.md")).unwrap();
    let mut listed = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| [")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, file, _, _, method, batch, lr, mimg, published, _, _] = cells[..] else { panic!("{line}") };
        let name = file.split_once("](").unwrap().1.trim_end_matches(".yaml)");
        let distill = distillation(name);
        assert_eq!(method.to_lowercase(), distill.method.name(), "{name}");
        assert_eq!(batch.parse(), Ok(distill.batch_size), "{name}");
        assert_eq!(lr.parse(), Ok(distill.generator.lr), "{name}");
        assert_eq!(mimg.parse(), Ok(distill.duration_kimg.nimg() / 1_000_000), "{name}");
        let StageSpec::Report(report) = &pipeline(name).stages["table"] else { panic!("{name}") };
        let number = published.split(',').next().and_then(|number| number.parse().ok());
        assert_eq!(number, report.rows[0].published.get("fid50k_full").copied(), "{name}");
        listed.push(name.to_owned());
    }
    listed.sort();
    assert_eq!(listed, recipes());
}

/// `tests/pipelines/release.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    all: All,
    adversarial: Adversarial,
    edm: NoiseLevels,
    edm2: NoiseLevels,
    recipes: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct All {
    init_sigma: f64,
    tmax: u32,
    ls: f64,
    beta2: f64,
    fake_score_beta1: f64,
    ema_rampup: f64,
    snap: u64,
    dump: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adversarial {
    lsg_gan: f64,
    generator_starts_at_kimg: u64,
    starts_at_kimg: u64,
    clip_grad_value: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoiseLevels {
    p_mean: f64,
    p_std: f64,
    early: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    script: String,
    alpha: f64,
    lr: f64,
    beta1: f64,
    batch: u32,
    batch_gpu: u32,
    fp16: bool,
    lsg: f64,
    ema: f64,
    dropout: f64,
    augment: f64,
    duration: u64,
    tick: u64,
    teacher: String,
    lsd: Option<f64>,
    logvar: Option<bool>,
    norm: Option<bool>,
    start: Option<String>,
}

#[test]
fn every_recipe_holds_the_values_of_the_release() {
    let text = fs::read_to_string(root().join("tests/pipelines/release.yaml")).unwrap();
    let release: Release = serde_saphyr::from_str(&text).unwrap();
    let rows: Vec<&String> = release.recipes.keys().collect();
    assert_eq!(rows, recipes().iter().collect::<Vec<_>>(), "one row per recipe, one recipe per row");
    for (name, row) in &release.recipes {
        compare(name, row, &release);
    }
}

fn compare(name: &str, row: &Row, release: &Release) {
    let (all, distill) = (&release.all, distillation(name));
    let (generator, fake_score, terms) = (&distill.generator, &distill.fake_score, distill.method.terms());
    assert_eq!(method(name), distill.method.name(), "{name}");
    let alpha = name.split_once("-alpha").map_or(terms.alpha, |(_, alpha)| alpha.parse().unwrap());
    assert_eq!(alpha, terms.alpha, "{name}");
    assert_eq!((terms.alpha, terms.tmax), (row.alpha, all.tmax), "{name}");
    assert_eq!(
        (generator.lr, fake_score.lr, generator.init_sigma),
        (row.lr, row.lr, all.init_sigma),
        "{name}"
    );
    assert_eq!(generator.betas, [row.beta1, all.beta2], "{name}");
    assert_eq!(fake_score.betas, [all.fake_score_beta1, all.beta2], "{name}");
    assert_eq!((generator.loss_scale, fake_score.loss_scale), (row.lsg, all.ls), "{name}");
    assert_eq!((distill.batch_size, distill.pace().microbatch_size()), (row.batch, row.batch_gpu), "{name}");
    assert_eq!(distill.precision, if row.fp16 { Precision::Fp16 } else { Precision::Fp32 }, "{name}");
    assert_eq!(distill.augment, row.augment, "{name}");
    let (ema, kimg) = (&distill.ema, |kimg: Kimg| kimg.nimg() as f64 / 1000.0);
    assert_eq!(
        (kimg(ema.half_life_kimg), ema.rampup_ratio),
        (row.ema * 1000.0, Some(all.ema_rampup)),
        "{name}"
    );
    assert_eq!(distill.duration_kimg.nimg(), row.duration * 1_000_000, "{name}");
    assert_eq!(distill.status_every_kimg.nimg(), row.tick * 1000, "{name}");
    assert_eq!(distill.snapshots.every_kimg.nimg(), row.tick * all.snap * 1000, "{name}");
    assert_eq!(distill.checkpoint_every_kimg.nimg(), row.tick * all.dump * 1000, "{name}");
    let noise = if row.logvar.is_some() { &release.edm2 } else { &release.edm };
    assert_eq!((fake_score.p_mean, fake_score.p_std), (noise.p_mean, noise.p_std), "{name}");
    let due = |tick: &u64| distill.snapshots.due(tick * row.tick * 1000 - 1, tick * row.tick * 1000);
    let ticks: Vec<u64> = (1..=100).filter(due).collect();
    let mut wanted = [noise.early.clone(), vec![50, 100]].concat();
    wanted.sort_unstable();
    wanted.dedup();
    assert_eq!(ticks, wanted, "{name}");
    // The best snapshot is chosen by the distance that is reported, at the arithmetic of the training.
    let StageSpec::Evaluate(scores) = &pipeline(name).stages["scores"] else { panic!("{name}") };
    assert_eq!(
        (&distill.snapshots.statistics, scores.precision),
        (&scores.statistics, distill.precision),
        "{name}"
    );
    assert!(
        distill.snapshots.metrics.contains(&Metric::Fid50kFull)
            && distill.snapshots.keep == Keep::BestAndLast
    );
    let switches = distill.edm2.as_ref().map(|edm2| (edm2.weight_by_logvar, edm2.force_normalization));
    assert_eq!(switches, row.logvar.zip(row.norm), "{name}");
    assert_eq!(terms.adversarial.map(|adversarial| adversarial.discriminator_weight), row.lsd, "{name}");
    if let Some(adversarial) = terms.adversarial {
        let starts = (adversarial.generator_starts_at_kimg.nimg(), adversarial.starts_at_kimg.nimg());
        let expected = &release.adversarial;
        assert_eq!(adversarial.generator_weight, expected.lsg_gan, "{name}");
        assert_eq!(
            starts,
            (expected.generator_starts_at_kimg * 1000, expected.starts_at_kimg * 1000),
            "{name}"
        );
    }
    let clipped = row.lsd.is_some() && row.logvar.is_none();
    assert_eq!(fake_score.clip_grad_value, clipped.then_some(release.adversarial.clip_grad_value), "{name}");
    let teacher = loaded(name, &distill.teacher);
    assert!(teacher.weights.location().to_string().contains(&row.teacher), "{name}");
    let network = serde_json::to_value(teacher.network.unwrap()).unwrap();
    let dropout = network.as_object().and_then(|of| of.values().next()?["dropout"].as_f64());
    assert_eq!(dropout, Some(row.dropout), "{name}");
    let start = terms.initial_generator.map(|start| loaded(name, start));
    assert_eq!(start.is_some(), row.start.is_some(), "{name}");
    if let Some((start, file)) = start.zip(row.start.as_ref()) {
        assert!(start.weights.location().to_string().contains(file), "{name}");
    }
    let text = fs::read_to_string(root().join(format!("pipelines/{name}.yaml"))).unwrap();
    assert!(text.contains(&format!("({})", row.script)), "{name} names its script");
}

/// The networks that recipes write out are those of the released files, setting by setting.
#[test]
fn the_networks_of_recipes_are_the_released_ones() {
    let path = root().join("tests/fixtures/manifest-01-released-architectures/case.json");
    let manifest: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let released = manifest["config"]["networks"].as_array().unwrap();
    let mut compared = 0;
    for (recipe, preset) in [
        ("cifar10-uncond-sida", "cifar10-uncond-ddpmpp"),
        ("cifar10-uncond-sid2a", "cifar10-uncond-ddpmpp"),
        ("ffhq64-sida", "ffhq64-ddpmpp"),
        ("imagenet64-sida", "imagenet64-adm"),
        ("edm2-img512-xs-sida", "edm2-img512-xs"),
        ("edm2-img512-s-sid", "edm2-img512-s"),
        ("edm2-img512-l-sida", "edm2-img512-l"),
        ("edm2-img512-xxl-sida", "edm2-img512-xxl"),
    ] {
        let net = &released.iter().find(|entry| entry["preset"] == preset).unwrap()["net"];
        let mut kwargs = net["precond_args"].as_object().unwrap().clone();
        kwargs.extend(net["model_args"].as_object().unwrap().clone());
        let class = net["precond"].as_str().unwrap();
        let written = NetworkConfig::from_reference(class, &kwargs, preset).unwrap();
        for spec in pipeline(recipe).stages.values() {
            if let StageSpec::LoadTeacher(load) = spec
                && let Some(given) = &load.network
            {
                agree(given, &written, preset).unwrap_or_else(|error| panic!("{recipe}: {error}"));
                compared += 1;
            }
        }
    }
    assert!(compared >= 8, "{compared} networks were compared");
}

/// What a GPU has to hold for the recipes' micro-batches, alone and as one of several; and from how many on that is within
/// 10 GB for CIFAR-10 and 80 GB for others.
#[test]
fn trainings_need_the_memory_that_the_documentation_says() {
    const RANKS: [u32; 4] = [1, 2, 4, 8];
    let documented = fs::read_to_string(root().join("docs/gpu.md")).unwrap();
    for (recipe, network, microbatch, within, from) in [
        ("cifar10-cond", "CIFAR-10, DDPM++, fp32", 32, 10, 1),
        ("imagenet64", "ImageNet 64, ADM, fp16", 32, 80, 1),
        ("edm2-img512-xs", "ImageNet 512, EDM2-XS, fp16", 64, 80, 1),
        ("edm2-img512-xxl", "ImageNet 512, EDM2-XXL, fp16", 2, 80, 4),
    ] {
        for method in ["sid", "sida", "sid2a"] {
            let name = format!("{recipe}-{method}");
            let plan = Plan::new(&pipeline(&name), &name, places().home(&name), &places()).unwrap();
            let stage = plan.stages.iter().find(|stage| stage.name.to_string() == method).unwrap();
            let (training, work) = (stage.spec.stage(), &stage.work);
            let pace = training.pace().unwrap();
            assert_eq!(pace.microbatch_size(), microbatch, "{name}");
            let (of, parameters) = (work.network.as_ref().unwrap(), work.parameters.unwrap());
            let bytes = RANKS.map(|ranks| training.memory_bytes(&pace, of, parameters, ranks).unwrap());
            assert_eq!(work.memory_bytes, Some(bytes[0]), "{name}: `plan` says what one needs");
            for (ranks, bytes) in RANKS.into_iter().zip(bytes) {
                let fits = bytes < within * 1_000_000_000;
                assert_eq!(fits, ranks >= from, "{name}: {bytes} bytes on each of {ranks}");
            }
            let columns = bytes.map(|bytes| format!("{:.1}", bytes as f64 / 1e9)).join(" | ");
            let row = format!("| {network} | {microbatch} | {columns} |");
            assert!(documented.contains(&row), "docs/gpu.md lacks {row}");
        }
    }
}

#[test]
fn the_workflow_for_github_runs_the_miniatures_and_keeps_their_pages() {
    let text = fs::read_to_string(root().join(WORKFLOW)).unwrap();
    let workflow: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    // GitHub's own schema, where it is among the tests' files.
    if let Ok(schema) = fs::read_to_string(root().join("tests/spread/schemas/github-workflow.json")) {
        let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        let wrong: Vec<String> = schema.iter_errors(&workflow).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    assert!(workflow["on"].as_object().unwrap().contains_key("pull_request"));
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }));
    let job = &workflow["jobs"]["miniatures"];
    assert!(job["runs-on"].is_string() && job["timeout-minutes"].is_u64());
    let steps = job["steps"].as_array().unwrap();
    for step in steps {
        let keys: Vec<&String> = step.as_object().unwrap().keys().collect();
        assert_eq!(keys.iter().filter(|key| ["uses", "run"].contains(&key.as_str())).count(), 1, "{step}");
        let known = ["name", "uses", "run", "with", "if"];
        assert!(keys.iter().all(|key| known.contains(&key.as_str())), "{step}");
    }
    let uses = |action: &str| -> Vec<&serde_json::Value> {
        let of =
            |step: &&serde_json::Value| step["uses"].as_str().is_some_and(|uses| uses.starts_with(action));
        steps.iter().filter(of).collect()
    };
    assert_eq!((uses("actions/checkout@").len(), uses("actions/cache@").len()), (1, 2));
    let pages = uses("actions/upload-artifact@");
    assert!(pages.len() == 1 && pages[0]["if"] == "always()", "{pages:?}");
    let commands: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let commands = commands.join("\n");
    for path in commands.split_whitespace().filter(|word| word.starts_with("pipelines/")) {
        assert!(root().join(path).is_file(), "{path}");
    }
    for name in ["digits", "digits-alpha-lr", "broken"] {
        assert!(commands.contains(&format!("sida run pipelines/ci/{name}.yaml")), "{name}");
    }
}
