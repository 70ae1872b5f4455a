//! What is expected of numbers: limits, baselines and their files, and that judging measures nothing.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::fs;

use program::{Bench, Said, TEACHER, folder, json, root};
use serde_json::{Value, json};

/// Scores of a teacher over two trials, and `expect`.
fn pipeline(expect: &str) -> String {
    format!(
        "{TEACHER}
  scores:
    evaluate:
      network: teacher
      sampler: {{ edm: {{ num_steps: 2 }} }}
      reference: digits
      metrics: [{{ frechet_distance: {{ detector: pixels, images: 100 }} }}]
      trials: 2
      expect: {expect}
"
    )
}

const REPORT: &str = "
  table:
    report: { caption: Digits, columns: [fd_pixels_100], rows: [{ label: Teacher, scores: { stage: scores } }] }
";

const WITH_BASELINE: &str = "[{ metric: fd_pixels_100, baseline: base.json }]";

/// Finished runs of the pipeline, recorded in `base.json`, in a folder in which the program is started.
fn recorded() -> (Bench, f64) {
    let bench = Bench::inside();
    fs::create_dir(bench.path("datasets")).unwrap();
    fs::copy(root().join("datasets/digits-8x8.zip"), bench.path("datasets/digits-8x8.zip")).unwrap();
    bench.write("p.yaml", pipeline(WITH_BASELINE) + REPORT);
    bench.sida(&["check", "p.yaml"]).exits(2);
    let said = bench.sida(&["run", "p.yaml", "--record", "base.json"]).exits(0);
    assert!(said.out.contains("NO VERDICT scores: fd_pixels_100 has no baseline yet"), "{}", said.out);
    assert!(said.out.contains("recorded: base.json"), "{}", said.out);
    let mean = baseline(&bench)["stages"]["scores"]["scores"]["fd_pixels_100"]["mean"].as_f64().unwrap();
    (bench, mean)
}

fn baseline(bench: &Bench) -> Value {
    json(&bench.path("base.json"))
}

/// Writes a baseline whose two trials are these.
fn rewrite(bench: &Bench, trials: [f64; 2]) {
    let mut changed = baseline(bench);
    let score = &mut changed["stages"]["scores"]["scores"]["fd_pixels_100"];
    score["trials"] = json!(trials);
    score["mean"] = json!(f64::midpoint(trials[0], trials[1]));
    bench.write("base.json", changed.to_string());
}

