//! `Context`: all that a running stage may see.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use burn::tensor::Device;
use indexmap::IndexMap;
use serde_json::Value;

use super::{
    addresses::Addresses,
    artifact::{Artifact, ScoresArtifact},
    download::{Downloads, Wanted, Web},
    progress::Progress,
    stage::Elsewhere,
};
use crate::{
    Error, Result,
    checkpoint::Lease,
    ranks::Ranks,
    report::{Expectation, Invocation, Verdict},
    seed::Seed,
    stage_name::StageName,
    stop::Stop,
};

/// All that a running stage may see.
pub struct Context<'a> {
    /// Where tensors live; without a tape, which only rounds of a training put on.
    pub device: Device,
    /// The stage's own seed, derived from the pipeline's and the stage's name.
    pub seed: Seed,
    /// The stage.
    pub name: &'a StageName,
    /// The pipeline.
    pub pipeline: &'a str,
    /// Of a sweep, which of its points this is.
    pub point: Option<&'a str>,
    /// What the pipeline does, in its own words.
    pub description: &'a str,
    /// The pipeline's seed.
    pub pipeline_seed: u64,
    /// The device, in words.
    pub device_name: &'a str,
    /// When this run began, such as `2026-11-22 23:59 UTC`.
    pub date: &'a str,
    /// What was asked for.
    pub invocation: &'a Invocation,
    /// The stage's key, in hexadecimal.
    pub key: &'a str,
    /// The stage's folder, which exists. An interrupted run's checkpoints are in it.
    pub dir: &'a Path,
    /// The pipeline's own folder of runs: reports go here.
    pub home: &'a Path,
    /// What the files of this stage's report are called, without their endings.
    pub report_name: &'a str,
    /// Folder for downloads.
    pub cache: &'a Path,
    /// What came from addresses before.
    pub addresses: &'a Addresses,
    /// Where relative paths are looked for: the working directory first, then from the pipeline file's folder upwards.
    pub search: &'a [PathBuf],
    /// The folder of a finished, shorter run of the same stage whose last checkpoint this one continues from.
    pub continue_from: Option<PathBuf>,
    /// All stages that this one reads, directly or through others.
    pub finished: &'a IndexMap<StageName, Finished>,
    /// What the stages of other pipelines made that this one shows; those that have not run are absent.
    pub elsewhere: IndexMap<Elsewhere, Finished>,
    /// What of the network may be used.
    pub web: &'a Web,
    /// Whether to stop at the next safe point, save and return `Interrupted`.
    pub stop: &'a Stop,
    /// The ranks that make this stage together; this process alone where they do not.
    pub ranks: Ranks,
    /// What the rest of the pipeline takes after this stage, where all of it is known.
    pub after: Option<Duration>,
    /// To be asked before anything is written: it is lost where this process was stopped for so long that another makes
    /// the stage now.
    pub lease: Option<&'a Lease>,
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
    /// What this run's pipeline expects of what it measured; nothing of stages of other pipelines.
    pub expected: Vec<Expectation>,
}

impl Finished {
    /// A stage of which nothing is expected.
    pub fn new(dir: PathBuf, artifact: Artifact, record: Value) -> Self {
        Self { dir, artifact, record, expected: Vec::new() }
    }

    /// What was measured, where it was measured.
    pub fn scores(&self) -> Option<&ScoresArtifact> {
        match &self.artifact {
            Artifact::Scores(scores) => Some(scores),
            _ => None,
        }
    }

    /// The verdicts on what is expected, in its order; of what has no baseline yet there is none.
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        let scores = self.scores().map(|scores| &scores.scores);
        self.expected.iter().filter_map(move |expected| expected.judge(scores?))
    }
}

impl Context<'_> {
    /// Whether what this stage makes is still this process' to write.
    ///
    /// # Errors
    /// `LeaseLost`.
    pub(super) fn still_ours(&self) -> Result<()> {
        self.lease.map_or(Ok(()), Lease::check)
    }

    /// A stage's folder by the link beside the page, where the stage is one of this pipeline's.
    pub(super) fn linked(&self, dir: &Path) -> PathBuf {
        let link = dir.file_name().map(|name| self.home.join(name)).filter(|link| link.exists());
        link.unwrap_or_else(|| dir.to_owned())
    }

    /// Whether to stop: the same for all ranks.
    ///
    /// # Errors
    /// `RankLost`.
    pub(super) fn stops(&self) -> Result<bool> {
        self.ranks.tell(|| self.stop.requested())
    }

    /// Shows how far the stage is, and what is left of the pipeline: from `first` of `total` images on.
    pub(super) fn progress(&self, first: u64, total: u64) -> Progress {
        Progress::new(self.name.as_str(), "images", first, total).before(self.after)
    }

    /// A file that is wanted, as `Downloads::fetch` says. Ranks of one machine have one cache: it is filled once.
    pub(super) fn fetch(&self, wanted: &Wanted<'_>) -> Result<PathBuf> {
        let Self { cache, addresses, search, web, stop, .. } = self;
        let name = self.name.as_str();
        let fetch = || Downloads { name, cache, addresses, search, web, stop }.fetch(wanted);
        let path = self.ranks.first(fetch)?;
        if self.ranks.is_first() { Ok(path) } else { fetch() }
    }

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
