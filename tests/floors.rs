//! Imports go down: a file may use its own folder and lower floors only, and folders of one floor do not know each other.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// From the top floor to the bottom; `src/lib.rs` says the same in words.
const FLOORS: [&[&str]; 9] = [
    &["main", "cli"],
    &["pipeline"],
    &["stages"],
    &["distill", "teach", "report"],
    &["training"],
    &["diffusion", "checkpoint", "metrics"],
    &["nn", "data"],
    &["kernels", "formats", "rng", "ranks"],
    &[
        "error",
        "host_memory",
        "terminal",
        "secret",
        "location",
        "stage_name",
        "pipeline_name",
        "seed",
        "kimg",
        "state_dict",
        "suggestion",
        "process",
        "peak_memory",
        "stop",
    ],
];

#[test]
fn imports_go_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut upward = Vec::new();
    for file in rust_files(&source) {
        let own = room(file.strip_prefix(&source).unwrap());
        if own == "lib" {
            continue;
        }
        let floor = floor_of(&own).unwrap_or_else(|| panic!("`{own}` is on no floor: add it to the list"));
        let text = fs::read_to_string(&file).unwrap();
        for target in imported(&text) {
            // `Error`, `Result` and the like are re-exported by the crate's root.
            let Some(below) = floor_of(&target) else { continue };
            if target != own && below <= floor && floor != FLOORS.len() - 1 {
                upward.push(format!("{}: `{own}` uses `crate::{target}`", file.display()));
            }
        }
    }
    assert!(upward.is_empty(), "imports go down only:\n{}", upward.join("\n"));
}

/// The folder below `src/`, or the file's own name.
fn room(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

/// What stands after `crate::`, in paths and in `use crate::{a, b::c}`.
fn imported(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (start, _) in text.match_indices("crate::") {
        let rest = &text[start + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            rooms.push(word);
        } else {
            rooms.push(rest.to_owned());
        }
    }
    let name = |room: String| -> String {
        room.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    rooms.into_iter().map(name).filter(|name| !name.is_empty()).collect()
}

/// All but those of a crate within the crate: it cannot import what is above it.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
