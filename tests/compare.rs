//! `sida compare` through the real program: of whatever is named it says what differs, and shows it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

mod program;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use program::{Bench, Said, TEACHER, folder, json};
use serde_json::{Value, json};

/// Below `TEACHER`: pictures and scores of it, scores of another sampler, and a report of them.
const REST: &str = "
  samples: { generate: { network: teacher, images: 4 } }
  scores:
    evaluate:
      network: teacher
      sampler: { edm: { num_steps: 2 } }
      reference: digits
      metrics: [{ frechet_distance: { detector: pixels, images: 100 } }]
  slow_scores:
    evaluate:
      network: teacher
      sampler: { edm: { num_steps: 3 } }
      reference: digits
      metrics: [{ frechet_distance: { detector: pixels, images: 100 } }]
      trials: 2
  table:
    report:
      caption: Digits
      columns: [nfe, fd_pixels_100]
      rows:
        - { label: Two steps, scores: { stage: scores }, images: samples }
        - { label: Three steps, scores: { stage: slow_scores } }
";

const RATE: &str = "stages.teacher.train_teacher.lr=0.01";

/// A bench with a run in `runs/p` and one of another learning rate in `other/p`.
fn two_runs() -> (Bench, PathBuf, PathBuf) {
    let bench = Bench::new();
    let file = bench.write("p.yaml", format!("{TEACHER}{REST}"));
    let other = bench.path("other").display().to_string();
    bench.sida(&["run", &file, "--device", "cpu"]).exits(0);
    bench.sida(&["run", &file, "--device", "cpu", "--runs", &other, "--set", RATE]).exits(0);
    let (a, b) = (bench.runs().join("p"), bench.path("other/p"));
    (bench, a, b)
}

fn compare(bench: &Bench, a: &Path, b: &Path, more: &[&str]) -> Said {
    let paths = [a, b].map(|path| path.display().to_string());
    bench.sida(&[&["compare", &paths[0], &paths[1]], more].concat())
}

fn as_json(bench: &Bench, a: &Path, b: &Path) -> Value {
    serde_json::from_str(&compare(bench, a, b, &["--json"]).exits(0).out).unwrap()
}

/// The lines of settings that differ.
fn settings(said: &Said) -> Vec<&str> {
    let lines = said.out.lines().skip_while(|line| *line != "settings that differ").skip(1);
    lines.take_while(|line| line.starts_with("  ")).map(str::trim).collect()
}

/// The line that begins with a name.
#[track_caller]
fn line<'a>(said: &'a Said, name: &str) -> &'a str {
    let line = said.out.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("no `{name}` in\n{}", said.out))
}

#[test]
fn of_two_pipelines_one_setting_that_differs_is_one_line() {
    let (bench, a, b) = two_runs();
    let said = compare(&bench, &a, &b, &[]).exits(0);
    assert_eq!(settings(&said), ["teacher.train_teacher.lr: 0.001 -> 0.01"]);
    assert_eq!(line(&said, "   pipeline"), "   pipeline p");
    assert!(line(&said, "   made ").contains("; seed 0; "), "{}", said.out);
    assert!(line(&said, "scores.fd_pixels_100").contains("of unknown spread, "), "{}", said.out);
    assert_eq!(line(&said, "slow_scores.fd_pixels_100").matches(" ± ").count(), 2);
    assert_eq!(line(&said, "digits/reals.png"), "digits/reals.png: the same images, byte by byte");
    assert_eq!(line(&said, "samples/grid.png"), "samples/grid.png: different images");
    assert!(!said.out.contains("only in") && !said.out.contains("nothing differs"), "{}", said.out);

    let result = as_json(&bench, &a, &b);
    assert_eq!(result["settings"], json!({ "teacher.train_teacher.lr": { "a": 0.001, "b": 0.01 } }));
    let [left, right] = [&a, &b].map(|dir| json(&dir.join("report.json")));
    let mean = |report: &Value| report["scores"]["slow_scores"]["fd_pixels_100"]["mean"].as_f64().unwrap();
    let score = &result["scores"]["slow_scores.fd_pixels_100"];
    assert_eq!(score["difference"], mean(&right) - mean(&left));
    assert_eq!(score["better"], if mean(&right) < mean(&left) { "b" } else { "a" });
    assert!(score["spread"].is_f64() && score["beyond_spread"].is_boolean(), "{score}");
    assert!(result["scores"]["scores.fd_pixels_100"]["beyond_spread"].is_null(), "{result}");
    assert_eq!(result["pictures"]["samples"], json!({ "a": "grid.png", "b": "grid.png", "same": false }));
    assert_eq!(result["a"]["key"], left["provenance"]["key"]);
    assert_eq!(result["a"]["stages"]["teacher"]["verb"], "train_teacher");
    assert_eq!((&result["same"], &result["html"]), (&json!(false), &Value::Null));

    // The same, by the folder and by the file.
    let said = compare(&bench, &a, &a.join("report.json"), &[]).exits(0);
    assert!(said.out.ends_with("nothing differs\n"), "{}", said.out);
    assert!(said.out.contains("all settings are the same"), "{}", said.out);
    assert_eq!(as_json(&bench, &a, &a)["same"], true);
}

