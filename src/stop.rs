//! `Stop`: asks long work to save and stop, and knows what would be lost if it were cut off instead.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

/// Asks running work to save and stop at the next safe point.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    stake: Arc<AtomicU8>,
}

/// What would be lost if the process ended at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Stake {
    /// Nothing: all that is finished is on disk, and what is under way would begin anew in any case.
    #[default]
    Nothing,
    /// What a training came to since its last checkpoint.
    SinceCheckpoint,
    /// What is being written; or the work of others who wait for this process.
    All,
}

/// Something is at stake while it lives.
#[derive(Debug)]
pub struct AtStake<'a> {
    stop: &'a Stop,
    before: u8,
}

impl Stop {
    /// Asks for it.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for.
    pub fn requested(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The flag itself, for others who may ask.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// From now on so much is at stake, or what was before where that is more.
    pub fn stakes(&self, stake: Stake) -> AtStake<'_> {
        AtStake { stop: self, before: self.stake.fetch_max(stake as u8, Ordering::SeqCst) }
    }

    /// What is at stake now.
    pub fn stake(&self) -> Stake {
        let stakes = [Stake::Nothing, Stake::SinceCheckpoint, Stake::All];
        stakes[usize::from(self.stake.load(Ordering::SeqCst))]
    }
}

impl Drop for AtStake<'_> {
    fn drop(&mut self) {
        self.stop.stake.store(self.before, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_stake_is_the_most_of_what_lives() {
        let stop = Stop::default();
        assert_eq!(stop.stake(), Stake::Nothing);
        {
            let _training = stop.stakes(Stake::SinceCheckpoint);
            {
                let _saving = stop.stakes(Stake::All);
                let _less = stop.stakes(Stake::Nothing);
                assert_eq!(stop.stake(), Stake::All);
            }
            assert_eq!(stop.stake(), Stake::SinceCheckpoint);
        }
        assert_eq!(stop.stake(), Stake::Nothing);
    }
}
