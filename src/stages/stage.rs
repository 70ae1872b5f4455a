//! `Stage`: what every verb of the pipeline language can say about itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{artifact::Artifact, context::Context};
use crate::{Result, stage_name::StageName};

/// One verb of the pipeline language. The value that YAML parsed into is `self`.
pub trait Stage {
    /// The stages this one reads, and as what.
    fn inputs(&self) -> Vec<Input<'_>>;

    /// What it makes.
    fn makes(&self) -> Kind;

    /// Whether it only shows what others made, outside of its own folder. Such a stage runs in every run, in no time, so
    /// that nobody sees what another run showed there.
    fn is_view(&self) -> bool {
        false
    }

    /// Rules between fields, which a schema cannot say. Everything that is wrong, not only the first.
    fn check(&self) -> Vec<Objection> {
        Vec::new()
    }

    /// Does the work in `context.dir` and describes the result. Continues from what an interrupted run left there.
    ///
    /// # Errors
    /// Whatever files, networks and devices can do; `Interrupted` after a stop was asked for and the state saved.
    fn run(&self, context: &mut Context<'_>) -> Result<Artifact>;
}

/// A reference from one stage to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Where the reference is written, relative to the stage's values: `teacher`, `rows/0/scores/stage`.
    pub field: String,
    /// The stage it names.
    pub stage: &'a StageName,
    /// What that stage has to make.
    pub kind: Kind,
}

impl<'a> Input<'a> {
    /// A reference in the field `field`.
    pub fn new(field: impl Into<String>, stage: &'a StageName, kind: Kind) -> Self {
        Self { field: field.into(), stage, kind }
    }
}

/// What a stage makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Images or labels: `prepare_dataset`.
    Dataset,
    /// A network: `load_teacher`, `train_teacher`, `distill`.
    Network,
    /// Generated images: `generate`.
    Images,
    /// Measured values: `evaluate`.
    Scores,
    /// A table: `report`.
    Table,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dataset => "a dataset",
            Self::Network => "a network",
            Self::Images => "images",
            Self::Scores => "scores",
            Self::Table => "a table",
        })
    }
}

/// A broken rule between fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The field to change, relative to the stage's values: `microbatch_size`, `expect/0/metric`. Empty for the stage itself.
    pub field: String,
    /// What is wrong, a sentence fragment with `ticked` names.
    pub problem: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Objection {
    /// Something wrong in `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), help: None }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