#[test]
fn a_limit_that_is_edited_is_judged_and_nothing_is_measured() {
    let bench = Bench::new();
    let limit = |bench: &Bench, limit: &str, report: &str| {
        bench.write("p.yaml", pipeline(&format!("[{{ metric: fd_pixels_100, at_most: {limit} }}]")) + report)
    };
    let file = limit(&bench, "1000", "");
    bench.sida(&["run", &file]).exits(0);
    limit(&bench, "0.001", "");
    let said = bench.sida(&["run", &file]).exits(3);
    assert!(said.out.contains("nothing to do: 3 stages were done before"), "{}", said.out);
    assert!(said.out.contains("FAIL scores: fd_pixels_100 is "), "{}", said.out);
    let junit = fs::read_to_string(bench.runs().join("p/junit.xml")).unwrap();
    assert!(junit.contains(r#"failures="1""#) && junit.contains("fd_pixels_100 at most 0.001"), "{junit}");

    // A page says what is expected: it is stale then, and alone is made again.
    limit(&bench, "1000", REPORT);
    bench.sida(&["run", &file]).exits(0);
    let artifact = folder(&bench.runs().join("p"), "scores").join("artifact.json");
    let measured = fs::metadata(&artifact).unwrap().modified().unwrap();
    limit(&bench, "0.001", REPORT);
    let plan = bench.sida(&["plan", &file]).exits(0);
    assert!(plan.out.starts_with("p: 4 stages, 1 to run"), "{}", plan.out);
    assert!(plan.out.contains("its pages show something else"), "{}", plan.out);
    let said = bench.sida(&["run", &file]).exits(3);
    assert!(said.out.contains("1 stage ran, 3 were done before"), "{}", said.out);
    assert!(said.out.contains("FAIL: 0 of 1 expectation met"), "{}", said.out);
    assert_eq!(json(&bench.runs().join("p/report.json"))["verdict"], "fail");
    assert_eq!(fs::metadata(&artifact).unwrap().modified().unwrap(), measured);
    let plan = bench.sida(&["plan", &file]).exits(0);
    assert!(plan.out.starts_with("p: 4 stages, 0 to run"), "{}", plan.out);
}

#[test]
fn a_number_may_be_expected_near_another() {
    let (bench, mean) = recorded();
    let near = |of: f64, tolerance: f64| {
        let expect = format!("[{{ metric: fd_pixels_100, within: {{ of: {of}, tolerance: {tolerance} }} }}]");
        bench.write("p.yaml", pipeline(&expect));
        bench.sida(&["run", "p.yaml"])
    };
    near(mean - 0.25, 0.5).exits(0);
    near(mean + 0.25, 0.5).exits(0);
    near(mean - 0.75, 0.5).exits(3);
    let said = near(mean + 0.75, 0.5).exits(3);
    assert!(said.out.contains("expected within 0.5 of "), "{}", said.out);
}

#[test]
fn a_run_is_compared_with_a_recorded_one() {
    let (bench, mean) = recorded();
    let kept = baseline(&bench);
    let scores = &kept["stages"]["scores"];
    assert_eq!((&kept["format"], &kept["pipeline"]), (&json!(1), &json!("p")));
    assert_eq!(scores["scores"]["fd_pixels_100"]["trials"].as_array().unwrap().len(), 2);
    let stage = json(&folder(&bench.runs().join("p"), "scores").join("stage.json"));
    assert_eq!((&scores["key"], &scores["provenance"]), (&stage["key"], &stage["provenance"]));

    // The same numbers are no worse, and their page is written with the verdict.
    let said = bench.sida(&["run", "p.yaml"]).exits(0);
    assert!(said.out.contains("PASS: 1 of 1 expectation met"), "{}", said.out);
    assert!(said.out.contains("1 stage ran, 3 were done before"), "{}", said.out);
    let said = bench.sida(&["run", "p.yaml"]).exits(0);
    assert!(said.out.contains("nothing to do"), "{}", said.out);
    // Worse than what was recorded, by more than the spread, and by less.
    rewrite(&bench, [mean - 1.0, mean - 1.001]);
    let said = bench.sida(&["run", "p.yaml"]).exits(3);
    assert!(said.out.contains("no worse than the baseline's"), "{}", said.out);
    assert!(said.out.contains("1 stage ran"), "what a baseline says is on the page: {}", said.out);
    rewrite(&bench, [mean - 3.0, mean + 1.0]);
    bench.sida(&["run", "p.yaml"]).exits(0);
    // Better.
    rewrite(&bench, [mean + 5.0, mean + 5.001]);
    let said = bench.sida(&["run", "p.yaml"]).exits(0);
    assert!(said.out.contains("BETTER scores: fd_pixels_100 is "), "{}", said.out);
    assert!(said.out.contains("`sida run p.yaml --record base.json`"), "{}", said.out);
    let result: Value = serde_json::from_str(&bench.sida(&["run", "p.yaml", "--json"]).exits(0).out).unwrap();
    assert_eq!(result["expectations"][0]["compared"]["standing"], "better");
    // A tolerance counts where it is larger than the spread.
    rewrite(&bench, [mean - 1.0, mean - 1.001]);
    let tolerance = ["run", "p.yaml", "--set", "stages.scores.evaluate.expect.0.tolerance=1.5"];
    bench.sida(&tolerance).exits(0);
}

#[test]
fn what_cannot_be_compared_with_is_a_mistake_and_can_be_recorded_anew() {
    let (bench, mean) = recorded();
    let whole = fs::read_to_string(bench.path("base.json")).unwrap();
    let wrong = |contents: String, words: &str| {
        bench.write("base.json", contents);
        let said = bench.sida(&["check", "p.yaml"]).exits(2);
        assert!(said.err.starts_with("p.yaml:23:51: "), "{}", said.err);
        assert!(said.err.contains(words) && said.err.contains("--record base.json"), "{words}: {}", said.err);
        bench.sida(&["run", "p.yaml"]).exits(2);
    };
    wrong(whole[..whole.len() / 2].to_owned(), "is no baseline: the text ends too early");
    wrong("{}".to_owned(), "is no baseline: missing: ");
    wrong("{\"a\":".repeat(100_000), "is no baseline: nested too deeply");
    wrong(format!("{whole}{}", " ".repeat(1 << 20)), "more than the 1048576 bytes");
    wrong(whole.replace("\"format\": 1", "\"format\": 2"), "written by a newer sida");
    wrong(
        whole.replace("\"scores\": {\n      \"key\"", "\"others\": {\n      \"key\""),
        "but those of `others`",
    );
    wrong(whole.replace("fd_pixels_100", "fd_pixels_200"), "holds no `fd_pixels_100` of `scores`");
    wrong(whole.replace(&format!("\"mean\": {mean}"), "\"mean\": 0.5"), "not that of its trials");
    let trials = baseline_trials(&whole);
    wrong(whole.replace(&trials, "\"trials\": [null, 1]"), "not finite");
    wrong(whole.replace(&trials, "\"trials\": []"), "not finite");
    // A run that records makes it right, whatever was wrong.
    bench.sida(&["run", "p.yaml", "--record", "base.json"]).exits(0);
    assert_eq!(baseline(&bench)["stages"], serde_json::from_str::<Value>(&whole).unwrap()["stages"]);
    bench.sida(&["run", "p.yaml"]).exits(0);

    // One trial has no spread: neither here nor there.
    let one = "stages.scores.evaluate.trials=1";
    let said = bench.sida(&["run", "p.yaml", "--set", one]).exits(2);
    assert!(said.err.contains("one trial has no spread"), "{}", said.err);
    let tolerance = "stages.scores.evaluate.expect.0.tolerance=1";
    bench.sida(&["run", "p.yaml", "--set", one, "--set", tolerance, "--record", "base.json"]).exits(0);
    let said = bench.sida(&["run", "p.yaml"]).exits(2);
    assert!(said.err.contains("`base.json` has one trial of `fd_pixels_100`"), "{}", said.err);
    bench.sida(&["run", "p.yaml", "--set", tolerance]).exits(0);
}

fn baseline_trials(text: &str) -> String {
    let start = text.find("\"trials\"").unwrap();
    text[start..=start + text[start..].find(']').unwrap()].to_owned()
}

#[test]
fn a_table_shows_the_scores_of_a_pipeline_whose_baseline_is_gone() {
    let (bench, _) = recorded();
    fs::remove_file(bench.path("base.json")).unwrap();
    bench.write(
        "t.yaml",
        "stages:\n  table:\n    report: { caption: Others, columns: [fd_pixels_100], rows: [{ label: Teacher, scores: \
         { pipeline: p, stage: scores } }] }\n",
    );
    let said = bench.sida(&["run", "t.yaml"]).exits(0);
    assert!(said.out.contains("NO VERDICT: nothing was expected of the numbers"), "{}", said.out);
}

#[test]
fn what_is_recorded_is_what_was_measured_and_all_of_it() {
    let (bench, _) = recorded();
    let refused = |arguments: &[&str], words: &str| {
        bench.sida(&[&["run"], arguments].concat()).exits(2).complains(&[words]);
    };
    refused(&["p.yaml", "--record", "no/such/b.json"], "there is no folder `no/such`");
    refused(&["p.yaml", "--record", "datasets"], "a file is written, and that is none");
    refused(&["p.yaml", "--record", "p.yaml"], "a file of another kind");
    let fresh = ["p.yaml", "--runs", "fresh", "--record", "b.json", "--until", "teacher"];
    refused(&fresh, "all scores are recorded, and `scores` is left out");
    bench.write("none.yaml", TEACHER);
    refused(&["none.yaml", "--record", "b.json"], "`none` measures nothing");
    bench.write("s.yaml", "base: p.yaml\naxes: { seed: { paths: [seed], values: [0, 1] } }\n");
    refused(&["s.yaml", "--record", "b.json"], "`--record` is for pipelines");
    assert!(!bench.path("b.json").exists());

    // A run that misses a limit is recorded, and is missed all the same.
    let strict = "stages.scores.evaluate.expect=[{ metric: fd_pixels_100, at_most: 0.001 }]";
    let said = bench.sida(&["run", "p.yaml", "--set", strict, "--record", "b.json", "--json"]).exits(3);
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["recorded"], "b.json");
    assert_eq!(json(&bench.path("b.json"))["stages"], baseline(&bench)["stages"]);
}

/// Runs the program as GitHub does.
fn on_github(bench: &Bench, arguments: &[&str]) -> Said {
    let mut command = bench.command(arguments);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", bench.path("summary.md"));
    let output = command.env_remove("GITHUB_WORKSPACE").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn github_sees_mistakes_and_misses_at_their_lines_and_a_summary() {
    let (bench, _) = recorded();
    let strict = pipeline("\n        - { metric: fd_pixels_100, at_most: 0.001, source: \"::error::a\" }");
    bench.write("p.yaml", strict.clone() + REPORT);
    let annotation =
        "::error file=p.yaml,line=24,col=11,title=expectation not met::scores: fd_pixels_100 is ";
    let commands = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.trim_start().starts_with("::")).map(str::to_owned).collect()
    };
    let said = on_github(&bench, &["run", "p.yaml"]).exits(3);
    let found = commands(&said.out);
    assert!(found.len() == 1 && found[0].starts_with(annotation), "{found:?}");
    assert!(found[0].ends_with(", expected at most 0.001"), "{found:?}");
    assert!(commands(&said.err).is_empty(), "{}", said.err);
    let summary = fs::read_to_string(bench.path("summary.md")).unwrap();
    assert!(summary.starts_with("### Digits\n\n**FAIL**: 0 of 1 expectation met."), "{summary}");
    assert!(summary.contains("| Teacher | ") && !summary.contains("]("), "{summary}");

    // One object on standard output stays one.
    let said = on_github(&bench, &["run", "p.yaml", "--json"]).exits(3);
    serde_json::from_str::<Value>(&said.out).unwrap();
    assert_eq!(commands(&said.err).len(), 1, "{}", said.err);
    let said = on_github(&bench, &["--log-format", "json", "run", "p.yaml", "--json"]).exits(3);
    serde_json::from_str::<Value>(&said.out).unwrap();
    assert!(said.err.lines().all(|line| line.starts_with('{')), "{}", said.err);
    // Nor does anything of the kind appear elsewhere.
    let said = bench.sida(&["run", "p.yaml"]).exits(3);
    assert!(commands(&said.out).is_empty() && commands(&said.err).is_empty());

    // Where a pipeline has no report, what was measured stands in the summary.
    fs::remove_file(bench.path("summary.md")).unwrap();
    bench.write("p.yaml", &strict);
    on_github(&bench, &["run", "p.yaml"]).exits(3);
    let summary = fs::read_to_string(bench.path("summary.md")).unwrap();
    assert!(summary.starts_with("### p\n\n**FAIL**: ") && summary.contains("| scores | "), "{summary}");

    // A value that was typed stands in no file; one of a derived pipeline in that.
    let looser = "stages.scores.evaluate.expect.0.at_most=0.002";
    let said = on_github(&bench, &["run", "p.yaml", "--set", looser]).exits(3);
    assert!(commands(&said.out)[0].starts_with("::error file=p.yaml,line=24"), "{}", said.out);
    bench.write(
        "d.yaml",
        "base: p.yaml\nset:\n  stages.scores.evaluate.expect:\n    - { metric: fd_pixels_100, at_most: 0.1 }\n",
    );
    let said = on_github(&bench, &["run", "d.yaml"]).exits(3);
    assert!(commands(&said.out)[0].starts_with("::error file=d.yaml,line=4,col=7,"), "{}", said.out);
    let typed = "stages.scores.evaluate.expect=[{ metric: fd_pixels_100, at_most: 0 }]";
    let said = on_github(&bench, &["run", "p.yaml", "--set", typed]).exits(3);
    assert!(commands(&said.out)[0].starts_with("::error title=expectation not met::`--set "), "{}", said.out);
}