#[test]
fn points_of_a_sweep_are_compared_and_a_whole_sweep_is_not() {
    let bench = Bench::new();
    bench.write("p.yaml", format!("{TEACHER}{REST}"));
    let axes = "axes:\n  lr: { paths: [stages.teacher.train_teacher.lr], values: [0.001, 0.002] }\n";
    let sweep = bench.write("s.yaml", format!("base: p.yaml\n{axes}"));
    bench.sida(&["run", &sweep, "--device", "cpu"]).exits(0);
    let dir = bench.runs().join("s");
    let [a, b] = ["lr=0.001", "lr=0.002"].map(|point| dir.join("points").join(point));
    let said = compare(&bench, &a, &b, &[]).exits(0);
    assert_eq!(settings(&said), ["teacher.train_teacher.lr: 0.001 -> 0.002"]);
    assert!(!said.out.contains("absent") && !said.out.contains("not set"), "{}", said.out);
    assert!(said.out.contains("   point lr=0.002 of sweep s\n"), "{}", said.out);
    compare(&bench, &a, &dir, &[]).exits(2).complains(&[
        "a sweep of 2 points",
        "s/points/lr=0.001`",
        "s/points/lr=0.002`",
    ]);
    compare(&bench, &dir.join("points"), &b, &[]).exits(2).complains(&["name a pipeline's folder"]);
    compare(&bench, &bench.runs(), &b, &[]).exits(2).complains(&["name a pipeline's folder"]);

    // A point against a pipeline with fewer stages: what only one has is one line.
    let few = bench.write("few.yaml", TEACHER);
    bench.sida(&["run", &few, "--device", "cpu"]).exits(0);
    let said = compare(&bench, &bench.runs().join("few"), &b, &[]).exits(0);
    assert_eq!(settings(&said), ["teacher.train_teacher.lr: 0.001 -> 0.002"]);
    assert_eq!(
        line(&said, "only in B"),
        "only in B: samples (generate), scores (evaluate), slow_scores (evaluate)"
    );
    assert!(line(&said, "scores.fd_pixels_100").ends_with("only in B"), "{}", said.out);
    assert_eq!(as_json(&bench, &bench.runs().join("few"), &b)["only_in_b"][0]["stage"], "samples");
}

