//! `Distill`: a distillation as the pipeline file writes it and as the trainer reads it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_inline_default::serde_inline_default;

use super::method::Method;
use crate::{
    diffusion::Precision,
    kimg::Kimg,
    location::Location,
    nn::NetworkConfig,
    stage_name::StageName,
    training::{Ema, Guard, Microbatch, Pace, Passes, Snapshots, Tensors},
};

/// Distills a teacher into a generator that needs one step.
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Distill {
    /// The stage that makes the teacher: `load_teacher` or `train_teacher`.
    pub teacher: StageName,
    /// The stage that makes the dataset. SiD reads only its labels and may do without; SiDA and SiD2A need its images. Left out while snapshots have metrics: the pipeline's only dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<StageName>,
    /// SiD, SiDA or SiD2A.
    pub method: Method,
    /// The generator and its optimizer.
    #[serde(default)]
    pub generator: Generator,
    /// The fake score network and its optimizer.
    #[serde(default)]
    pub fake_score: FakeScore,
    /// What only EDM2 networks know; for those, its defaults hold when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edm2: Option<Edm2Settings>,
    /// Length of the training, in thousands of images. A longer run continues a shorter one that differs only here.
    #[serde_inline_default(Kimg(200_000.0))]
    pub duration_kimg: Kimg,
    /// Images per iteration.
    #[serde_inline_default(512)]
    #[schemars(range(min = 1, max = 16777216))]
    pub batch_size: u32,
    /// Images that are in memory at once; gradients are accumulated over `batch_size / microbatch_size` rounds. With an
    /// adversarial term this is part of the mathematics, because the discriminator's loss is a mean over it. Without one,
    /// `auto` is as many as fit into the device's memory: results differ in rounding alone. Default: `batch_size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microbatch_size: Option<Microbatch>,
    /// The moving average of the generator's weights: what the stage hands on.
    #[serde(default)]
    pub ema: Ema,
    /// Probability of each augmentation of the images that the fake score network sees.
    #[serde_inline_default(0.12)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub augment: f64,
    /// Arithmetic of the networks; losses, optimizers and EMA are fp32 always.
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
    #[serde_inline_default(Kimg(10.0))]
    pub status_every_kimg: Kimg,
    /// How often the state is saved from which an interrupted run continues.
    #[serde_inline_default(Kimg(2000.0))]
    pub checkpoint_every_kimg: Kimg,
    /// Weights, sample grids and metrics along the way.
    #[serde(default)]
    pub snapshots: Snapshots,
    /// When the training counts as run away and is stopped, relative to its own beginning; `off` where it never is.
    #[serde(default, skip_serializing_if = "Guard::is_default")]
    pub guard: Guard,
    /// A state of the PyTorch release to start from, instead of the teacher's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_from: Option<StartFrom>,
}

impl Distill {
    /// What it has in common with other trainings.
    pub fn pace(&self) -> Pace<'_> {
        Pace {
            duration_kimg: self.duration_kimg,
            batch_size: self.batch_size,
            microbatch_size: self.microbatch_size,
            status_every_kimg: self.status_every_kimg,
            checkpoint_every_kimg: self.checkpoint_every_kimg,
            snapshots: Some(&self.snapshots),
            guard: &self.guard,
        }
    }
}

impl Distill {
    /// Bytes of memory at the peak of an iteration at this pace, of copies of `network`, which has so many `parameters`, on
    /// each of so many ranks.
    pub fn memory_bytes(&self, pace: &Pace<'_>, network: &NetworkConfig, parameters: u64, ranks: u32) -> u64 {
        let encoding = u64::from(self.method.terms().adversarial.is_some());
        let of_fake_score = Passes { learning: 1, encoding, judging: 0 };
        let of_generator = Passes { learning: u64::from(self.generator.num_steps), judging: 2, encoding: 0 };
        // The teacher, two students with two moments each, and the average.
        let phases = &[of_fake_score, of_generator];
        let Self { precision, recompute, graphs, .. } = *self;
        Tensors { network, parameters, copies: 8, phases, precision, recompute, graphs }.bytes(pace, ranks)
    }
}

/// The generator and its optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Generator {
    /// Standard deviation of the noise that the generator turns into an image, and the noise level it is told.
    // From less noise comes hardly more than gray.
    #[schemars(range(min = 0.1, max = 1000.0))]
    pub init_sigma: f64,
    /// Number of generator steps during training; 1 is the paper's.
    #[schemars(range(min = 1, max = 64))]
    pub num_steps: u32,
    /// Learning rate.
    #[schemars(range(min = 0.000000000001, max = 1.0))]
    pub lr: f64,
    /// Adam's decay rates of the first and second moment.
    #[schemars(inner(range(min = 0.0, max = 0.9999999)))]
    pub betas: [f64; 2],
    /// Adam's epsilon. Default: 1e-8, with fp16 1e-6.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1e-30, max = 1.0))]
    pub epsilon: Option<f64>,
    /// Factor of the generator's loss.
    #[schemars(range(min = 0.000001, max = 100000000.0))]
    pub loss_scale: f64,
}

impl Default for Generator {
    fn default() -> Self {
        Self {
            init_sigma: 2.5,
            num_steps: 1,
            lr: 1e-5,
            betas: [0.0, 0.999],
            epsilon: None,
            loss_scale: 100.0,
        }
    }
}

/// The fake score network and its optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FakeScore {
    /// Learning rate.
    #[schemars(range(min = 0.000000000001, max = 1.0))]
    pub lr: f64,
    /// Adam's decay rates of the first and second moment.
    #[schemars(inner(range(min = 0.0, max = 0.9999999)))]
    pub betas: [f64; 2],
    /// Adam's epsilon. Default: 1e-8, with fp16 1e-6.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1e-30, max = 1.0))]
    pub epsilon: Option<f64>,
    /// Factor of the fake score network's loss.
    #[schemars(range(min = 0.000001, max = 100000000.0))]
    pub loss_scale: f64,
    /// Mean of ln(sigma) of the noise on generated images.
    #[schemars(range(min = -10.0, max = 10.0))]
    pub p_mean: f64,
    /// Standard deviation of ln(sigma) of the noise on generated images.
    #[schemars(range(min = 0.01, max = 5.0))]
    pub p_std: f64,
    /// Clips every element of the gradient to plus or minus this. Default: not clipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000000000001, max = 1000000000000.0))]
    pub clip_grad_value: Option<f64>,
}

impl Default for FakeScore {
    fn default() -> Self {
        Self {
            lr: 1e-5,
            betas: [0.0, 0.999],
            epsilon: None,
            loss_scale: 1.0,
            p_mean: -1.2,
            p_std: 1.2,
            clip_grad_value: None,
        }
    }
}

/// What only EDM2 networks know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Edm2Settings {
    /// Weights the fake score network's loss by the uncertainty that its logvar head predicts.
    pub weight_by_logvar: bool,
    /// Normalises the generator's weights to unit magnitude before every training pass.
    pub force_normalization: bool,
}

impl Default for Edm2Settings {
    fn default() -> Self {
        Self { weight_by_logvar: true, force_normalization: true }
    }
}

/// A state of the PyTorch release to start from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartFrom {
    /// A `training-state-*.pt`: fake score network, generator, its EMA and both Adam states.
    pub training_state: Location,
    /// Images seen so far, in thousands. Default: the number in the file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kimg: Option<Kimg>,
}
