//! A new operation cannot be forgotten here.

use std::{fs, path::Path};

use libtest_mimic::Failed;

/// What is tried without being called by its name, or elsewhere, or is no operation on tensors.
const NOT_CALLED: [(&str, &[&str]); 7] = [
    ("by `host`", &["read"]),
    ("by `a student learns`", &["adam", "lerp", "gather", "add_gathered", "clean", "view"]),
    ("by `noise levels`", &["exponential", "power"]),
    ("by `augmentation`", &["poses", "warp"]),
    ("Burn's own on a GPU", &["advance", "advance_between", "cast", "slope"]),
    ("by `tests/cuda/collective.rs`", &["all_reduce", "join", "meet_at", "nccl"]),
    ("no operation", &["asked_threads", "threads", "wide", "with_threads", "memory", "keep_choices"]),
];

/// Every function that `src/kernels/mod.rs` hands out is called in these tests, but for those.
pub(crate) fn every_operation() -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = fs::read_to_string(root.join("tests/gpu.rs"))?;
    for entry in fs::read_dir(root.join("tests/gpu"))? {
        tests += &fs::read_to_string(entry?.path())?;
    }
    let kernels = fs::read_to_string(root.join("src/kernels/mod.rs"))?;
    let functions = functions(&kernels);
    let called = |name: &str| {
        let call = format!("kernels::{name}");
        tests
            .split(&call)
            .skip(1)
            .any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    };
    let not_called = || NOT_CALLED.iter().flat_map(|(_, names)| *names);
    let forgotten: Vec<_> =
        functions.iter().filter(|name| !called(name) && !not_called().any(|known| known == *name)).collect();
    let idle: Vec<_> = not_called().filter(|name| called(name) || !functions.contains(*name)).collect();
    if !forgotten.is_empty() || !idle.is_empty() || functions.len() < 40 {
        return Err(format!(
            "of {} functions {forgotten:?} are not compared; exceptions to remove: {idle:?}",
            functions.len()
        )
        .into());
    }
    Ok(())
}

/// The functions among what a module hands out: their names are in small letters.
fn functions(module: &str) -> Vec<&str> {
    let exports = module.split("pub use ").skip(1).filter_map(|rest| rest.split_once(';'));
    let names = exports.flat_map(|(path, _)| {
        let (_, names) = path.split_once("::").unwrap_or(("", path));
        names.trim_matches(['{', '}']).split(',').map(str::trim)
    });
    names.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())).collect()
}
