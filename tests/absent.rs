//! What is not here is said by `check` and `plan`, and all of it by `run`, before anything begins; and how datasets are made.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{collections::BTreeSet, fs, path::Path};

use program::{Bench, SCORES, Said, TEACHER, root};
use serde_json::Value;
use sida::data::known::{KNOWN, Known};

/// Two stages that read files of this machine, and one that reads from an address, where nobody answers.
const NOTHING_HERE: &str = "
stages:
  cifar10:
    prepare_dataset: { source: { edm: { path: datasets/cifar10-32x32.zip } } }
  again:
    prepare_dataset: { source: { edm: { path: datasets/cifar10-32x32.zip, xflip: true } } }
  edm:
    load_teacher: { weights: { edm_pickle: weights/edm-cifar10-32x32-uncond-vp.pkl } }
  published:
    load_teacher: { weights: { edm_pickle: \"https://127.0.0.1:1/net.pkl\" } }
";

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap()
}

fn paths(not_here: &Value) -> Vec<&str> {
    not_here["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect()
}

#[test]
fn check_and_plan_say_what_is_not_here_with_sizes_and_commands() {
    let bench = Bench::inside();
    let file = bench.write("p.yaml", NOTHING_HERE);
    for verb in ["check", "plan"] {
        let said = bench.sida(&[verb, &file]).exits(0);
        for part in [
            "\nnot here:\n  `datasets/cifar10-32x32.zip`, which `cifar10`, `again` read: CIFAR-10",
            "(about 166.3 MB)\n    `sida prepare cifar10-32x32` makes it of 170.5 MB from https://www.cs.toronto.edu/",
            "https://nvlabs-fi-cdn.nvidia.com/edm/pretrained/edm-cifar10-32x32-uncond-vp.pkl",
            "\nto download",
            "https://127.0.0.1:1/net.pkl",
            "\n  `sida fetch ",
        ] {
            assert!(said.out.contains(part), "{verb}: `{part}` is not in\n{}", said.out);
        }
        let said = json(&bench.sida(&[verb, &file, "--json"]).exits(0));
        let not_here = if verb == "check" { &said["files"][0]["not_here"] } else { &said["not_here"] };
        assert_eq!(
            paths(not_here),
            ["datasets/cifar10-32x32.zip", "weights/edm-cifar10-32x32-uncond-vp.pkl"]
        );
        let cifar = &not_here["files"][0];
        assert_eq!(cifar["command"], "sida prepare cifar10-32x32");
        assert_eq!(cifar["stages"], serde_json::json!(["cifar10", "again"]));
        assert_eq!(cifar["bytes"], 166_300_000);
        assert_eq!(not_here["downloads"][0]["what"], "https://127.0.0.1:1/net.pkl");
    }
    // Of two files, what both read is said once; of one that is wrong, nothing.
    let other = bench.write("q.yaml", NOTHING_HERE);
    let said = bench.sida(&["check", &file, &other]).exits(0);
    assert_eq!(said.out.matches("sida prepare").count(), 1, "{}", said.out);
    let wrong = bench.write("w.yaml", NOTHING_HERE.replace("xflip: true", "flip: true"));
    assert!(!bench.sida(&["check", &wrong]).exits(2).out.contains("not here"));
}

#[test]
fn what_is_here_is_not_said() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", TEACHER);
    assert_eq!(bench.sida(&["check", &file]).exits(0).out, format!("{file}: ok\n"));
    let plan = bench.sida(&["plan", &file]).exits(0);
    assert!(!plan.out.contains("not here") && !plan.out.contains("to download"), "{}", plan.out);
}

#[test]
fn run_names_everything_at_its_place_before_it_starts_anything() {
    let bench = Bench::inside();
    fs::create_dir(bench.path("datasets")).unwrap();
    fs::copy(root().join("datasets/digits-8x8.zip"), bench.path("datasets/digits-8x8.zip")).unwrap();
    let file = bench.write("p.yaml", NOTHING_HERE.to_owned() + TEACHER.split("stages:").nth(1).unwrap());
    let run = |more: &[&str]| bench.sida(&[&["run", &file, "--device", "cpu"][..], more].concat());
    let said = run(&[]).exits(2);
    for part in [
        "p.yaml:4:47: `datasets/cifar10-32x32.zip`, which `cifar10`, `again` read, is not here",
        "^ `sida prepare cifar10-32x32` makes it",
        "p.yaml:8:21: `weights/edm-cifar10-32x32-uncond-vp.pkl` is not here",
        "^ write `https://nvlabs-fi-cdn.nvidia.com/edm/pretrained/edm-cifar10-32x32-uncond-vp.pkl` in its place",
        "error: 2 files are not here, and nothing was started",
    ] {
        assert!(said.err.contains(part), "`{part}` is not in\n{}", said.err);
    }
    // Neither a stage, which could have run, nor the download, which fails.
    assert!(!said.err.contains("runs (") && !said.err.contains("downloading"), "{}", said.err);
    assert!(!bench.runs().exists());
    let offline = run(&["--offline"]).exits(2);
    for part in
        ["2 files are not here", "a file is not in the cache", "https://127.0.0.1:1/net.pkl, for `published`"]
    {
        assert!(offline.err.contains(part), "{}", offline.err);
    }
    // What is not asked for, and what is done, needs nothing.
    assert!(
        run(&["--until", "edm"])
            .exits(2)
            .err
            .contains("error: `weights/edm-cifar10-32x32-uncond-vp.pkl` is not here")
    );
    run(&["--until", "digits"]).exits(0);
    run(&["--only", "digits"]).exits(0);
    let json = bench.sida(&["--log-format", "json", "run", &file, "--device", "cpu"]).exits(2);
    let first = json.err.lines().find(|line| line.contains("\"line\":")).unwrap();
    let first: Value = serde_json::from_str(first).unwrap();
    assert_eq!(
        (first["line"].as_u64(), first["path"].as_str()),
        (Some(4), Some("stages.cifar10.prepare_dataset.source.edm.path"))
    );
}

#[test]
fn what_an_absent_path_may_mean_is_said() {
    let bench = Bench::inside();
    fs::create_dir(bench.path("data")).unwrap();
    fs::write(bench.path("data/photos.zip"), "").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("gone.zip", bench.path("data/link.zip")).unwrap();
    for (path, help) in [
        ("data/photo.zip", "did you mean `data/photos.zip`?"),
        #[cfg(unix)]
        ("data/link.zip", "is a link that leads nowhere"),
        ("elsewhere/images", "from the working directory, and from the pipeline file's folder upwards"),
        ("/nowhere/images", "put it there"),
        ("ffhq-64x64.zip", "`sida prepare ffhq-64x64 --from images1024x1024 --to ffhq-64x64.zip` makes it"),
        ("refs/img512.pkl", "https://nvlabs-fi-cdn.nvidia.com/edm2/dataset-refs/img512.pkl"),
        ("cifar10-32x32.npz", "https://nvlabs-fi-cdn.nvidia.com/edm/fid-refs/cifar10-32x32.npz"),
    ] {
        let file = bench.write(
            "p.yaml",
            format!("stages: {{ d: {{ prepare_dataset: {{ source: {{ edm: {{ path: {path} }} }} }} }} }}\n"),
        );
        for verb in
            [&["check", &file][..], &["plan", &file], &["run", &file, "--device", "cpu"], &["fetch", &file]]
        {
            let said = bench.sida(verb);
            let all = said.out.clone() + &said.err;
            assert!(all.contains(help), "{verb:?} {path}: {all}");
        }
    }
}

#[test]
fn a_sweep_names_each_file_once_at_its_axis_and_only_of_points_that_are_asked_for() {
    let bench = Bench::new();
    bench.write("base.yaml", format!("{TEACHER}{SCORES}"));
    let sweep = "base: base.yaml\naxes:\n  data: { paths: [stages.digits.prepare_dataset.source.edm.path], values: [datasets/digits-8x8.zip, nothing.zip] }\n  seed: { paths: [seed], values: [0, 1] }\n";
    let file = bench.write("s.yaml", sweep);
    for verb in ["check", "plan"] {
        let said = bench.sida(&[verb, &file]).exits(0);
        assert_eq!(said.out.matches("`nothing.zip`, which `digits` reads").count(), 1, "{}", said.out);
    }
    let said = bench.sida(&["run", &file, "--device", "cpu"]).exits(2);
    for part in [
        "s.yaml:3:101: ",
        "`nothing.zip` is not here",
        "error: `nothing.zip` is not here, and nothing was started",
    ] {
        assert!(said.err.contains(part), "`{part}` is not in\n{}", said.err);
    }
    assert!(!bench.runs().exists());
    bench.sida(&["run", &file, "--device", "cpu", "--point", "1", "--until", "digits"]).exits(0);
}

/// The name of every dataset that a recipe reads, with the recipe.
fn datasets() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for folder in ["pipelines", "pipelines/ci", "pipelines/published"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
                for word in line
                    .split([' ', '"', ',', '{', '}'])
                    .filter(|word| word.split('.').next_back() == Some("zip"))
                {
                    let name = Path::new(word).file_name().unwrap().to_str().unwrap();
                    found.insert((name.to_owned(), path.display().to_string()));
                }
            }
        }
    }
    found
}

