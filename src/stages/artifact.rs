//! `Artifact`: what passes between stages: a description with paths, never a tensor.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    diffusion::{Encoder, Sampler},
    metrics::Score,
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
    /// What the classes are called, by their numbers, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
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
    /// The stage whose network was measured; `None` where pictures were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<StageName>,
    /// Network evaluations per image, where a network was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfe: Option<u32>,
    /// By the metric's name.
    pub scores: IndexMap<String, Score>,
}

/// A table, as files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableArtifact {
    /// The table as plain text, for a terminal.
    pub text: String,
    /// The table and the verdict as Markdown, for places that have room for no more.
    pub brief: String,
    /// The files that were written.
    pub files: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verdicts were kept with the scores once.
    #[test]
    fn scores_that_an_older_program_kept_are_scores() {
        let old = r#"{ "scores": { "network": "sid", "nfe": 1, "scores": {
            "fd_pixels_100": { "mean": 0.2, "std": 0.0, "min": 0.2, "trials": [0.2] } },
            "expectations": [{ "metric": "fd_pixels_100", "at_most": 0.1, "value": 0.2, "pass": false }] } }"#;
        let Artifact::Scores(scores) = serde_json::from_str(old).unwrap() else { panic!("scores") };
        assert_eq!(scores.scores["fd_pixels_100"].trials, [0.2]);
        assert_eq!((scores.network.unwrap().as_str(), scores.nfe), ("sid", Some(1)));
    }
}
