//! `Replicas`: what the copies of one training have to agree on.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};

use crate::{
    Result,
    kernels::{self, Seat},
    ranks::Ranks,
};

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
/// Both travel together, once in each phase, and are added up in the order of a tree over the micro-batches' numbers. Where every replica has a run of it whose
/// length is a power of two, and `reduce` adds up in the order of a tree over the replicas, they learn bit for bit what
/// one learns alone.
///
/// What a mean over a micro-batch normalises (SiDA's discriminator) stays within it, and is never reduced. What the loop
/// around a training reads off the clock or the world, such as that it was asked to stop, is one replica's to decide for
/// all; files are one replica's to write.
pub trait Replicas {
    /// The samples of a batch that are this replica's. Shares are disjoint, make up the batch, and have equally many rounds.
    fn share(&self, batch_size: u64) -> Range<u64>;

    /// Whether there is but one: what it has is the sum.
    fn are_one(&self) -> bool;

    /// The sum over all replicas of each value. All replicas call it equally often, each time with equally many values in
    /// the same order. The tensor has no tape.
    ///
    /// # Errors
    /// Another replica is lost.
    fn reduce(&self, own: Tensor<1>) -> Result<Tensor<1>>;
}

/// One replica for each rank.
impl Replicas for Ranks {
    fn share(&self, batch_size: u64) -> Range<u64> {
        let [rank, count] = [self.rank(), self.count()].map(|n| n as u64);
        let share = batch_size / count;
        rank * share..(rank + 1) * share
    }

    fn are_one(&self) -> bool {
        Self::are_one(self)
    }

    fn reduce(&self, own: Tensor<1>) -> Result<Tensor<1>> {
        let seat = Seat { rank: self.rank(), ranks: self.count() };
        let own = match if self.add_up_by_device() { kernels::all_reduce(own, seat) } else { Err(own) } {
            Ok(sum) => return Ok(sum),
            Err(own) => own,
        };
        let device = own.device();
        let mut values: Vec<f32> = kernels::host(own).try_into_vec().expect("what is reduced is f32");
        self.sum(&mut values)?;
        let len = values.len();
        Ok(Tensor::from_data(TensorData::new(values, [len]), &device))
    }
}
