//! `Pace`: how long a training is, in what portions it sees images, and how often it shows and saves what it has.

use std::ops::Range;

use super::{guard::Guard, microbatch::Microbatch, snapshots::Snapshots};
use crate::kimg::Kimg;

/// The fields that the recipes of both trainings have in common, for the rules and the loop around them. Their names
/// are the pipeline file's.
#[derive(Clone, Copy, Debug)]
pub struct Pace<'a> {
    /// Length of the training.
    pub duration_kimg: Kimg,
    /// Images per iteration.
    pub batch_size: u32,
    /// Images in memory at once, where that is said.
    pub microbatch_size: Option<Microbatch>,
    /// How often a line of statistics is written.
    pub status_every_kimg: Kimg,
    /// How often the state is saved.
    pub checkpoint_every_kimg: Kimg,
    /// Weights, sample grids and metrics along the way.
    pub snapshots: Option<&'a Snapshots>,
    /// When it is stopped.
    pub guard: &'a Guard,
}

impl Pace<'_> {
    /// Images in memory at once. Until a device has been looked at, `auto` counts as the least that it may come to.
    pub fn microbatch_size(&self) -> u32 {
        match self.microbatch_size {
            None => self.batch_size,
            Some(Microbatch::Size(size)) => size,
            Some(Microbatch::Auto(_)) => 1,
        }
    }

    /// Whether a device has to say how many images are in memory at once.
    pub fn is_open(&self) -> bool {
        self.microbatch_size == Some(Microbatch::AUTO)
    }

    /// The same with so many images in memory at once.
    #[must_use]
    pub fn with(&self, microbatch_size: u32) -> Self {
        Self { microbatch_size: Some(Microbatch::Size(microbatch_size)), ..*self }
    }

    /// Gradient-accumulation rounds.
    pub fn rounds(&self) -> u32 {
        self.batch_size / self.microbatch_size()
    }

    /// The samples of each round, of those in `share`.
    pub fn samples(&self, share: Range<u64>) -> impl Iterator<Item = Range<u64>> + Clone + use<> {
        let size = u64::from(self.microbatch_size());
        share.clone().step_by(size as usize).map(move |first| first..(first + size).min(share.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_split_a_batch_or_a_share_of_it() {
        let every = Kimg(1.0);
        let pace = Pace {
            duration_kimg: every,
            batch_size: 12,
            microbatch_size: Some(Microbatch::Size(4)),
            status_every_kimg: every,
            checkpoint_every_kimg: every,
            snapshots: None,
            guard: &Guard::default(),
        };
        assert_eq!(pace.samples(0..12).collect::<Vec<_>>(), [0..4, 4..8, 8..12]);
        assert_eq!(pace.samples(6..12).collect::<Vec<_>>(), [6..10, 10..12]);
        let whole = Pace { microbatch_size: None, ..pace };
        let mut samples = whole.samples(0..12);
        assert_eq!((whole.rounds(), samples.next(), samples.next()), (1, Some(0..12), None));
    }
}
