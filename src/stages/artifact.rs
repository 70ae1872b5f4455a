//! `Artifact`: what passes between stages: a description with paths, never a tensor.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::stage::Kind;
use crate::{
    diffusion::{Encoder, Sampler},
    nn::NetworkConfig,
    stage_name::StageName,
};

/// What a stage made, as `artifact.json` keeps it. Its presence is the definition of "done". Relative paths are
/// relative to the stage's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one per stage")]
pub enum Artifact {
    /// Of `prepare_dataset`.
    Dataset(DatasetArtifact),
    /// Of `load_teacher`, `train_teacher` and `distill`.
    Network(NetworkArtifact),
    /// Of `generate`.
    Images(ImagesArtifact),
    /// Of `evaluate`.
    Scores(ScoresArtifact),
    /// Of `report`.
    Table(TableArtifact),
}

impl Artifact {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Dataset(_) => Kind::Dataset,
            Self::Network(_) => Kind::Network,
            Self::Images(_) => Kind::Images,
            Self::Scores(_) => Kind::Scores,
            Self::Table(_) => Kind::Table,
        }
    }
}

/// A dataset that is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetArtifact {
    /// A zip or a folder in EDM's format, or a `dataset.json`.
    pub path: PathBuf,
    /// Number of images, without flipped copies; with labels only, of labels.
    pub images: u64,
    /// Whether there are images, and not only labels.
    pub has_images: bool,
    /// Image side, in pixels.
    pub resolution: u32,
    /// Channels.
    pub channels: u32,
    /// Number of classes; 0 without labels.
    pub label_dim: u32,
    /// Whether flipped copies double the set.
    pub xflip: bool,
    /// At most so many images, a random subset.
    pub max_images: Option<u64>,
    /// What the contents hash to.
    pub identity: String,
}

/// A network with its weights, and how it makes images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkArtifact {
    /// The architecture.
    pub network: NetworkConfig,
    /// A safetensors file with the reference's names.
    pub weights: PathBuf,
    /// How it makes images unless a stage says otherwise.
    pub sampler: Sampler,
    /// What its images are.
    pub encoder: Encoder,
    /// Images seen in training by this project; 0 for loaded networks.
    pub nimg: u64,
}

/// Generated images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImagesArtifact {
    /// How many.
    pub images: u64,
    /// Folder of PNG files.
    pub folder: PathBuf,
    /// A PNG with many of them.
    pub grid: PathBuf,
    /// All of them in an `.npz`, if wanted.
    pub npz: Option<PathBuf>,
    /// Network evaluations per image.
    pub nfe: u32,
}

/// Measured values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoresArtifact {
    /// The stage whose network was measured.
    pub network: StageName,
    /// Network evaluations per image.
    pub nfe: u32,
    /// By the metric's name.
    pub scores: IndexMap<String, Score>,
    /// The verdicts on `expect:`.
    pub expectations: Vec<Verdict>,
}

/// One metric over its trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean over the trials.
    pub mean: f64,
    /// Population standard deviation over the trials.
    pub std: f64,
    /// Least value.
    pub min: f64,
    /// One value per trial.
    pub trials: Vec<f64>,
}

impl Score {
    /// Sums up the values of all trials.
    pub fn of(trials: Vec<f64>) -> Self {
        let n = trials.len().max(1) as f64;
        let mean = trials.iter().sum::<f64>() / n;
        let std = (trials.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        let min = trials.iter().copied().fold(f64::INFINITY, f64::min);
        Self { mean, std, min, trials }
    }
}

/// Whether a measured value is what the pipeline expects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The metric's name.
    pub metric: String,
    /// Upper limit.
    pub at_most: Option<f64>,
    /// Lower limit.
    pub at_least: Option<f64>,
    /// The mean over the trials.
    pub value: f64,
    /// Whether it is within the limits.
    pub pass: bool,
    /// Where the limits come from.
    pub source: Option<String>,
}

/// A table, as files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableArtifact {
    /// The table as plain text, for a terminal.
    pub text: String,
    /// Whether all expectations of its rows were met.
    pub pass: bool,
    /// The files that were written.
    pub files: Vec<PathBuf>,
}
