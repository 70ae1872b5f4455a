//! One wrong file per kind of mistake in `tests/mistakes/`, with the expected words beside it, through the real binary.
//! `UPDATE_MISTAKES=1` rewrites them; read the difference before it is committed.

use std::{env, fs, path::Path, process::Command};

#[test]
fn every_wrong_file_gets_its_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(root.join("tests/mistakes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() > 40, "the files are there");
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(root).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_sida"))
            .current_dir(root)
            .arg("check")
            .arg(relative)
            .env_remove("SIDA_NO_SUCH_VARIABLE")
            .env_remove("GITHUB_ACTIONS")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{} has to be refused", relative.display());
        assert!(output.stdout.is_empty(), "mistakes belong on standard error");
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = file.with_extension("stderr");
        if env::var_os("UPDATE_MISTAKES").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", relative.display()));
        }
    }
    assert!(wrong.is_empty(), "other words than expected:\n{}", wrong.join("\n"));
}

#[test]
fn mistakes_for_machines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_sida"))
        .current_dir(root)
        .args(["check", "--json", "tests/mistakes/several.yaml", "pipelines/quickstart.yaml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let file = &report["files"][0];
    assert_eq!(file["mistakes"].as_array().unwrap().len(), 3);
    assert_eq!(file["mistakes"][1]["line"], 13);
    assert_eq!(file["mistakes"][1]["path"], "stages.sid.distill.teacher");
    assert_eq!(report["files"][1]["ok"], true);
}
