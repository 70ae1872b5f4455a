//! What can be typed.

use std::{path::PathBuf, sync::LazyLock};

use clap::{Parser, Subcommand};

use super::{
    complete, complete::Shell, log::LogArgs, places::PlaceArgs, points::PointArgs, prepare::PrepareArgs,
    spread::Format,
};
use crate::BURN_VERSION;

/// Turns pretrained EDM and EDM2 diffusion models into one-step generators with SiD, SiDA and SiD2A, from YAML pipelines.
///
/// Results go to standard output, progress and logs to standard error. Exit codes: 0 done, 1 failed while running, 2 the
/// file or the command is wrong, 3 an expectation was not met, 4 training diverged, 130 interrupted (state saved).
#[derive(Debug, Parser)]
#[command(name = "sida", version = version(), max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Find every mistake in pipeline and sweep files.
    Check {
        /// Pipeline or sweep files.
        #[arg(required = true, add = complete::pipelines())]
        files: Vec<PathBuf>,
        /// Name the files that are not in the cache, too.
        #[arg(long)]
        offline: bool,
        /// Print the mistakes as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Bring what pipelines and sweeps read from addresses into the cache, their sizes first.
    Fetch {
        /// Pipeline or sweep files.
        #[arg(required = true, add = complete::pipelines())]
        files: Vec<PathBuf>,
        #[command(flatten)]
        places: PlaceArgs,
        /// Print what came as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make the datasets that recipes name, where these look for them, or list them.
    Prepare(PrepareArgs),
    /// Show stages in order, what is done, and what would run and why.
    Plan {
        /// A pipeline or a sweep.
        #[arg(add = complete::pipelines())]
        file: PathBuf,
        #[command(flatten)]
        places: PlaceArgs,
        /// Tell the time on this device: `cpu`, `cuda:N`, `wgpu:N` or `auto`. Default: the one that was measured last; no device is
        /// looked for then.
        #[arg(long)]
        device: Option<String>,
        /// Measure how fast the device (default: `auto`) does what has to run: some seconds for each network. The cache keeps it.
        #[arg(long)]
        measure: bool,
        /// Print the plan as JSON.
        #[arg(long)]
        json: bool,
        /// Print all values instead, as one file without a base that `sida run` takes.
        #[arg(long, conflicts_with_all = ["json", "measure", "device"])]
        resolved: bool,
        /// Print a sweep as a file for what starts its points, on one machine or on many.
        #[arg(long, value_name = "FORMAT", conflicts_with_all = ["json", "resolved", "measure", "device"])]
        format: Option<Format>,
    },
    /// Run a pipeline or a sweep; stages that are done are skipped.
    Run {
        /// A pipeline or a sweep.
        #[arg(add = complete::pipelines())]
        file: PathBuf,
        #[command(flatten)]
        places: PlaceArgs,
        /// `auto` (a GPU if there is one), `cpu`, `cuda:N`, or `wgpu:N`.
        #[arg(long, default_value = "auto", add = complete::devices())]
        device: String,
        /// Start so many processes of this machine that work together, each with a GPU or a share of the processors. Those
        /// that `torchrun`, `srun` or `mpirun` started find each other without it.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
        ranks: Option<u32>,
        /// Run this stage alone; what it reads has to be done.
        #[arg(long, value_name = "STAGE", add = complete::stages())]
        only: Option<String>,
        /// Run this stage and what it reads.
        #[arg(long, value_name = "STAGE", add = complete::stages())]
        until: Option<String>,
        /// Run this stage again though it is done, and what reads it. Can be repeated.
        #[arg(long, value_name = "STAGE", add = complete::stages())]
        force: Vec<String>,
        /// Of a sweep, run every stage, and not only those that its table needs.
        #[arg(long, conflicts_with = "until")]
        all: bool,
        #[command(flatten)]
        points: PointArgs,
        /// Write the scores to this file, which `baseline:` of an expectation can name from then on.
        #[arg(long, value_name = "FILE", add = complete::files())]
        record: Option<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show metrics, settings, images and curves of two runs side by side.
    Compare {
        /// A pipeline's folder such as `runs/quickstart`, a point of a sweep, a stage's folder, or a `report.json`.
        #[arg(value_name = "A", add = complete::files())]
        left: PathBuf,
        /// Another one.
        #[arg(value_name = "B", add = complete::files())]
        right: PathBuf,
        /// Write it as a page, too, with pictures and curves.
        #[arg(long, value_name = "FILE", add = complete::files())]
        html: Option<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a network pickle, .pt, .safetensors, or dataset holds; runs no code from it.
    Inspect {
        /// The file or folder.
        #[arg(add = complete::files())]
        file: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write weights under the reference's own names, with the settings as metadata.
    Export {
        /// A stage's folder of a run, or a file with weights.
        #[arg(add = complete::files())]
        from: PathBuf,
        /// The `.safetensors` file to write.
        #[arg(add = complete::files())]
        to: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read every finished file and checkpoint again, and say what is damaged; `run` makes that again.
    Verify {
        /// A folder of runs, a pipeline's folder in it such as `runs/quickstart`, or a stage's.
        #[arg(add = complete::files())]
        folder: PathBuf,
        /// Print what was found as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the stages in the store that no pipeline's folder refers to.
    Gc {
        /// Folder of runs. Default: `$SIDA_RUNS`, else `runs`.
        #[arg(long, value_name = "DIR", add = complete::files())]
        runs: Option<PathBuf>,
        /// Remove them.
        #[arg(long)]
        delete: bool,
        /// Print the list as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the JSON schemas of pipelines, derived pipelines and sweeps.
    Schema {
        /// Folder to write to.
        #[arg(long, default_value = "schemas", add = complete::files())]
        out: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the script that tells a shell what to offer, stages of the file at hand included.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page of the program or of a verb, or write all pages to a folder.
    Man {
        /// A verb, such as `run`.
        verb: Option<String>,
        /// Folder for `sida.1`, `sida-run.1` and the others.
        #[arg(long, value_name = "DIR", conflicts_with = "verb", add = complete::files())]
        out: Option<PathBuf>,
    },
    /// Show devices, versions, memory, folders and variables, and test the device for a second.
    Doctor {
        /// `auto`, `cpu`, `cuda:N`, or `wgpu:N`.
        #[arg(long, default_value = "auto", add = complete::devices())]
        device: String,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Verb {
    /// Whether several processes may do it together.
    pub(super) fn is_run(&self) -> bool {
        matches!(self, Self::Run { .. })
    }

    /// Whether the result is asked for as JSON.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Prepare(args) => args.json,
            Self::Check { json, .. }
            | Self::Fetch { json, .. }
            | Self::Plan { json, .. }
            | Self::Run { json, .. }
            | Self::Compare { json, .. }
            | Self::Inspect { json, .. }
            | Self::Export { json, .. }
            | Self::Verify { json, .. }
            | Self::Gc { json, .. }
            | Self::Schema { json, .. }
            | Self::Doctor { json, .. } => *json,
            Self::Completions { .. } | Self::Man { .. } => false,
        }
    }
}

fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let built = [
            ("cpu", true),
            ("cuda", cfg!(feature = "cuda")),
            ("wgpu", cfg!(feature = "wgpu")),
            ("autotune", cfg!(feature = "autotune")),
        ];
        let features: Vec<&str> =
            built.into_iter().filter(|(_, built)| *built).map(|(name, _)| name).collect();
        let features = features.join(", ");
        format!("{} (Burn {BURN_VERSION}, features: {features})", env!("CARGO_PKG_VERSION"))
    });
    &VERSION
}
