//! Every recorded reference case is a named test: `cargo test --release --test conformance`.
//!
//! Cases come from `tests/fixtures/` and from every directory in `SIDA_FIXTURES` (separated by `:`); cases that
//! use a full-size network run with `SIDA_HEAVY=1`; `SIDA_KERNELS=avx2` or `portable` takes another instruction set
//! than the best. `tests/fixtures/README.md` is the specification.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

#[path = "conformance/augment.rs"]
mod augment;
#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/compare.rs"]
mod compare;
#[path = "conformance/dataset.rs"]
mod dataset;
#[path = "conformance/distillation.rs"]
mod distillation;
#[path = "conformance/inception.rs"]
mod inception;
#[path = "conformance/loss.rs"]
mod loss;
#[path = "conformance/manifest.rs"]
mod manifest;
#[path = "conformance/metrics.rs"]
mod metrics;
#[path = "conformance/network.rs"]
mod network;
#[path = "conformance/phema.rs"]
mod phema;
#[path = "conformance/pickle.rs"]
mod pickle;
#[path = "conformance/rng.rs"]
mod rng;
#[path = "conformance/sampler.rs"]
mod sampler;
#[path = "conformance/trajectory.rs"]
mod trajectory;
#[path = "conformance/vae.rs"]
mod vae;

use std::path::{Path, PathBuf};

use case::Case;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    sida::kernels::InstructionSet::force_by_environment();
    let heavy = std::env::var("SIDA_HEAVY").is_ok_and(|v| v == "1");
    let mut trials = Vec::new();
    for root in roots() {
        let dirs = case_dirs(&root);
        assert!(!dirs.is_empty(), "no cases in {}", root.display());
        trials.extend(dirs.into_iter().map(|dir| trial(&root, dir, heavy)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    println!(
        "{} passed, {} failed, {} skipped",
        conclusion.num_passed, conclusion.num_failed, conclusion.num_ignored
    );
    conclusion.exit();
}

/// `tests/fixtures`, then what `SIDA_FIXTURES` lists.
fn roots() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let more = std::env::var("SIDA_FIXTURES").unwrap_or_default();
    std::iter::once(own).chain(more.split(':').filter(|p| !p.is_empty()).map(PathBuf::from)).collect()
}

fn case_dirs(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap_or_else(|e| panic!("cannot read {}: {e}", root.display()));
    let mut dirs: Vec<PathBuf> = entries
        .map(|e| e.expect("a readable entry").path())
        .filter(|p| p.join("case.json").is_file())
        .collect();
    dirs.sort();
    dirs
}

fn trial(root: &Path, dir: PathBuf, heavy: bool) -> Trial {
    let case = Case::open(dir.clone());
    let own = root.ends_with("tests/fixtures");
    let name = dir.file_name().expect("a folder name").to_string_lossy().into_owned();
    let name = if own { name } else { format!("{}/{name}", root.display()) };
    let (kind, is_heavy) = match &case {
        Ok(case) => (case.kind.clone(), case.heavy),
        Err(_) => ("unreadable".to_owned(), false),
    };
    Trial::test(name, move || judge(case?).map_err(Failed::from))
        .with_kind(kind)
        .with_ignored_flag(is_heavy && !heavy)
}

fn judge(mut case: Case) -> Result<(), String> {
    let run = match case.kind.as_str() {
        "augment" => augment::run,
        "dataset" => dataset::run,
        "inception" => inception::run,
        "loss" => loss::run,
        "manifest" => manifest::run,
        "metrics" => metrics::run,
        "network" => network::run,
        "phema" => phema::run,
        "pickle" => pickle::run,
        "rng" => rng::run,
        "sampler" => sampler::run,
        "trajectory" => trajectory::run,
        "vae" => vae::run,
        unknown => return Err(format!("unknown kind `{unknown}`")),
    };
    run(&mut case)?;
    case.finish()
}
