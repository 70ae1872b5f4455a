//! What the program says, to people and to programs: the log, results as JSON, exit codes of wrong paths.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::fs;

use program::{Bench, SCORES, Said, TEACHER, folder};
use serde_json::{Value, json};

/// The lines of standard error, each of which is a JSON object.
#[track_caller]
fn objects(said: &Said) -> Vec<Value> {
    let object = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(object["timestamp"].is_string() && object["level"].is_string(), "{line}");
        object
    };
    said.err.lines().map(object).collect()
}

/// Standard output, which is one JSON object.
#[track_caller]
fn result(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", said.out, said.err))
}

#[test]
fn the_log_is_objects_and_nothing_else_where_that_is_asked_for() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", format!("{TEACHER}{SCORES}"));
    let said = bench.sida(&["--log-format", "json", "run", &file, "--device", "cpu"]).exits(0);
    let log = objects(&said);
    let of_teacher =
        |what: &str| log.iter().find(|line| line["stage"] == "teacher" && line.get(what).is_some()).unwrap();
    let progress = of_teacher("position");
    assert_eq!(of_teacher("reason")["state"], "runs");
    assert!(of_teacher("seconds")["seconds"].as_f64().unwrap() > 0.0);
    for field in ["position", "total", "kimg"] {
        assert!(progress[field].as_f64().unwrap() > 0.0, "{field} {progress}");
    }
    assert!(progress.get("rate").is_some() && progress.get("eta_seconds").is_some(), "{progress}");
    assert!(progress["losses"]["loss"].as_f64().unwrap() > 0.0, "{progress}");
    assert!(
        log.iter().any(|line| line["message"].as_str().is_some_and(|m| m.starts_with("teacher: finished")))
    );

    let wrong = bench.write("wrong.yaml", "stages:\n  A: {}\n  b:\n    nope: {}\n");
    let said = bench.sida(&["--log-format=json", "run", &wrong]).exits(2);
    let mistakes = objects(&said);
    let places: Vec<_> = mistakes.iter().map(|mistake| (&mistake["line"], &mistake["column"])).collect();
    assert_eq!(places, [(&json!(2), &json!(3)), (&json!(2), &json!(6)), (&json!(4), &json!(5))]);
    assert_eq!((&mistakes[2]["file"], &mistakes[2]["path"]), (&json!(wrong), &json!("stages.b.nope")));
    assert!(mistakes.iter().all(|mistake| mistake["level"] == "ERROR" && mistake["message"].is_string()));

    for (arguments, words) in [
        (&["run", "absent.yaml"][..], "cannot read `absent.yaml`"),
        (&["run", &file, "--nope"], "unexpected argument '--nope'"),
        (&["inspect", "absent.pkl"], "there is no such file"),
    ] {
        let said = bench.sida(&[&["--log-format", "json"], arguments].concat()).exits(2);
        let error = &objects(&said)[0];
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!((&error["level"], &error["exit_code"]), (&json!("ERROR"), &json!(2)));
    }
}

#[test]
fn lines_of_progress_come_from_the_start_where_nothing_can_be_redrawn() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", TEACHER);
    let said = bench.sida(&["run", &file, "--device", "cpu"]).exits(0);
    assert!(said.err.contains("  teacher: 32 of 300 images, 10 %, loss "), "{}", said.err);
    assert!(!said.err.contains('\r') && !said.err.contains('\u{1b}'), "{:?}", said.err);
}

#[test]
fn quiet_says_results_and_errors_and_verbose_says_more() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", format!("{TEACHER}{SCORES}"));
    let quiet = bench.sida(&["-q", "run", &file, "--device", "cpu", "--until", "teacher"]).exits(0);
    assert_eq!(quiet.err, "");
    assert!(quiet.out.contains("2 stages ran"), "{}", quiet.out);
    bench.sida(&["run", "absent.yaml", "--quiet"]).exits(2).complains(&["absent.yaml"]);

    let only = bench.sida(&["run", &file, "--device", "cpu", "--only", "scores"]).exits(0);
    assert!(
        only.err.starts_with("`--only scores` leaves out 3 stages: `digits`, `teacher`, `table`\n"),
        "{}",
        only.err
    );
    assert!(!only.err.contains("table: left out"), "{}", only.err);
    let until = ["run", &file, "--device", "cpu", "--until", "teacher"];
    let verbose = bench.sida(&[&["-v"], &until[..]].concat()).exits(0);
    assert!(
        verbose.err.contains("`--until teacher` leaves out 2 stages: `scores`, `table`"),
        "{}",
        verbose.err
    );
    assert!(verbose.err.contains("table: left out"), "{}", verbose.err);
    bench.sida(&["-q", "-v", "doctor"]).exits(2);
}

