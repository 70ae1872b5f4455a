//! `TrainTeacher`: a teacher's training as the pipeline file writes it and as the trainer reads it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_inline_default::serde_inline_default;

use crate::{
    diffusion::{Precision, Sampler},
    kimg::Kimg,
    nn::NetworkConfig,
    stage_name::StageName,
    training::{Ema, Guard, Microbatch, Pace, Passes, Snapshots, Tensors},
};

/// Trains a diffusion model from nothing with EDM's loss, or EDM2's for an EDM2 network.
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainTeacher {
    /// The stage that makes the dataset.
    pub dataset: StageName,
    /// The architecture.
    pub network: NetworkConfig,
    /// Length of the training, in thousands of images. A longer run continues a shorter one that differs only here.
    #[serde_inline_default(Kimg(200_000.0))]
    pub duration_kimg: Kimg,
    /// Images per iteration.
    #[serde_inline_default(512)]
    #[schemars(range(min = 1, max = 16777216))]
    pub batch_size: u32,
    /// Images that are in memory at once; gradients are accumulated. `auto` is as many as fit into the device's memory: results
    /// differ in rounding alone. Default: `batch_size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microbatch_size: Option<Microbatch>,
    /// Learning rate.
    #[serde_inline_default(1e-3)]
    #[schemars(range(min = 0.000000000001, max = 1.0))]
    pub lr: f64,
    /// The learning rate grows linearly from zero over so many thousand images.
    #[serde_inline_default(Kimg(10_000.0))]
    pub lr_rampup_kimg: Kimg,
    /// Adam's decay rates of the first and second moment.
    #[serde_inline_default([0.9, 0.999])]
    #[schemars(inner(range(min = 0.0, max = 0.9999999)))]
    pub betas: [f64; 2],
    /// Adam's epsilon. Default: 1e-8, with fp16 1e-6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1e-30, max = 1.0))]
    pub epsilon: Option<f64>,
    /// Factor of the loss whose gradients are taken: so much larger they are, and less of them is lost in fp16. Adam's steps
    /// are the same but for its epsilon, and the loss is reported without it. The release trains ADM in fp16 with 100.
    /// Default: 1.
    #[serde_inline_default(1.0)]
    #[serde(skip_serializing_if = "is_one")]
    #[schemars(range(min = 0.000001, max = 100000000.0))]
    pub loss_scale: f64,
    /// Mean of ln(sigma) of the training noise.
    #[serde_inline_default(-1.2)]
    #[schemars(range(min = -10.0, max = 10.0))]
    pub p_mean: f64,
    /// Standard deviation of ln(sigma) of the training noise.
    #[serde_inline_default(1.2)]
    #[schemars(range(min = 0.01, max = 5.0))]
    pub p_std: f64,
    /// The moving average of the weights: what the stage hands on.
    #[serde(default)]
    pub ema: Ema,
    /// Probability of each augmentation of the training images.
    #[serde_inline_default(0.12)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub augment: f64,
    /// Arithmetic of the network; loss, optimizer and EMA are fp32 always.
    #[serde(default)]
    pub precision: Precision,
    /// Whether products of fp32 may run on a GPU's tensor cores, which round what they multiply to TF32's ten bits. The
    /// release's training loops forbid it. A CPU never rounds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tf32: bool,
    /// Whether the activations within blocks are made again in the backward pass instead of being kept: less memory, more
    /// time, the same numbers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// Whether a GPU is told of a micro-batch by one launch, of a graph that was recorded once, instead of by thousands: the
    /// same numbers; each phase keeps its memory for itself. On a CPU nothing changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub graphs: bool,
    /// How often a line of statistics is written.
    #[serde_inline_default(Kimg(50.0))]
    pub status_every_kimg: Kimg,
    /// How often the state is saved from which an interrupted run continues.
    #[serde_inline_default(Kimg(25_000.0))]
    pub checkpoint_every_kimg: Kimg,
    /// Weights, sample grids and metrics along the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
    /// When the training counts as run away and is stopped, relative to its own beginning; `off` where it never is.
    #[serde(default, skip_serializing_if = "Guard::is_default")]
    pub guard: Guard,
    /// How the trained network makes images. Default: EDM's sampler with 18 steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

impl TrainTeacher {
    /// What it has in common with other trainings.
    pub fn pace(&self) -> Pace<'_> {
        Pace {
            duration_kimg: self.duration_kimg,
            batch_size: self.batch_size,
            microbatch_size: self.microbatch_size,
            status_every_kimg: self.status_every_kimg,
            checkpoint_every_kimg: self.checkpoint_every_kimg,
            snapshots: self.snapshots.as_ref(),
            guard: &self.guard,
        }
    }

    /// Bytes of memory at the peak of an iteration at this pace, on each of so many ranks; `parameters` are the network's.
    pub fn memory_bytes(&self, pace: &Pace<'_>, parameters: u64, ranks: u32) -> u64 {
        let Self { network, precision, recompute, graphs, .. } = self;
        // The network with two moments, and the average.
        let phases = &[Passes { learning: 1, ..Passes::default() }];
        let (precision, recompute, graphs) = (*precision, *recompute, *graphs);
        Tensors { network, parameters, copies: 4, phases, precision, recompute, graphs }.bytes(pace, ranks)
    }

    /// The learning rate after `nimg` images.
    pub fn lr_at(&self, nimg: u64) -> f64 {
        self.lr * (nimg as f64 / (self.lr_rampup_kimg.0 * 1000.0).max(1e-8)).min(1.0)
    }
}