#[test]
fn github_is_told_of_mistakes_and_failures_and_nobody_elses_words_are_obeyed() {
    let bench = Bench::new();
    let file = bench.write("a,b.yaml", "stages:\n  x: { \"\\n::error::a\": {} }\n::warning::b: 1\n");
    for verb in ["check", "run"] {
        let said = on_github(&bench, &[verb, &file]).exits(2);
        let lines = said.out.lines().chain(said.err.lines());
        let found: Vec<&str> = lines.filter(|line| line.trim_start().starts_with("::")).collect();
        assert!(found.len() >= 2, "{verb}: {found:?}\n{}", said.err);
        for line in found {
            assert!(line.starts_with("::error file=") && line.contains("a%2Cb.yaml,line="), "{line}");
        }
    }
    let said = on_github(&bench, &["run", "absent.yaml"]).exits(2);
    assert!(said.out.starts_with("::error title=failed::cannot read `absent.yaml`"), "{}", said.out);
    let file = bench.write("p.yaml", pipeline("[]").replace("datasets/digits-8x8.zip", "absent.zip"));
    let said = on_github(&bench, &["run", &file]).exits(2);
    assert!(
        said.out.starts_with("::error file=") && said.out.contains("`absent.zip` is not here"),
        "{}",
        said.out
    );
    let summary = fs::read_to_string(bench.path("summary.md")).unwrap();
    assert!(summary.starts_with("### p\n\n**FAILED**: ") && summary.contains("absent.zip"), "{summary}");
}

#[test]
fn the_miniatures_of_ci_end_as_they_say() {
    let bench = Bench::new();
    let run = |name: &str| bench.sida(&["run", &format!("pipelines/ci/{name}.yaml"), "--device", "cpu"]);
    let said = run("digits").exits(0);
    assert!(said.out.contains("PASS: 3 of 3 expectations met"), "{}", said.out);
    let said = run("broken").exits(3);
    assert!(said.out.contains("1 stage ran, 5 were done before"), "{}", said.out);
    assert!(said.out.contains("FAIL: 2 of 3 expectations met"), "{}", said.out);
}
