//! The files that a run leaves for people and for CI are those of that run, whatever ran before and however it ended.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

mod program;

use std::{collections::BTreeMap, fs, path::Path};

use program::{Bench, SCORES, TEACHER, json, signal, wait, works_in};

/// Digits, a teacher that has hardly begun, its scores, and two reports.
fn pipeline() -> String {
    let other = "  other:\n    report: { caption: The second table, columns: [fd_pixels_100], \
                 rows: [{ label: Teacher, scores: { stage: scores } }] }\n";
    format!("{TEACHER}{SCORES}{other}")
}

const STRICT: &str = "stages.scores.evaluate.expect=[{ metric: fd_pixels_100, at_most: 0.001 }]";

/// All files of reports, without the line that says when they were written.
fn shown(dir: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(dir).unwrap().flatten().filter(|entry| entry.path().is_file());
    let read = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter(|line| !line.contains(" UTC")).collect::<Vec<_>>().join("\n")
    };
    let named = files.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path())));
    named.filter(|(name, _)| name.starts_with("report") || name == "junit.xml").collect()
}

#[test]
fn base_variant_base_leaves_the_files_of_the_base() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    let dir = bench.runs().join("p");
    let said = bench.sida(&["run", &file]).exits(0);
    assert!(said.out.contains("p/report.html") && said.out.contains("p/report-other.html"), "{}", said.out);
    let base = shown(&dir);
    let names: Vec<&str> = base.keys().map(String::as_str).collect();
    let endings = ["csv", "html", "json", "md", "tex"];
    let wanted = ["report-other", "report"].iter().flat_map(|name| endings.map(|e| format!("{name}.{e}")));
    assert_eq!(names, ["junit.xml".to_owned()].into_iter().chain(wanted).collect::<Vec<_>>());
    assert!(base["report.html"].contains("Digits") && base["report-other.md"].contains("The second table"));
    assert!(
        base["junit.xml"].contains(r#"tests="1" skipped="0" failures="0" errors="0""#),
        "{}",
        base["junit.xml"]
    );

    bench.sida(&["run", &file, "--set", STRICT]).exits(3);
    let variant = shown(&dir);
    assert!(variant["junit.xml"].contains(r#"failures="1""#));
    assert_eq!(json(&dir.join("report-other.json"))["verdict"], "fail");

    let said = bench.sida(&["run", &file]).exits(0);
    assert!(said.out.contains("2 stages ran, 3 were done before"), "{}", said.out);
    assert_eq!(shown(&dir), base);
    // A page that somebody deleted comes back, and costs nothing; one that somebody wrote in, too.
    fs::remove_file(dir.join("report.json")).unwrap();
    let said = bench.sida(&["run", &file]).exits(0);
    assert!(said.out.contains("1 stage ran, 4 were done before"), "{}", said.out);
    assert_eq!(shown(&dir), base);
    fs::write(dir.join("report.html"), "other").unwrap();
    let said = bench.sida(&["run", &file]).exits(0);
    assert!(said.out.contains("nothing to do: 5 stages were done before"), "{}", said.out);
    assert_eq!(shown(&dir), base);
}

/// What it cost is known of every stage, and what the page links to is there.
#[test]
fn a_page_knows_what_stages_cost_and_leads_to_their_folders() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    bench.sida(&["run", &file]).exits(0);
    let dir = bench.runs().join("p");
    let report = json(&dir.join("report.json"));
    let stages = report["provenance"]["stages"].as_array().unwrap();
    for stage in stages {
        let is_training = stage["verb"] == "train_teacher";
        assert_eq!(
            stage["images_per_second"].as_f64().is_some_and(|rate| rate > 0.0),
            is_training,
            "{stage}"
        );
        if cfg!(target_os = "linux") {
            assert!(stage["peak_memory_mib"].as_f64().is_some_and(|mib| mib > 1.0), "{stage}");
        }
    }
    let page = fs::read_to_string(dir.join("report.html")).unwrap();
    assert!(page.contains(" images/s<"));
    let links = page.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let beside: Vec<&str> = links.filter(|link| !link.starts_with('#')).collect();
    assert!(beside.len() > stages.len(), "{beside:?}");
    for link in beside {
        assert!(dir.join(link).exists(), "{link}");
    }
}

/// What is compared are the runs that the reports are about, whatever lies beside them and is newer.
#[test]
fn compare_looks_at_what_the_report_is_about() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    let other = bench.path("other").display().to_string();
    let [seed, rate] = ["seed=7", "stages.teacher.train_teacher.lr=0.01"];
    bench.sida(&["run", &file]).exits(0);
    bench.sida(&["run", &file, "--set", seed, "--set", rate]).exits(0);
    bench.sida(&["run", &file]).exits(0);
    bench.sida(&["run", &file, "--runs", &other]).exits(0);
    let [left, right] = [bench.runs().join("p"), bench.path("other/p")].map(|dir| dir.display().to_string());
    let said = bench.sida(&["compare", &left, &right]).exits(0);
    assert!(said.out.contains("all settings are the same"), "{}", said.out);
    assert!(said.out.contains("digits/reals.png: the same images"), "{}", said.out);
    bench.sida(&["run", &file, "--runs", &other, "--set", seed, "--set", rate]).exits(0);
    let said = bench.sida(&["compare", &left, &right]).exits(0);
    assert!(said.out.contains("seed: 0 -> 7"), "{}", said.out);
    assert!(said.out.contains("teacher.train_teacher.lr: 0.001 -> 0.01"), "{}", said.out);
    assert!(said.out.contains("scores.fd_pixels_100"), "{}", said.out);
}

