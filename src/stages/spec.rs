//! `StageSpec`: the verbs, and the only dispatch over them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    evaluate::Evaluate, generate::Generate, load_teacher::LoadTeacher, prepare_dataset::PrepareDataset,
    report::Report, stage::Stage, train_teacher::TrainTeacher,
};
use crate::distill::Distill;

/// What a stage does: one verb with its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageSpec {
    /// Makes an image dataset ready: finds it, or converts images into it.
    PrepareDataset(PrepareDataset),
    /// Fetches a published network and reads its weights.
    LoadTeacher(LoadTeacher),
    /// Trains a diffusion model from nothing.
    TrainTeacher(TrainTeacher),
    /// Distills a teacher into a generator that needs one step.
    Distill(Distill),
    /// Makes images with a network, one seed each.
    Generate(Generate),
    /// Measures a network against a dataset.
    Evaluate(Evaluate),
    /// A paper table with verdicts, curves and images.
    Report(Report),
}

impl StageSpec {
    /// The verb with its values, whichever it is.
    pub fn stage(&self) -> &dyn Stage {
        match self {
            Self::PrepareDataset(stage) => stage,
            Self::LoadTeacher(stage) => stage,
            Self::TrainTeacher(stage) => stage,
            Self::Distill(stage) => stage,
            Self::Generate(stage) => stage,
            Self::Evaluate(stage) => stage,
            Self::Report(stage) => stage,
        }
    }

    /// The verb as the pipeline file writes it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::PrepareDataset(_) => "prepare_dataset",
            Self::LoadTeacher(_) => "load_teacher",
            Self::TrainTeacher(_) => "train_teacher",
            Self::Distill(_) => "distill",
            Self::Generate(_) => "generate",
            Self::Evaluate(_) => "evaluate",
            Self::Report(_) => "report",
        }
    }
}
