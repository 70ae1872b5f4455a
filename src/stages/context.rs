//! `Context`: all that a running stage may see.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use burn::tensor::Device;
use indexmap::IndexMap;
use serde_json::Value;

use super::{artifact::Artifact, stage::Elsewhere};
use crate::{Error, Result, seed::Seed, stage_name::StageName};

/// All that a running stage may see.
pub struct Context<'a> {
    /// Where tensors live.
    pub device: Device,
    /// The stage's own seed, derived from the pipeline's and the stage's name.
    pub seed: Seed,
    /// The stage.
    pub name: &'a StageName,
    /// The pipeline.
    pub pipeline: &'a str,
    /// What the pipeline does, in its own words.
    pub description: &'a str,
    /// The pipeline's seed.
    pub pipeline_seed: u64,
    /// The device, in words.
    pub device_name: &'a str,
    /// When this run began, such as `2026-11-22 23:59 UTC`.
    pub date: &'a str,
    /// The stage's folder, which exists. An interrupted run's checkpoints are in it.
    pub dir: &'a Path,
    /// The pipeline's folder of runs: the report goes here too.
    pub pipeline_dir: &'a Path,
    /// What the files of this stage's report are called, without their endings.
    pub report_name: &'a str,
    /// Folder for downloads.
    pub cache: &'a Path,
    /// Where relative paths are looked for: the working directory first, then from the pipeline file's folder upwards.
    pub search: &'a [PathBuf],
    /// The folder of a finished, shorter run of the same stage whose last checkpoint this one continues from.
    pub continue_from: Option<PathBuf>,
    /// All stages that this one reads, directly or through others.
    pub finished: &'a IndexMap<StageName, Finished>,
    /// What the stages of other pipelines made that this one shows; those that have not run are absent.
    pub elsewhere: IndexMap<Elsewhere, Finished>,
    /// Whether to stop at the next safe point, save and return `Interrupted`.
    pub stop: &'a Stop,
}

/// A finished stage.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its folder; paths in the artifact are relative to it.
    pub dir: PathBuf,
    /// What it made.
    pub artifact: Artifact,
    /// Its `stage.json`: resolved values, inputs, versions, device, seed, wall time.
    pub record: Value,
}

impl Context<'_> {
    /// A stage that this one reads.
    ///
    /// # Errors
    /// `Unusable` when it is not finished, which the plan rules out.
    pub fn input(&self, name: &StageName) -> Result<&Finished> {
        self.finished.get(name).ok_or_else(|| {
            Error::Unusable(format!("stage `{name}`, which `{}` reads, is not finished", self.name))
        })
    }
}

/// Asks a running stage to save and stop.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether a stop was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for a stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The flag itself, for signal handlers.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}