#[test]
fn every_dataset_of_the_recipes_can_be_prepared_and_has_its_place_in_the_readme() {
    let readme = fs::read_to_string(root().join("datasets/README.md")).unwrap();
    let found = datasets();
    assert!(found.len() > 15, "{found:?}");
    for (name, recipe) in found {
        let ships = root().join("datasets").join(&name).is_file();
        assert!(ships || Known::at(Path::new(&name)).is_some(), "{recipe}: {name}");
        assert!(readme.contains(&format!("`{name}`")), "{recipe}: {name}");
    }
    let listed = json(&Bench::new().sida(&["prepare", "--json"]).exits(0));
    for (known, listed) in KNOWN.iter().zip(listed["datasets"].as_array().unwrap()) {
        assert_eq!(
            (listed["name"].as_str(), listed["command"].as_str()),
            (Some(known.name), Some(&*known.command()))
        );
        for part in [&format!("`{}.zip`", known.name), &known.command(), known.page, known.terms] {
            assert!(readme.contains(part), "{part}");
        }
    }
    // The whole of CIFAR-10's page is about files that are there.
    let page = fs::read_to_string(root().join("docs/cifar10.md")).unwrap();
    for name in ["pipelines/cifar10-uncond-sid2a.yaml", "sida prepare cifar10-32x32"] {
        assert!(page.contains(name), "{name}");
    }
}

