//! How much memory a training needs, before it runs.

use super::{pace::Pace, tree::Tree};
use crate::{
    diffusion::Precision,
    nn::{
        NetworkConfig,
        activations::{Kept, Wanted},
    },
};

/// The tensors of a training, in numbers of networks and passes. What they share with its arithmetic stands here once.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a> {
    /// The network that all are copies of.
    pub network: &'a NetworkConfig,
    /// Its parameters.
    pub parameters: u64,
    /// Copies of the parameters in f32: networks, averages, and two moments for each that learns.
    pub copies: u64,
    /// Of each phase of an iteration, the passes on the tape at the same time.
    pub phases: &'a [Passes],
    /// Arithmetic of the passes.
    pub precision: Precision,
    /// Whether blocks are run again instead of keeping their activations.
    pub recompute: bool,
    /// Whether each phase is a graph, whose memory is nobody else's.
    pub graphs: bool,
}

/// Passes that wait together for one backward pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passes {
    /// Of networks that learn.
    pub learning: u64,
    /// Of networks that judge.
    pub judging: u64,
    /// Of the encoder alone of a network that learns.
    pub encoding: u64,
}

/// The activations that a backward pass itself has in hand: gradients to and from an operation, and what is added to them.
const IN_HAND: u64 = 4;

/// Bytes of a value.
const F32: u64 = 4;

impl Tensors<'_> {
    /// Bytes at the peak of an iteration, on each of so many ranks that share it, without what drivers and libraries take.
    /// A GPU's pools take more than is in use.
    pub fn bytes(&self, pace: &Pace<'_>, ranks: u32) -> u64 {
        let copy = F32 * self.parameters;
        let phases = self.phases.iter().map(|passes| self.phase(*passes, pace.microbatch_size()));
        // The leaf is a phase's own.
        let sums = Tree::<()>::sums(pace.rounds() as usize, ranks as usize) as u64 - 1;
        let (phases, flat) = if self.graphs {
            // What comes out of each is flat before it is summed.
            (phases.fold(0, u64::saturating_add), self.phases.len() as u64)
        } else {
            (phases.max().unwrap_or(0), 0)
        };
        ((self.copies + sums + flat) * copy).saturating_add(phases)
    }

    /// Bytes at the peak of a phase. As a backward pass begins all activations are there and no gradients, in the middle of
    /// the U at most half of the ones and most of the others: all activations are counted, and half of the gradients.
    fn phase(&self, Passes { learning, judging, encoding }: Passes, microbatch: u32) -> u64 {
        let width = if self.precision == Precision::Fp32 { 4 } else { 2 };
        let [of_learning, of_judging]: [Kept; 2] =
            [Wanted::Weights, Wanted::Images].map(|wanted| self.network.kept(wanted, self.recompute));
        let per_image = learning * of_learning.all()
            + encoding * of_learning.encoder
            + judging * of_judging.all()
            + of_learning.again
            + IN_HAND * of_learning.largest;
        // EDM2's weights are used normalised, half precision's rounded: that is what the tape keeps.
        let as_used = match self.precision {
            Precision::Fp32 => 4 * u64::from(self.network.is_edm2()),
            Precision::Bf16 | Precision::Fp16 => 2,
        };
        let weights = (learning + judging) * as_used * self.parameters;
        let gradients = F32 * self.parameters - F32 * self.parameters / 2;
        let activations = per_image.saturating_mul(width * u64::from(microbatch));
        (weights + gradients).saturating_add(activations)
    }
}