#[test]
fn every_result_can_be_had_as_json() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", format!("{TEACHER}{SCORES}"));
    let run = result(&bench.sida(&["run", &file, "--device", "cpu", "--json"]).exits(0));
    assert_eq!(run["ran"], json!(["digits", "teacher", "scores", "table"]));
    assert!(run["scores"]["scores"]["fd_pixels_100"]["mean"].as_f64().unwrap() > 0.0, "{run}");
    assert_eq!(
        (&run["expectations"][0]["stage"], &run["expectations"][0]["pass"]),
        (&json!("scores"), &json!(true))
    );

    let runs = bench.runs().join("p");
    let place = runs.display().to_string();
    let compared = result(&bench.sida(&["compare", &place, &place, "--json"]).exits(0));
    assert_eq!(compared["settings"], json!({}));
    assert_eq!(compared["scores"]["scores.fd_pixels_100"]["difference"], 0.0);

    let teacher = folder(&runs, "teacher").display().to_string();
    let out = bench.path("out.safetensors").display().to_string();
    let exported = result(&bench.sida(&["export", &teacher, &out, "--json"]).exits(0));
    let inspected = result(&bench.sida(&["inspect", &out, "--json"]).exits(0));
    assert_eq!(inspected["kind"], "safetensors");
    assert_eq!(Some(inspected["tensors"].as_array().unwrap().len() as u64), exported["tensors"].as_u64());
    let stage = result(&bench.sida(&["inspect", &teacher, "--json"]).exits(0));
    assert_eq!(stage["weights"]["tensors"], inspected["tensors"]);
    let digits = result(&bench.sida(&["inspect", "datasets/digits-8x8.zip", "--json"]).exits(0));
    assert_eq!((&digits["samples"], &digits["shape"]), (&json!(1797), &json!([1, 8, 8])));
    assert_eq!(digits["samples_by_class"].as_array().unwrap().len(), 10);

    let schemas = bench.path("schemas").display().to_string();
    let written = result(&bench.sida(&["schema", "--out", &schemas, "--json"]).exits(0));
    assert_eq!(written["files"].as_array().unwrap().len(), 3);
}

#[test]
fn a_file_that_cannot_be_read_keeps_no_other_from_being_checked() {
    let bench = Bench::new();
    let wrong = bench.write("wrong.yaml", "stages:\n  b:\n    nope: {}\n");
    let binary = bench.write("binary.yaml", [0xff, 0xfe]);
    let files = ["absent.yaml", &binary, &wrong, "pipelines/quickstart.yaml"];
    let said = bench.sida(&[&["check", "--json"], &files[..]].concat()).exits(2);
    let report = result(&said);
    let ok: Vec<bool> = report["files"].as_array().unwrap().iter().map(|file| file["ok"] == true).collect();
    assert_eq!(ok, [false, false, false, true]);
    let error = |file: usize| report["files"][file]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error(0).contains("No such file") && error(1).contains("not UTF-8"), "{report}");
    assert_eq!((error(2).as_str(), &report["files"][2]["mistakes"][0]["line"]), ("", &json!(3)));

    let said = bench.sida(&[&["check"], &files[..]].concat()).exits(2);
    assert_eq!(said.out, "pipelines/quickstart.yaml: ok\n");
    assert!(
        said.err.contains("error: cannot read `absent.yaml`") && said.err.contains("unknown key `nope`"),
        "{}",
        said.err
    );
}

#[test]
fn a_wrong_path_is_a_wrong_command() {
    let bench = Bench::new();
    let empty = bench.path("empty").display().to_string();
    fs::create_dir(&empty).unwrap();
    let nowhere = bench.path("no/where.safetensors").display().to_string();
    let reference = "tests/fixtures";
    for (arguments, words) in [
        (&["compare", "absent", "absent"][..], "name a pipeline's folder"),
        (&["compare", &empty, &empty], "name a pipeline's folder"),
        (&["compare", "README.md", "README.md"], "name a pipeline's folder"),
        (&["inspect", "absent.pkl"], "there is no such file or folder"),
        (&["export", "absent.pkl", "out.safetensors"], "there is no such file or folder"),
        (&["export", "absent", "out.safetensors"], "there is no such file or folder"),
        (&["export", &empty, "out.safetensors"], "it has no `artifact.json`"),
        (&["export", reference, &nowhere], "there is no folder"),
    ] {
        bench.sida(arguments).exits(2).complains(&[words]);
    }
}

#[test]
fn doctor_shows_folders_and_variables_and_no_secret() {
    let bench = Bench::new();
    let doctor = |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command
            .env("SIDA_TOKEN", "hunter2")
            .env("SIDA_INCEPTION", "https://me:hunter2@host/i.pkl?token=hunter3");
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }.exits(0)
    };
    let said = doctor(&["doctor", "--device", "cpu"]);
    let (runs, cache) = (bench.runs().display().to_string(), bench.path("cache").display().to_string());
    for words in
        [&runs, &cache, " free", "SIDA_TOKEN=***", "SIDA_INCEPTION=https://***:***@host/i.pkl?token=***"]
    {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let found = doctor(&["doctor", "--device", "cpu", "--json"]);
    assert!(!format!("{}{}{}{}", said.out, said.err, found.out, found.err).contains("hunter"));
    let found = result(&found);
    assert_eq!(
        (&found["well"], &found["runs"]["folder"], &found["cache"]["folder"]),
        (&json!(true), &json!(runs), &json!(cache))
    );
    assert!(found["runs"]["free_bytes"].as_u64().unwrap() > 0, "{found}");
    assert_eq!(found["variables"]["SIDA_RUNS"], json!(runs));
    assert!(found["self_test"]["largest_error"].as_f64().unwrap() < 5e-3, "{found}");
}