#[test]
fn a_dataset_is_made_where_recipes_look_for_it() {
    let bench = Bench::inside();
    let archive =
        root().join("tests/fixtures/dataset-04-cifar10-mini/cifar-10-python.tar.gz").display().to_string();
    let pipeline = NOTHING_HERE.split("  again:").next().unwrap();
    let file = bench.write("p.yaml", pipeline.replace("edm: {", "edm: { use_labels: true,"));
    let said = bench.sida(&["prepare", "cifar10-32x32", "--from", &archive, "--json"]);
    let said = said.exits(0);
    assert!(
        said.err.contains("where the dataset has 50,000: results are not the published ones"),
        "{}",
        said.err
    );
    let made = json(&said)["datasets"][0].clone();
    assert_eq!(
        (made["state"].as_str(), made["path"].as_str()),
        (Some("made"), Some("datasets/cifar10-32x32.zip"))
    );
    // The stored PNGs of the whole have the size that is promised.
    let (bytes, images) = (made["bytes"].as_u64().unwrap(), made["images"].as_u64().unwrap());
    let whole = (bytes - 22) / images * 50_000;
    assert!(whole.abs_diff(Known::named("cifar10-32x32").unwrap().bytes) < whole / 50, "{whole}");
    assert!(!bench.sida(&["check", &file]).exits(0).out.contains("not here"));
    bench.sida(&["run", &file, "--device", "cpu"]).exits(0);
    assert!(bench.sida(&["prepare", "cifar10-32x32"]).exits(0).out.contains("here already"));
    // A variable moves all of them, and the command follows.
    let mut elsewhere = bench.command(&["prepare", "cifar10-32x32", "--from", &archive]);
    assert!(elsewhere.env("SIDA_DATASETS", bench.path("big disk")).status().unwrap().success());
    assert!(bench.path("big disk/cifar10-32x32.zip").is_file());
}

#[test]
fn what_cannot_be_prepared_says_what_is_asked_for() {
    let bench = Bench::inside();
    for (arguments, parts) in [
        (
            &["prepare", "ffhq-64x64"][..],
            &["`images1024x1024`", "https://github.com/NVlabs/ffhq-dataset", "`--from`"][..],
        ),
        (&["prepare", "cifar-32x32"], &["did you mean `cifar10-32x32`?", "convert"]),
        (&["prepare", "ffhq-64x64", "--from", "nowhere"], &["cannot read `nowhere`"]),
        (&["prepare", "ffhq-64x64", "mnist-32x32", "--to", "a.zip"], &["one dataset at a time"]),
        (
            &["prepare", "mnist-32x32", "--from", ".", "--to", "nowhere/a.zip"],
            &["there is no folder `nowhere`"],
        ),
    ] {
        bench.sida(arguments).exits(2).complains(parts);
    }
    fs::write(bench.path("x.tar.gz"), "no archive").unwrap();
    bench.sida(&["prepare", "cifar10-32x32", "--from", "x.tar.gz"]).exits(1).complains(&["`x.tar.gz`"]);
    assert_eq!(fs::read_dir(bench.path("datasets")).unwrap().count(), 0);
}
