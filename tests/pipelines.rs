//! Every file in `pipelines/` is read, judged, planned and written back; the paper's are the reference's recipes.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test may fail, and its numbers are exact")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use sida::{
    distill::{Distill, Method},
    nn::NetworkConfig,
    pipeline::{Parsed, Pipeline, Places, Plan, Source, record::record},
    stages::{StageSpec, load_teacher::agree},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn files() -> Vec<PathBuf> {
    let folders = ["pipelines", "pipelines/sweeps", "pipelines/tables"];
    let list = |folder: &&str| fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = folders.iter().flat_map(list).map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn places() -> Places {
    Places { runs: root().join("no-runs"), cache: root().join("no-cache"), search: vec![root()] }
}

fn pipeline(name: &str) -> Pipeline {
    let path = root().join("pipelines").join(format!("{name}.yaml"));
    match Source::read(&path).unwrap().parse(&[]).unwrap() {
        Parsed::Pipeline(pipeline) => pipeline,
        Parsed::Sweep(..) => panic!("{name} is a sweep"),
    }
}

fn distillation(name: &str) -> Distill {
    let method = name.rsplit('-').next().unwrap();
    match &pipeline(name).stages[method] {
        StageSpec::Distill(distill) => distill.clone(),
        other => panic!("{name}: {other:?}"),
    }
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
                let plan = Plan::new(&pipeline, &source.name(), &places()).unwrap();
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
    let plan = Plan::new(&pipeline("quickstart"), "quickstart", &places()).unwrap();
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

/// `run_sida.sh 'cifar10-uncond'`, with what hides in its training loop.
#[test]
fn sida_on_cifar10_is_the_references_recipe() {
    let sida = distillation("cifar10-uncond-sida");
    let Method::Sida(method) = &sida.method else { panic!("SiDA") };
    assert_eq!((method.alpha, method.tmax), (1.0, 800));
    let adversarial = &method.adversarial;
    assert_eq!((adversarial.discriminator_weight, adversarial.generator_weight), (1.0, 0.01));
    assert_eq!(
        (adversarial.generator_starts_at_kimg.nimg(), adversarial.starts_at_kimg.nimg()),
        (100_000, 200_000)
    );
    assert_eq!((sida.generator.lr, sida.fake_score.lr, sida.generator.init_sigma), (1e-5, 1e-5, 2.5));
    assert_eq!((sida.generator.betas, sida.fake_score.betas), ([0.0, 0.999], [0.0, 0.999]));
    assert_eq!((sida.generator.loss_scale, sida.fake_score.loss_scale), (100.0, 1.0));
    assert_eq!((sida.fake_score.p_mean, sida.fake_score.p_std), (-1.2, 1.2));
    assert_eq!(sida.fake_score.clip_grad_value, Some(1.0));
    assert_eq!((sida.batch_size, sida.microbatch_size, sida.pace().rounds()), (256, Some(32), 8));
    assert_eq!(sida.duration_kimg.nimg(), 300_000_000);
    assert_eq!(
        (sida.ema.half_life_kimg.nimg(), sida.ema.rampup_ratio, sida.augment),
        (500_000, Some(0.05), 0.12)
    );
}

/// dataset, alpha of SiD, batch, micro-batch, learning rate, EMA in kimg, augmentation, Mimg of SiD, SiDA and SiD2A
type Row = (&'static str, f64, u32, u32, f64, u64, f64, [u64; 3]);

#[test]
fn the_papers_recipes_hold_the_references_values() {
    let rows: [Row; 5] = [
        ("cifar10-uncond", 1.2, 256, 32, 1e-5, 500, 0.12, [500, 300, 100]),
        ("cifar10-cond", 1.2, 256, 32, 1e-5, 500, 0.12, [800, 300, 100]),
        ("ffhq64", 1.2, 512, 64, 1e-5, 500, 0.15, [500, 200, 100]),
        ("afhq64", 1.0, 512, 64, 5e-6, 500, 0.15, [500, 200, 100]),
        ("imagenet64", 1.2, 8192, 32, 4e-6, 2000, 0.0, [1000, 300, 100]),
    ];
    for (set, alpha, batch, micro, lr, ema, augment, durations) in rows {
        for (method, mimg) in ["sid", "sida", "sid2a"].into_iter().zip(durations) {
            let name = format!("{set}-{method}");
            let distill = distillation(&name);
            assert_eq!(distill.method.name(), method, "{name}");
            assert_eq!(distill.method.terms().alpha, if method == "sid" { alpha } else { 1.0 }, "{name}");
            assert_eq!((distill.batch_size, distill.pace().microbatch_size()), (batch, micro), "{name}");
            assert_eq!((distill.generator.lr, distill.fake_score.lr), (lr, lr), "{name}");
            assert_eq!((distill.ema.half_life_kimg.nimg(), distill.augment), (ema * 1000, augment), "{name}");
            assert_eq!(distill.duration_kimg.nimg(), mimg * 1_000_000, "{name}");
            assert_eq!(distill.fake_score.clip_grad_value, (method != "sid").then_some(1.0), "{name}");
        }
    }
    assert_eq!(distillation("ffhq64-sid").generator.betas[0], 0.9);
}

#[test]
fn the_edm2_recipes_hold_the_references_values() {
    let rows = [
        ("xs", 64, [200, 200, 30]),
        ("s", 64, [200, 200, 80]),
        ("m", 32, [200, 200, 200]),
        ("l", 32, [200, 200, 55]),
        ("xl", 16, [200, 200, 50]),
        ("xxl", 2, [100, 100, 30]),
    ];
    for (size, micro, durations) in rows {
        for (method, mimg) in ["sid", "sida", "sid2a"].into_iter().zip(durations) {
            let name = format!("edm2-img512-{size}-{method}");
            let distill = distillation(&name);
            assert_eq!((distill.batch_size, distill.pace().microbatch_size()), (2048, micro), "{name}");
            assert_eq!(distill.duration_kimg.nimg(), mimg * 1_000_000, "{name}");
            assert_eq!((distill.fake_score.p_mean, distill.fake_score.p_std), (-0.4, 1.0), "{name}");
            assert_eq!(distill.fake_score.clip_grad_value, None, "{name}");
            if let Some(adversarial) = distill.method.terms().adversarial {
                assert_eq!(adversarial.discriminator_weight, 100.0, "{name}");
            }
            let edm2 = distill.edm2.unwrap();
            let as_released = size != "s" || method == "sid";
            assert_eq!(
                (edm2.weight_by_logvar, edm2.force_normalization),
                (as_released, as_released),
                "{name}"
            );
        }
    }
    assert_eq!(distillation("edm2-img512-m-sid2a").generator.loss_scale, 50.0);
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