#[test]
fn a_stage_is_compared_with_its_counterpart() {
    let (bench, a, b) = two_runs();
    let stage = |dir: &Path, name: &str| folder(dir, name);
    // By its folder in the store and by the link to it, with a pipeline's, on either side.
    let link = fs::read_dir(&a).unwrap().flatten().map(|entry| entry.path());
    let link = link.filter(|path| path.is_symlink()).find(|path| path.to_string_lossy().contains("teacher-"));
    for of_stage in [stage(&a, "teacher"), link.unwrap()] {
        let said = compare(&bench, &of_stage, &b, &[]).exits(0);
        assert_eq!(settings(&said), ["teacher.train_teacher.lr: 0.001 -> 0.01"]);
        assert!(
            said.out.contains("   stage teacher of pipeline p\n") && !said.out.contains("only in"),
            "{}",
            said.out
        );
        let said = compare(&bench, &b, &of_stage, &[]).exits(0);
        assert_eq!(settings(&said), ["teacher.train_teacher.lr: 0.01 -> 0.001"]);
    }
    // Two of different names: as one with one another.
    let said = compare(&bench, &stage(&a, "scores"), &stage(&a, "slow_scores"), &[]).exits(0);
    assert_eq!(settings(&said), ["sampler.edm.num_steps: 2 -> 3", "trials: 1 -> 2"]);
    assert!(line(&said, "fd_pixels_100").contains("of unknown spread"), "{}", said.out);
    let said = compare(&bench, &stage(&a, "scores"), &stage(&a, "teacher"), &[]).exits(0);
    assert_eq!(settings(&said), ["verb: evaluate -> train_teacher"]);
    assert!(line(&said, "fd_pixels_100").ends_with("only in A"), "{}", said.out);

    // In a pipeline where it has another name: the only one that does the same, where there is one.
    let renamed =
        format!("{TEACHER}{REST}").replace("teacher", "tutor").replace("train_tutor", "train_teacher");
    let file = bench.write(
        "q.yaml",
        renamed.replace("\n  scores:", "\n  quick_scores:").replace("stage: scores", "stage: quick_scores"),
    );
    bench.sida(&["run", &file, "--device", "cpu"]).exits(0);
    let q = bench.runs().join("q");
    let said = compare(&bench, &stage(&a, "teacher"), &q, &[]).exits(0);
    assert!(said.out.contains("all settings are the same"), "{}", said.out);
    compare(&bench, &stage(&a, "scores"), &q, &[]).exits(2).complains(&[
        "no stage `scores` and more than one that does `evaluate`",
        "`quick_scores (evaluate)`",
    ]);

    // One that is not finished has settings and curves already.
    let dir = stage(&a, "scores");
    fs::remove_file(dir.join("artifact.json")).unwrap();
    let said = compare(&bench, &dir, &stage(&b, "scores"), &[]).exits(0);
    assert!(said.out.contains("stage scores of pipeline p, not finished\n"), "{}", said.out);
    fs::write(dir.join("artifact.json"), "{").unwrap();
    compare(&bench, &dir, &b, &[]).exits(2).complains(&["its `artifact.json` is damaged"]);
    fs::write(dir.join("stage.json"), r#"{ "stage": 7 }"#).unwrap();
    compare(&bench, &dir, &b, &[])
        .exits(2)
        .complains(&["its `stage.json` is not a stage's: invalid type: integer `7`"]);
    fs::write(dir.join("stage.json"), "{").unwrap();
    compare(&bench, &dir, &b, &[]).exits(2).complains(&["its `stage.json` is damaged"]);
}

#[test]
fn without_a_report_the_newest_stages_count() {
    let (bench, a, b) = two_runs();
    let file = bench.path("p.yaml").display().to_string();
    // Links to both variants lie there now.
    bench.sida(&["run", &file, "--device", "cpu", "--set", RATE]).exits(0);
    fs::remove_file(a.join("report.json")).unwrap();
    let said = compare(&bench, &a, &b, &[]).exits(0);
    assert!(said.out.contains("all settings are the same"), "{}", said.out);
    assert!(said.out.contains("   pipeline p, newest stages\n"), "{}", said.out);
    assert!(line(&said, "slow_scores.fd_pixels_100").ends_with("the same"), "{}", said.out);
    assert!(!said.out.contains("only in"), "{}", said.out);
}

/// Data of the same name that is not the same is a difference.
#[test]
fn contents_of_files_are_compared() {
    let (bench, a, b) = two_runs();
    let record = folder(&b, "digits").join("stage.json");
    let mut changed = json(&record);
    changed["files"]["source/edm/path"] = json!("0123");
    fs::write(&record, changed.to_string()).unwrap();
    let said = compare(&bench, &folder(&a, "digits"), &folder(&b, "digits"), &[]).exits(0);
    let found = settings(&said);
    assert_eq!(found.len(), 1, "{}", said.out);
    assert!(found[0].starts_with("digits.prepare_dataset.source.edm.path (contents): "), "{}", said.out);
}

#[test]
fn the_page_holds_pictures_and_curves_of_both() {
    let (bench, a, b) = two_runs();
    let page = bench.path("page.html");
    let to = page.display().to_string();
    let said = compare(&bench, &a, &b, &["--html", &to]).exits(0);
    assert!(said.out.ends_with(&format!("\n\npage: {to}\n")), "{}", said.out);
    let html = fs::read_to_string(&page).unwrap();
    for tag in
        ["html", "body", "main", "section", "table", "tr", "th", "td", "figure", "svg", "div", "dl", "p"]
    {
        let open = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(open, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let encoded =
        |dir: &Path| BASE64_STANDARD.encode(fs::read(folder(dir, "samples").join("grid.png")).unwrap());
    let [left, right] = [&a, &b].map(|dir| html.find(&encoded(dir)).expect("a picture"));
    assert!(left < right);
    // Of the digits there is one picture, as it is the same.
    assert_eq!(html.matches("data:image/png;base64,").count(), 3);
    assert_eq!(html.matches("<svg").count(), 3);
    assert_eq!(html.matches("<title>A</title>").count(), 3);
    assert_eq!(html.matches("<title>B</title>").count(), 3);
    assert!(html.contains("What differs: 1 setting, "), "no summary");
    assert!(html.contains("teacher.train_teacher.lr") && html.contains("default-src 'none'"));
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"));

    let said = compare(&bench, &a, &b, &["--html", &to, "--json"]).exits(0);
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["html"], json!(to));
    compare(&bench, &a, &a, &["--html", &to]).exits(0);
    assert!(fs::read_to_string(&page).unwrap().contains("Nothing differs."));
    let nowhere = bench.path("no/page.html").display().to_string();
    compare(&bench, &a, &b, &["--html", &nowhere]).exits(2).complains(&["there is no folder"]);
}

/// A report as small as it can be.
fn report(scores: Value) -> Value {
    json!({
        "pipeline": "p",
        "scores": { "s": scores },
        "settings": { "s": { "evaluate": { "trials": 1 } } },
        "provenance": { "seed": 0, "stages": [] },
    })
}

fn score(trials: &[f64]) -> Value {
    let mean = trials.iter().sum::<f64>() / trials.len() as f64;
    json!({ "mean": mean, "std": 0.1, "min": 0.0, "trials": trials })
}

#[test]
fn a_difference_is_said_to_be_larger_than_the_spread_or_not() {
    let bench = Bench::new();
    let names =
        ["fd_pixels_100", "is50k", "fid50k_full", "kid50k_full", "is50k_std", "odd", "pr50k3_full_recall"];
    let write = |name: &str, trials: [&[f64]; 7]| {
        let mut scores: Value =
            names.iter().zip(trials).map(|(name, trials)| ((*name).to_owned(), score(trials))).collect();
        scores["odd"]["mean"] = Value::Null;
        PathBuf::from(bench.write(name, report(scores).to_string()))
    };
    let a = write("a.json", [&[1.0, 1.2], &[1.0, 1.2], &[1.0, 1.2], &[0.1], &[2.0], &[1.0], &[0.5]]);
    let b = write("b.json", [&[1.3, 1.7], &[1.3, 1.7], &[1.1, 1.2], &[0.2], &[1.0], &[3.0], &[0.5]]);
    let said = compare(&bench, &a, &b, &[]).exits(0);
    for (name, words) in [
        (
            "s.fd_pixels_100",
            "1.100 ± 0.100   1.500 ± 0.100   +0.400    +36.4 %   larger than the spread, A is better",
        ),
        ("s.is50k ", "larger than the spread, B is better"),
        ("s.fid50k_full", "+0.050     +4.5 %   within the spread"),
        ("s.kid50k_full", "of unknown spread, A is better"),
        ("s.is50k_std", "of unknown spread"),
        ("s.odd", "of unknown spread"),
        ("s.pr50k3_full_recall", "the same"),
    ] {
        assert!(line(&said, name).ends_with(words), "{}", said.out);
    }
    let result = as_json(&bench, &a, &b);
    let of = |metric: &str, what: &str| result["scores"][format!("s.{metric}")][what].clone();
    let judged =
        ["fd_pixels_100", "is50k", "fid50k_full", "kid50k_full"].map(|name| of(name, "beyond_spread"));
    assert_eq!(judged, [json!(true), json!(true), json!(false), Value::Null]);
    assert_eq!([of("fd_pixels_100", "better"), of("is50k", "better")], ["a", "b"]);
    assert_eq!(of("odd", "difference"), Value::Null);
    assert!((of("fd_pixels_100", "spread").as_f64().unwrap() - 0.1f64.sqrt()).abs() < 1e-12);
}

#[test]
fn what_is_no_report_is_said_in_a_sentence() {
    let bench = Bench::new();
    let good = PathBuf::from(bench.write("good.json", report(json!({ "is50k": score(&[1.0]) })).to_string()));
    compare(&bench, &good, &good, &[]).exits(0);
    let text = fs::read_to_string(&good).unwrap();
    let mut cases: Vec<(String, &str)> = vec![
        (text[..text.len() / 2].to_owned(), "the text ends too early"),
        ("[]".to_owned(), "invalid"),
        ("{}".to_owned(), "missing: `pipeline`"),
        (text.replace("\"trials\":[1.0]", "\"trials\":\"many\""), "found \"many\", wanted a list"),
        (text.replace("\"pipeline\":\"p\"", "\"pipeline\":7"), "found the number `7`, wanted a string"),
        (text.replace("\"stages\":[]", "\"stages\":[{\"folder\":[]}]"), "found a list"),
        (text.replace("{\"trials\":1}", &("[".repeat(100_000) + &"]".repeat(100_000))), "nested too deeply"),
        (text.clone() + &" ".repeat(17 << 20), "more than 16777216 bytes"),
        ("\u{1b}]0;owned\u{7}".to_owned(), "it is not a report"),
    ];
    cases.push((String::from_utf8_lossy(&[0; 64]).into_owned(), "it is not a report"));
    for (text, problem) in cases {
        let bad = PathBuf::from(bench.write("bad.json", text));
        let said = compare(&bench, &good, &bad, &[]).exits(2);
        said.complains(&["cannot compare `", "bad.json`: ", problem, "name a pipeline's folder"]);
    }
    let pipe = bench.path("pipe.json");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    compare(&bench, &good, &pipe, &[]).exits(2).complains(&["not a regular file"]);
    // A home of nothing but a pipe, and one whose report is a folder.
    for name in ["home/report.json", "home2/s-01234567/stage.json"] {
        fs::create_dir_all(bench.path(name).parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(bench.path(name)).status().unwrap().success());
    }
    compare(&bench, &bench.path("home"), &good, &[]).exits(2).complains(&["not a regular file"]);
    compare(&bench, &bench.path("home2"), &good, &[]).exits(2).complains(&["nor a finished stage"]);
}

#[test]
fn hostile_words_stay_words() {
    const EVIL: &str =
        "</title><script>alert(1)</script><img src=x onerror=alert(2)>\u{1b}[2J\u{202e}\0\nnothing differs";
    let bench = Bench::new();
    let hostile = |value: f64| {
        json!({
            "pipeline": EVIL,
            "scores": { EVIL: { EVIL: score(&[value]) } },
            "settings": { EVIL: { EVIL: { EVIL: format!("{EVIL}{value}"), "n": [{ EVIL: value }] } }, format!("{value}{EVIL}"): { EVIL: {} } },
            "provenance": {
                "seed": 0, "date": EVIL, "device": EVIL, "key": EVIL, "invocation": { "commit": EVIL },
                "stages": [{ "stage": EVIL, "verb": EVIL, "key": EVIL, "folder": EVIL }],
            },
        })
    };
    let [a, b] = [1.0, 2.0]
        .map(|value| PathBuf::from(bench.write(&format!("{value}.json"), hostile(value).to_string())));
    let page = bench.path("page.html").display().to_string();
    let said = compare(&bench, &a, &b, &["--html", &page]).exits(0);
    assert!(!said.out.contains(['\u{1b}', '\0', '\u{202e}']), "{}", said.out);
    assert!(said.out.lines().all(|line| !line.starts_with("nothing differs")), "{}", said.out);
    assert_eq!(settings(&said).len(), 2, "{}", said.out);
    let html = fs::read_to_string(&page).unwrap();
    assert!(
        !html.contains("<script")
            && !html.contains("<img src=x")
            && !html.contains(['\u{1b}', '\0', '\u{202e}'])
    );
    assert!(html.contains("&lt;script&gt;alert(1)"));
    assert_eq!(html.matches("<title>").count(), html.matches("</title>").count());
    let result = as_json(&bench, &a, &b);
    assert_eq!(result["a"]["device"], EVIL);
}

/// A folder that a report names is looked at only where it is that stage's.
#[test]
fn a_report_shows_no_pictures_of_others() {
    let (bench, a, b) = two_runs();
    let mut text = json(&a.join("report.json"));
    for run in text["provenance"]["stages"].as_array_mut().unwrap() {
        if run["stage"] == "samples" {
            run["folder"] = json!(folder(&b, "samples"));
        }
    }
    fs::write(a.join("report.json"), text.to_string()).unwrap();
    let said = compare(&bench, &a, &b, &[]).exits(0);
    assert_eq!(line(&said, "samples/grid.png"), "samples/grid.png: only in B");
}
