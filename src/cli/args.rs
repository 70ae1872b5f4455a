//! What can be typed, and where it goes.

use std::{env, path::PathBuf, process::ExitCode, sync::LazyLock};

use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    check, compare, doctor, export, fetch, gc, github, inspect,
    log::{self, LogArgs},
    mistake, plan,
    points::PointArgs,
    run, schema,
    spread::{self, Format, word},
    threads, verify,
};
use crate::{
    BURN_VERSION, Error, Result,
    pipeline::{Places, Setting, Source},
    ranks::Place,
    stages::{LockFile, Mirrors, Web},
    terminal,
};

/// Turns pretrained EDM and EDM2 diffusion models into one-step generators with SiD, SiDA and SiD2A, from YAML pipelines.
///
/// Results go to standard output, progress and logs to standard error. Exit codes: 0 done, 1 failed while running, 2 the
/// file or the command is wrong, 3 an expectation was not met, 4 training diverged, 130 interrupted (state saved).
#[derive(Debug, Parser)]
#[command(name = "sida", version = version(), max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Find every mistake in pipeline and sweep files.
    Check {
        /// Pipeline or sweep files.
        #[arg(required = true)]
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
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        places: PlaceArgs,
        /// Print what came as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show stages in order, what is done, and what would run and why.
    Plan {
        /// A pipeline or a sweep.
        file: PathBuf,
        #[command(flatten)]
        places: PlaceArgs,
        /// Print the plan as JSON.
        #[arg(long)]
        json: bool,
        /// Print all values instead, as one file without a base that `sida run` takes.
        #[arg(long, conflicts_with = "json")]
        resolved: bool,
        /// Print a sweep as a file for what starts its points, on one machine or on many.
        #[arg(long, value_name = "FORMAT", conflicts_with_all = ["json", "resolved"])]
        format: Option<Format>,
    },
    /// Run a pipeline or a sweep; stages that are done are skipped.
    Run {
        /// A pipeline or a sweep.
        file: PathBuf,
        #[command(flatten)]
        places: PlaceArgs,
        /// `auto` (a GPU if there is one), `cpu`, `cuda:N`, or `wgpu:N`.
        #[arg(long, default_value = "auto")]
        device: String,
        /// Start so many processes of this machine that work together, each with a GPU or a share of the processors. Those
        /// that `torchrun`, `srun` or `mpirun` started find each other without it.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
        ranks: Option<u32>,
        /// Run this stage alone; what it reads has to be done.
        #[arg(long, value_name = "STAGE")]
        only: Option<String>,
        /// Run this stage and what it reads.
        #[arg(long, value_name = "STAGE")]
        until: Option<String>,
        /// Run this stage again though it is done, and what reads it. Can be repeated.
        #[arg(long, value_name = "STAGE")]
        force: Vec<String>,
        /// Of a sweep, run every stage, and not only those that its table needs.
        #[arg(long, conflicts_with = "until")]
        all: bool,
        #[command(flatten)]
        points: PointArgs,
        /// Write the scores to this file, which `baseline:` of an expectation can name from then on.
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show metrics, settings, images and curves of two runs side by side.
    Compare {
        /// A pipeline's folder such as `runs/quickstart`, a point of a sweep, a stage's folder, or a `report.json`.
        #[arg(value_name = "A")]
        left: PathBuf,
        /// Another one.
        #[arg(value_name = "B")]
        right: PathBuf,
        /// Write it as a page, too, with pictures and curves.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a network pickle, .pt, .safetensors, or dataset holds; runs no code from it.
    Inspect {
        /// The file or folder.
        file: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write weights under the reference's own names, with the settings as metadata.
    Export {
        /// A stage's folder of a run, or a file with weights.
        from: PathBuf,
        /// The `.safetensors` file to write.
        to: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read every finished file and checkpoint again, and say what is damaged; `run` makes that again.
    Verify {
        /// A folder of runs, a pipeline's folder in it such as `runs/quickstart`, or a stage's.
        folder: PathBuf,
        /// Print what was found as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the stages in the store that no pipeline's folder refers to.
    Gc {
        /// Folder of runs. Default: `$SIDA_RUNS`, else `runs`.
        #[arg(long, value_name = "DIR")]
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
        #[arg(long, default_value = "schemas")]
        out: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show devices, versions, memory, folders and variables, and test the device for a second.
    Doctor {
        /// `auto`, `cpu`, `cuda:N`, or `wgpu:N`.
        #[arg(long, default_value = "auto")]
        device: String,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Verb {
    /// Whether several processes may do it together.
    fn is_run(&self) -> bool {
        matches!(self, Self::Run { .. })
    }

    /// Whether the result is asked for as JSON.
    fn wants_json(&self) -> bool {
        match self {
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
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Folder of runs. Default: `$SIDA_RUNS`, else `runs`.
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Set a value by its dotted path, such as `stages.sid.distill.generator.lr=1e-5`. Can be repeated.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Ask nobody for files: name those that are not in the cache, and end with an error where they are needed.
    #[arg(long)]
    offline: bool,
    /// Ask for addresses that begin with the first at the second, such as `https://huggingface.co=https://hub.local`. Can be
    /// repeated.
    #[arg(long, value_name = "PREFIX=PREFIX")]
    mirror: Vec<String>,
}

impl PlaceArgs {
    /// The settings.
    pub(super) fn settings(&self) -> Result<Vec<Setting>> {
        self.set.iter().map(|text| Setting::parse(text)).collect()
    }

    /// The same as words of a command, the folder of runs also where a variable gives it.
    pub(super) fn words(&self) -> Vec<String> {
        let runs = self.runs.clone().or_else(|| set_variable("SIDA_RUNS"));
        let runs = runs.iter().flat_map(|runs| ["--runs".to_owned(), word(runs)]);
        let set = self.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]);
        let offline = self.offline.then(|| "--offline".to_owned());
        let mirrors = self.mirror.iter().flat_map(|mirror| ["--mirror".to_owned(), mirror.clone()]);
        runs.chain(set).chain(offline).chain(mirrors).collect()
    }

    /// Where things are for a file.
    ///
    /// # Errors
    /// `Usage` for a mirror that is none, and for a lock file that cannot be read.
    pub(super) fn places(&self, source: &Source) -> Result<Places> {
        let web = Web { offline: self.offline, mirrors: Mirrors::parse(&self.mirror)?, ..Web::default() };
        let lock = LockFile::beside(&source.path);
        lock.check()?;
        let search = source.search.clone();
        Ok(Places { runs: self.runs(), cache: cache(), search, lock: Some(lock), web })
    }

    /// Whether nobody is to be asked.
    pub(super) fn is_offline(&self) -> bool {
        self.offline
    }

    /// The folder of runs.
    pub(super) fn runs(&self) -> PathBuf {
        self.runs.clone().unwrap_or_else(runs)
    }
}

/// Folder of runs, where the command line says none: `$SIDA_RUNS`, else `runs`.
pub(super) fn runs() -> PathBuf {
    set_variable("SIDA_RUNS").unwrap_or_else(|| PathBuf::from("runs"))
}

/// Folder for downloads: `$SIDA_CACHE`, else the user's cache.
pub(super) fn cache() -> PathBuf {
    let home = || env::home_dir().unwrap_or_default().join(".cache");
    set_variable("SIDA_CACHE")
        .unwrap_or_else(|| set_variable("XDG_CACHE_HOME").unwrap_or_else(home).join("sida"))
}

fn set_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
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

/// The program.
pub fn main() -> ExitCode {
    mistake::own_up();
    mistake::survive_large_files();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and the version are no errors.
        Err(shown) if !shown.use_stderr() => shown.exit(),
        Err(wrong) => {
            log::start_refused(&env::args().collect::<Vec<_>>());
            return refused(&wrong);
        }
    };
    let is_first =
        !cli.verb.is_run() || Place::given().is_ok_and(|place| place.is_none_or(|place| place.rank == 0));
    log::start(cli.log, is_first);
    threads::start();
    let json = cli.verb.wants_json();
    match dispatch(cli.verb) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = error.exit_code();
            github::error(&error, json);
            say(error);
            ExitCode::from(code)
        }
    }
}

/// A command line that cannot be read.
fn refused(wrong: &clap::Error) -> ExitCode {
    let text = wrong.render().to_string();
    let message = text.trim().trim_start_matches("error: ");
    terminal::error(text.trim_end(), [fields(&json!({ "message": message, "exit_code": 2 }))]);
    ExitCode::from(2)
}

fn say(error: Error) {
    let code = error.exit_code();
    match error {
        Error::Mistakes { mistakes, rendered } => terminal::error(&rendered, mistakes.iter().map(fields)),
        error => {
            let message = error.to_string();
            let objects = [fields(&json!({ "message": message, "exit_code": code }))];
            terminal::error(&format!("error: {message}"), objects);
        }
    }
}

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Records are JSON, which is UTF-8: a folder that is not would be found out when everything else is done.
fn folders_are_text(verb: &Verb) -> Result<()> {
    let given = match verb {
        Verb::Plan { places, .. } | Verb::Run { places, .. } => &places.runs,
        Verb::Gc { runs, .. } => runs,
        _ => return Ok(()),
    };
    let here = env::current_dir().unwrap_or_default();
    let runs = if given.is_some() { "--runs" } else { "SIDA_RUNS" };
    let folders = [
        (runs, given.clone().unwrap_or_else(self::runs)),
        ("SIDA_CACHE", cache()),
        ("the working directory", here),
    ];
    match folders.iter().find(|(_, folder)| folder.to_str().is_none()) {
        None => Ok(()),
        Some((what, folder)) => Err(Error::Usage(format!(
            "`{}` is not UTF-8 text, and cannot be kept in records: give {what} another name",
            terminal::path(folder)
        ))),
    }
}

/// With which exit code it ended.
fn dispatch(verb: Verb) -> Result<u8> {
    folders_are_text(&verb)?;
    match verb {
        Verb::Check { files, offline, json } => check::check(&files, offline, json),
        Verb::Fetch { files, places, json } => fetch::fetch(&files, &places, json),
        Verb::Plan { file, places, format: Some(format), .. } => spread::print(&file, &places, format),
        Verb::Plan { file, places, resolved: true, .. } => plan::resolved(&file, &places),
        Verb::Plan { file, places, json, .. } => plan::plan(&file, &places, json),
        Verb::Run { file, places, device, ranks, only, until, force, all, points, record, json } => {
            let choice = run::Choice { only, until, force, points, all, record, json };
            return run::run(&file, &places, &device, ranks, &choice);
        }
        Verb::Compare { left, right, html, json } => compare::compare(&left, &right, html.as_deref(), json),
        Verb::Inspect { file, json } => inspect::inspect(&file, json),
        Verb::Export { from, to, json } => export::export(&from, &to, json),
        Verb::Verify { folder, json } => verify::verify(&folder, json),
        Verb::Gc { runs: given, delete, json } => gc::gc(&given.unwrap_or_else(runs), delete, json),
        Verb::Schema { out, json } => schema::write(&out, json),
        Verb::Doctor { device, json } => doctor::doctor(&device, json),
    }
    .map(|()| 0)
}
