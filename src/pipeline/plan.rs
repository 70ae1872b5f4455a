//! `Plan`: stages in running order, with their keys, whether they are done, and why not.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;

use super::{
    key::{KeyInput, StageKey},
    order::reads,
    planner::Planner,
    spec::Pipeline,
    store::Store,
};
use crate::{
    Error, Result,
    kimg::Kimg,
    stage_name::StageName,
    stages::{Addresses, Elsewhere, Finished, LockFile, StageSpec, Web, Work},
    suggestion::advice,
};

/// A pipeline, ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pipeline's name.
    pub pipeline: String,
    /// What it does, in its own words.
    pub description: String,
    /// Its seed.
    pub seed: u64,
    /// Its own folder of runs: pages, and links to its stages.
    pub home: PathBuf,
    /// Stages in running order.
    pub stages: Vec<PlannedStage>,
}

/// A stage that knows its key.
#[derive(Clone, Debug)]
pub struct PlannedStage {
    /// Its name.
    pub name: StageName,
    /// What it does.
    pub spec: StageSpec,
    /// What decides its result.
    pub input: KeyInput,
    /// The hash of that.
    pub key: StageKey,
    /// The stages that it reads, by place in the plan.
    pub inputs: Vec<usize>,
    /// Its folder in the store.
    pub dir: PathBuf,
    /// Whether it has to run, and why.
    pub status: Status,
    /// Of a training, what it is but for its length.
    pub lineage: Option<Lineage>,
    /// A finished, shorter run of the same lineage.
    pub continue_from: Option<PathBuf>,
    /// The finished stages of other pipelines that it shows.
    pub elsewhere: IndexMap<Elsewhere, Finished>,
    /// How much work it is.
    pub work: Work,
}

/// A training, however long it is: runs of one lineage continue each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lineage {
    /// The key without the length.
    pub key: StageKey,
    /// The length.
    pub duration_kimg: Kimg,
}

/// Whether a stage has to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has run with these values.
    Done,
    /// It has to run, for this reason.
    ToRun(String),
}

/// Where things are on this machine.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of all pipelines' runs.
    pub runs: PathBuf,
    /// Folder for downloads.
    pub cache: PathBuf,
    /// Where relative paths are looked for.
    pub search: Vec<PathBuf>,
    /// Beside the pipeline's file, what came from its addresses.
    pub lock: Option<LockFile>,
    /// What of the network may be used.
    pub web: Web,
}

impl Places {
    /// The own folder of runs of a pipeline or a sweep.
    pub fn home(&self, name: &str) -> PathBuf {
        self.runs.join(name)
    }

    /// What came from addresses, as the lock file and the store remember it.
    pub fn addresses(&self) -> Addresses {
        Addresses::new(&Store::of(&self.runs).root().join("addresses"), self.lock.clone())
    }
}

impl Plan {
    /// The plan of one pipeline; `Planner` is for many.
    ///
    /// # Errors
    /// As `Planner::plan`.
    pub fn new(pipeline: &Pipeline, name: &str, home: PathBuf, places: &Places) -> Result<Self> {
        Planner::new(places).plan(pipeline, name, home)
    }

    /// The place of a stage.
    ///
    /// # Errors
    /// `Usage` with the closest name.
    pub fn find(&self, flag: &str, name: &str) -> Result<usize> {
        self.stages.iter().position(|stage| stage.name.as_str() == name).ok_or_else(|| {
            let names: Vec<&str> = self.stages.iter().map(|stage| stage.name.as_str()).collect();
            let help = advice(name, &names).unwrap_or_default();
            Error::Usage(format!("`{flag} {name}`: there is no such stage; {help}"))
        })
    }

    /// What the files of a stage that shows what others made are called, without their endings: `report`, and
    /// `report-<stage>` for any but the plan's first; `None` for other stages.
    pub fn report_name(&self, stage: usize) -> Option<String> {
        let is_view = |stage: &PlannedStage| stage.spec.stage().is_view();
        let shown = self.stages.get(stage).filter(|stage| is_view(stage))?;
        let is_first = self.stages.iter().position(is_view) == Some(stage);
        Some(if is_first { "report".to_owned() } else { format!("report-{}", shown.name) })
    }

    /// A stage and all that it reads, directly or through others.
    pub fn ancestors(&self, stage: usize) -> Vec<usize> {
        let wanted = reads(stage, self.stages.len(), |i| self.stages[i].inputs.iter().copied());
        (0..self.stages.len()).filter(|i| wanted[*i]).collect()
    }
}
