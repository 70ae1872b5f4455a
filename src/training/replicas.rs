//! `Replicas`: what the copies of one training have to agree on. Data parallelism will stand here.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::kernels::{self, Reading};

/// The replicas of a training, as one of them sees the others.
///
/// Replicas start from equal networks and run the same iterations, each on its own share of every batch: a supply is
/// asked for no other samples. Draws follow from a sample's number within the whole batch, whoever draws it, so nothing
/// random has to be agreed on. Networks, moments and averages stay equal as long as every replica takes equal steps. For
/// that it needs
///
/// * the *sum* of all replicas' gradients (not the mean: losses are divided by the size of the whole batch already). A
///   student reduces them before it cleans and clips them: a NaN of one replica is a NaN of the sum, so that all clean
///   the same values, and report the same norm.
/// * the sum of the numbers of every round: losses, and how many samples were dropped. The divergence guard judges them,
///   and all replicas have to come to its one verdict.
///
/// Both are added up in the order of a tree over the micro-batches' numbers. Where every replica has a run of it whose
/// length is a power of two, and `reduce` adds up in the order of a tree over the replicas, they learn bit for bit what
/// one learns alone.
///
/// What a mean over a micro-batch normalises (SiDA's discriminator) stays within it, and is never reduced. What the loop
/// around a training reads off the clock or the world, such as that it was asked to stop, is one replica's to decide for
/// all; files are one replica's to write.
pub trait Replicas {
    /// The samples of a batch that are this replica's. Shares are disjoint, make up the batch, and have equally many rounds.
    fn share(&self, batch_size: u64) -> Range<u64>;

    /// The sum over all replicas of each value. All replicas call it equally often, each time with equally many values in
    /// the same order. The tensor has no tape.
    fn reduce(&self, own: Tensor<1>) -> Tensor<1>;
}

/// Numbers in the order given, in one read: the sums over all replicas of this one's `own`, then those `shared` ones that
/// all replicas have alike.
pub fn read(own: Vec<Tensor<1>>, shared: Vec<Tensor<1>>, replicas: &impl Replicas) -> Reading {
    let mut all = vec![replicas.reduce(Tensor::cat(own, 0))];
    all.extend(shared);
    kernels::read(Tensor::cat(all, 0))
}

/// The only replica: every batch is its own, and what it has is the sum.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Replicas for Alone {
    fn share(&self, batch_size: u64) -> Range<u64> {
        0..batch_size
    }

    fn reduce(&self, own: Tensor<1>) -> Tensor<1> {
        own
    }
}