#[test]
fn a_run_that_fails_or_is_killed_leaves_no_other_runs_verdict() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    let dir = bench.runs().join("p");
    bench.sida(&["run", &file]).exits(0);
    let says = |parts: &[&str]| {
        let junit = fs::read_to_string(dir.join("junit.xml")).unwrap();
        parts.iter().for_each(|part| assert!(junit.contains(part), "`{part}` is not in\n{junit}"));
    };
    // A stage fails: which one and why, and no page of the run before.
    let broken = bench.write("broken.zip", "no zip");
    let path = |path: &str| format!("stages.digits.prepare_dataset.source.edm.path={path}");
    bench.sida(&["run", &file, "--set", &path(&broken)]).exits(1);
    says(&[r#"errors="1""#, r#"name="digits ends""#, "broken.zip"]);
    assert!(!dir.join("report.html").exists() && !dir.join("report-other.json").exists());
    // What is not here stops it before it begins, and is said in the place of the verdict.
    bench.sida(&["run", &file, "--set", &path("absent.zip")]).exits(2);
    says(&[r#"errors="1""#, "absent.zip"]);
    // Nothing is wrong with the base; its files are back.
    bench.sida(&["run", &file]).exits(0);
    says(&[r#"failures="0" errors="0""#]);
    // The file is wrong.
    bench.sida(&["run", &file, "--set", "stages.teacher.train_teacher.lr=fast"]).exits(2);
    says(&[r#"errors="1""#, "lr"]);
    // The command is wrong: a device that is not there, a stage that does not exist.
    bench.sida(&["run", &file, "--device", "cuda:99"]).exits(2);
    says(&[r#"errors="1""#, "cuda:99"]);
    bench.sida(&["run", &file, "--only", "scoers"]).exits(2);
    says(&[r#"errors="1""#, "scoers"]);
    // It is killed.
    let long = ["run", &file, "--set", "stages.teacher.train_teacher.duration_kimg=1000"];
    let mut child = bench.start(&long);
    let trains = |child: &std::process::Child| {
        works_in(child, &bench.runs())
            && fs::read_to_string(dir.join("junit.xml")).is_ok_and(|text| text.contains("come to its end"))
    };
    assert!(wait(&mut child, trains));
    signal(&child, "KILL");
    child.wait().unwrap();
    says(&[r#"errors="1""#, "has not come to its end"]);
}

#[test]
fn a_sweep_over_a_pipeline_with_a_report_ends_with_a_page_per_point() {
    let bench = Bench::new();
    bench.write("p.yaml", pipeline());
    let sweep = bench.write(
        "s.yaml",
        "base: p.yaml\naxes:\n  seed: { paths: [seed], values: [0, 1] }\n\
         table: { rows: seed, cell: { stage: scores, metric: fd_pixels_100 } }\n",
    );
    let said = bench.sida(&["run", &sweep]).exits(0);
    assert!(said.out.contains("fd_pixels_100"), "{}", said.out);
    let dir = bench.runs().join("s");
    for point in ["seed=0", "seed=1"] {
        let report = fs::read_to_string(dir.join("points").join(point).join("report.md")).unwrap();
        assert!(report.contains("Digits"), "{report}");
        let links: Vec<&str> = report.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(!links.is_empty());
        for link in links {
            assert!(dir.join("points").join(point).join(link).exists(), "{link}");
        }
        assert!(dir.join("points").join(point).join("junit.xml").is_file());
    }
    let junit = fs::read_to_string(dir.join("junit.xml")).unwrap();
    assert!(
        junit.contains(r#"tests="2" skipped="0" failures="0" errors="0""#) && junit.contains("seed=1 scores"),
        "{junit}"
    );
}

#[test]
fn a_table_without_measurements_says_so() {
    let bench = Bench::new();
    let file = bench.write(
        "t.yaml",
        "stages:\n  table:\n    report:\n      caption: Published\n      columns: [nfe, fid50k_full]\n      rows:\n\
         \x20       - { label: Teacher, published: { nfe: 35, fid50k_full: 1.97 } }\n",
    );
    let said = bench.sida(&["run", &file]).exits(0);
    assert!(
        said.out.contains("NO VERDICT: nothing was measured") && !said.out.contains("PASS"),
        "{}",
        said.out
    );
    assert!(said.out.contains("35 (published)"), "{}", said.out);
    assert_eq!(json(&bench.runs().join("t/report.json"))["verdict"], "none");
    let junit = fs::read_to_string(bench.runs().join("t/junit.xml")).unwrap();
    assert!(junit.contains(r#"tests="0""#) && !junit.contains("\"-"), "{junit}");
}
