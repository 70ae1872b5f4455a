//! What makes releases and images: the workflow's syntax and rights, and the files that the Dockerfile names.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::Path};

use serde_json::{Value, json};

const WORKFLOW: &str = ".github/workflows/release.yml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn the_release_workflow_is_one_of_githubs_and_may_do_no_more_than_it_has_to() {
    let workflow: Value = serde_saphyr::from_str(&read(WORKFLOW)).unwrap();
    let schema: Value = serde_json::from_str(&read("tests/spread/schemas/github-workflow.json")).unwrap();
    let judge = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = judge.iter_errors(&workflow).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");

    assert_eq!(workflow["on"], json!({ "push": { "tags": ["v*"] } }));
    assert_eq!(workflow["permissions"], json!({}), "nothing but what a job says");
    let jobs = workflow["jobs"].as_object().unwrap();
    for (name, job) in jobs {
        let rights = if name == "release" { "write" } else { "read" };
        assert_eq!(job["permissions"], json!({ "contents": rights }), "{name}");
        assert!(job["timeout-minutes"].is_u64(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            let Some(action) = step["uses"].as_str() else { continue };
            let (name, commit) = action.split_once('@').unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(name.starts_with("actions/") && is_commit, "{action}");
        }
        // What a tag is called is text, and never a part of a script.
        for script in job["steps"].as_array().unwrap().iter().filter_map(|step| step["run"].as_str()) {
            assert!(!script.contains("${{"), "{script}");
        }
    }
    let targets = workflow.pointer("/jobs/build/strategy/matrix/include").unwrap().as_array().unwrap();
    let mut targets: Vec<&str> = targets.iter().map(|one| one["target"].as_str().unwrap()).collect();
    targets.sort_unstable();
    assert_eq!(
        targets,
        [
            "aarch64-apple-darwin",
            "aarch64-unknown-linux-gnu",
            "x86_64-apple-darwin",
            "x86_64-pc-windows-msvc",
            "x86_64-unknown-linux-gnu"
        ]
    );
    let page = read("docs/releases.md");
    targets.iter().for_each(|target| {
        assert!(page.contains(target), "docs/releases.md does not say what ran of {target}");
    });
}

#[test]
fn the_image_runs_as_nobody_and_is_made_of_what_is_there() {
    let text = read("Dockerfile");
    let stages = text.split("\nFROM ").skip(1);
    let made: Vec<&str> =
        stages.clone().filter_map(|stage| stage.lines().next()?.split(" AS ").nth(1)).collect();
    assert_eq!(made, ["build", "cuda", "cpu"], "the last one is the default");
    for stage in stages.skip(1) {
        let user = stage.lines().filter_map(|line| line.strip_prefix("USER ")).next_back();
        assert_eq!(user, Some("10001"), "{stage}");
        assert!(
            stage.contains("VOLUME [\"/runs\", \"/cache\"]")
                && stage.contains("SIDA_RUNS=/runs SIDA_CACHE=/cache")
        );
    }
    let rust = format!("ARG RUST={}", toml_value("rust-version"));
    assert!(text.contains(&rust), "{rust}");

    // Cargo needs every member, every target and every patch that its manifest names.
    let kept = read(".dockerignore");
    let kept: Vec<&str> = kept.lines().filter_map(|line| line.strip_prefix("!")).collect();
    for path in kept.iter().filter(|path| !path.contains('*')) {
        assert!(root().join(path).exists(), "{path}");
    }
    for needed in
        ["Cargo.toml", "Cargo.lock", "src", "benches", "tests/*.rs", "vendor", "schemas", "pipelines"]
    {
        assert!(kept.contains(&needed), "{needed}");
    }
}

/// A value of the workspace, as `Cargo.toml` writes it.
fn toml_value(key: &str) -> String {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}
