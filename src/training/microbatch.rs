//! `Microbatch`: how many images of a batch are in memory at once, as a recipe writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pace::Pace;

/// Images that are in memory at once: a number, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Microbatch {
    /// As many as fit into the device's memory.
    Auto(Auto),
    /// So many.
    Size(#[schemars(range(min = 1, max = 16777216))] u32),
}

/// The word for as many as fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// The largest micro-batch that fits into the memory of the device that the training begins on.
    Auto,
}

impl Microbatch {
    /// The word.
    pub const AUTO: Self = Self::Auto(Auto::Auto);
}

impl Pace<'_> {
    /// The largest micro-batch that divides what each of so many ranks has of a batch, and whose iteration needs at most
    /// `memory` bytes; `bytes` says what one needs. `None` where a single image is too much, or ranks have no equal shares.
    pub fn largest_microbatch(
        &self,
        ranks: u32,
        memory: u64,
        bytes: impl Fn(&Pace<'_>) -> u64,
    ) -> Option<u32> {
        let share = self.batch_size.checked_div(ranks).filter(|share| share * ranks == self.batch_size)?;
        let fits = |size: &u32| bytes(&self.with(*size)) <= memory;
        (1..=share).rev().filter(|size| share.is_multiple_of(*size)).find(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kimg::Kimg, training::Guard};

    fn pace(batch_size: u32) -> Pace<'static> {
        static GUARD: Guard = Guard::Off(crate::training::guard::Off::Off);
        let every = Kimg(1.0);
        Pace {
            duration_kimg: every,
            batch_size,
            microbatch_size: Some(Microbatch::AUTO),
            status_every_kimg: every,
            checkpoint_every_kimg: every,
            snapshots: None,
            guard: &GUARD,
        }
    }

    #[test]
    fn the_largest_that_fits_divides_what_each_rank_has() {
        // Ten bytes of weights, and one for an image.
        let bytes = |pace: &Pace<'_>| 10 + u64::from(pace.microbatch_size());
        let largest = |batch, ranks, memory| pace(batch).largest_microbatch(ranks, memory, bytes);
        let cases = [
            ((64, 1, 1000), Some(64)),
            ((64, 1, 74), Some(64)),
            ((64, 1, 73), Some(32)),
            ((60, 1, 30), Some(20)),
            ((60, 4, 1000), Some(15)),
            ((60, 4, 20), Some(5)),
            ((7, 1, 16), Some(1)),
            ((64, 1, 11), Some(1)),
            ((64, 1, 10), None),
            ((64, 3, 1000), None),
            ((1, 1, 11), Some(1)),
        ];
        for ((batch, ranks, memory), expected) in cases {
            assert_eq!(largest(batch, ranks, memory), expected, "{batch} of {ranks} ranks in {memory}");
        }
    }

    #[test]
    fn what_fits_is_never_more_in_less_memory_nor_beyond_it() {
        let bytes = |pace: &Pace<'_>| 100 + 3 * u64::from(pace.microbatch_size());
        for batch in 1..=96 {
            for ranks in (1..=8).filter(|ranks| batch % ranks == 0) {
                let mut before = 0;
                for memory in (100..500).step_by(7) {
                    let Some(size) = pace(batch).largest_microbatch(ranks, memory, bytes) else {
                        assert!(before == 0 && memory < 103);
                        continue;
                    };
                    assert!((batch / ranks).is_multiple_of(size) && 100 + 3 * u64::from(size) <= memory);
                    assert!(size >= before);
                    before = size;
                }
            }
        }
    }
}
