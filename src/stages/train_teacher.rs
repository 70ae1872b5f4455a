//! `train_teacher`: trains a diffusion model from nothing.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::Context,
    network_file, rules, snapshots,
    stage::{Input, Kind, Network, Objection, Stage, Verb},
    training_loop::{self, Cadence, Training, teacher_training::TeacherTraining},
    work::Work,
    world::World,
};
use crate::{
    Result,
    diffusion::{Ema, Encoder, Precision, Sampler},
    distill::Snapshots,
    kimg::Kimg,
    nn::NetworkConfig,
    stage_name::StageName,
};

/// Trains a diffusion model from nothing with EDM's loss, or EDM2's for an EDM2 network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainTeacher {
    /// The stage that makes the dataset.
    pub dataset: StageName,
    /// The architecture.
    pub network: NetworkConfig,
    /// Length of the training, in thousands of images. A longer run continues a shorter one that differs only here.
    #[serde(default = "duration_kimg")]
    pub duration_kimg: Kimg,
    /// Images per iteration.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: u32,
    /// Images that are in memory at once; gradients are accumulated. Default: `batch_size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub microbatch_size: Option<u32>,
    /// Learning rate.
    #[serde(default = "lr")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub lr: f64,
    /// The learning rate grows linearly from zero over so many thousand images.
    #[serde(default = "lr_rampup_kimg")]
    pub lr_rampup_kimg: Kimg,
    /// Adam's decay rates of the first and second moment.
    #[serde(default = "betas")]
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub betas: [f64; 2],
    /// Adam's epsilon. Default: 1e-8, with fp16 1e-6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub epsilon: Option<f64>,
    /// Mean of ln(sigma) of the training noise.
    #[serde(default = "p_mean")]
    pub p_mean: f64,
    /// Standard deviation of ln(sigma) of the training noise.
    #[serde(default = "p_std")]
    #[schemars(range(min = 0.0))]
    pub p_std: f64,
    /// The moving average of the weights: what the stage hands on.
    #[serde(default)]
    pub ema: Ema,
    /// Probability of each augmentation of the training images.
    #[serde(default = "augment")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub augment: f64,
    /// Arithmetic of the network; loss, optimizer and EMA are fp32 always.
    #[serde(default)]
    pub precision: Precision,
    /// How often a line of statistics is written.
    #[serde(default = "status_every_kimg")]
    pub status_every_kimg: Kimg,
    /// How often the state is saved from which an interrupted run continues.
    #[serde(default = "checkpoint_every_kimg")]
    pub checkpoint_every_kimg: Kimg,
    /// Weights, sample grids and metrics along the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
    /// How the trained network makes images. Default: EDM's sampler with 18 steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
}

impl TrainTeacher {
    /// Images in memory at once.
    pub fn microbatch_size(&self) -> u32 {
        self.microbatch_size.unwrap_or(self.batch_size)
    }

    /// Gradient-accumulation rounds.
    pub fn rounds(&self) -> u32 {
        self.batch_size / self.microbatch_size()
    }
}

impl Verb for TrainTeacher {
    const NAME: &'static str = "train_teacher";
    const MAKES: Kind = Kind::Network;
}

impl Stage for TrainTeacher {
    fn inputs(&self) -> Vec<Input<'_>> {
        vec![Input::new("dataset", &self.dataset, Kind::Dataset)]
    }

    fn check(&self) -> Vec<Objection> {
        let mut objections = rules::network("network", &self.network);
        objections.extend(rules::microbatch_divides(self.batch_size, self.microbatch_size));
        objections.extend(rules::interval("status_every_kimg", self.status_every_kimg, self.batch_size));
        objections.extend(rules::interval(
            "checkpoint_every_kimg",
            self.checkpoint_every_kimg,
            self.batch_size,
        ));
        objections.extend(rules::interval("duration_kimg", self.duration_kimg, self.batch_size));
        if let Some(snapshots) = &self.snapshots {
            objections.extend(rules::interval("snapshots/every_kimg", snapshots.every_kimg, self.batch_size));
            objections.extend(rules::metrics_differ("snapshots/metrics", &snapshots.metrics));
        }
        objections.extend(rules::augmentation(self.augment, &self.network));
        objections
    }

    fn agrees(&self, world: &World<'_>) -> Vec<Objection> {
        let Some(facts) = world.facts(&self.dataset) else { return Vec::new() };
        let mut objections =
            rules::network_and_dataset("dataset", &self.network, &Encoder::Rgb, &self.dataset, &facts, true);
        if !facts.has_images {
            objections.push(
                Objection::new(
                    "dataset",
                    format!("`{}` holds labels only, but a teacher learns from images", self.dataset),
                )
                .help("use a `prepare_dataset` stage with images"),
            );
        }
        if let Some(snapshots) = &self.snapshots {
            objections.extend(rules::enough_images(
                "snapshots/metrics",
                &snapshots.metrics,
                &self.dataset,
                &facts,
            ));
        }
        objections
    }

    fn work(&self, _world: &World<'_>, _cache: &Path) -> Work {
        Work::training(self.duration_kimg, self.batch_size, self.rounds())
    }

    fn network(&self) -> Option<Network<'_>> {
        Some(Network::Own(Some(&self.network), &Encoder::Rgb))
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let context = &*context;
        let sampler = self.sampler.clone().unwrap_or_else(|| Sampler::of_teacher(&self.network));
        let mut training = TeacherTraining::new(self, sampler.clone(), context)?;
        let cadence = Cadence::new(
            self.duration_kimg,
            self.status_every_kimg,
            self.checkpoint_every_kimg,
            self.snapshots.as_ref().map(|snapshots| snapshots.every_kimg),
        );
        let memory = training_loop::run(&mut training, cadence, context)?;
        let nimg = training.nimg();
        let (weights, nimg) = match memory.best {
            Some((best, _)) => (snapshots::weights(Path::new(""), best), best),
            None => (PathBuf::from("network.safetensors"), nimg),
        };
        if memory.best.is_none() {
            network_file::save(&context.dir.join(&weights), training.ema())?;
        }
        Ok(Artifact::Network(NetworkArtifact {
            network: self.network.clone(),
            weights,
            sampler,
            encoder: Encoder::Rgb,
            nimg,
        }))
    }
}

fn duration_kimg() -> Kimg {
    Kimg(200_000.0)
}

fn batch_size() -> u32 {
    512
}

fn lr() -> f64 {
    1e-3
}

fn lr_rampup_kimg() -> Kimg {
    Kimg(10_000.0)
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn p_mean() -> f64 {
    -1.2
}

fn p_std() -> f64 {
    1.2
}

fn augment() -> f64 {
    0.12
}

fn status_every_kimg() -> Kimg {
    Kimg(50.0)
}

fn checkpoint_every_kimg() -> Kimg {
    Kimg(25_000.0)
}
