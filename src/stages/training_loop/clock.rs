//! `Clock`: wall time, of the whole training and of the last status period; and that of each rank.

use std::time::{Duration, Instant};

use crate::{kimg::Kimg, peak_memory, ranks::Ranks};

pub(super) struct Clock<'a> {
    counted: Instant,
    status: Instant,
    status_nimg: u64,
    ranks: &'a Ranks,
    /// This rank's own work since the last status.
    own: Duration,
}

impl<'a> Clock<'a> {
    pub(super) fn start(nimg: u64, ranks: &'a Ranks) -> Self {
        Self {
            counted: Instant::now(),
            status: Instant::now(),
            status_nimg: nimg,
            ranks,
            own: Duration::ZERO,
        }
    }

    /// Seconds since the last call.
    pub(super) fn since_counted(&mut self) -> f64 {
        let seconds = self.counted.elapsed().as_secs_f64();
        self.counted = Instant::now();
        seconds
    }

    /// Does an iteration, and notes what it cost this rank, without what it waited for others.
    pub(super) fn own<T>(&mut self, iteration: impl FnOnce() -> T) -> T {
        let (began, waited) = (Instant::now(), self.ranks.waited());
        let done = iteration();
        let others = self.ranks.waited().saturating_sub(waited);
        self.own += began.elapsed().saturating_sub(others);
        done
    }

    /// What iterations cost this rank since the last call.
    pub(super) fn own_seconds(&mut self) -> f64 {
        std::mem::take(&mut self.own).as_secs_f64()
    }

    /// What a line of statistics says of time: `images_per_second` is that of all ranks together. `of_ranks`: the seconds of
    /// each rank's own work.
    pub(super) fn status(&mut self, nimg: u64, seconds: f64, of_ranks: &[f64]) -> Vec<(&'static str, f64)> {
        let kimg = Kimg::from_nimg(nimg - self.status_nimg).0.max(1e-9);
        let elapsed = self.status.elapsed().as_secs_f64();
        (self.status, self.status_nimg) = (Instant::now(), nimg);
        let per_second = 1000.0 * kimg / elapsed.max(1e-9);
        let mut line = vec![
            ("nimg", nimg as f64),
            ("kimg", Kimg::from_nimg(nimg).0),
            ("seconds", seconds),
            ("seconds_per_kimg", elapsed / kimg),
            ("images_per_second", per_second),
        ];
        line.extend(self.of_ranks(per_second, of_ranks));
        line.extend(peak_memory::of_process().map(|mib| ("peak_memory_mib", mib)));
        line
    }

    /// How many ranks there are, what each makes, which of them is the slowest, and how much longer its own work takes than
    /// that of the middle one.
    fn of_ranks(&self, per_second: f64, seconds: &[f64]) -> Vec<(&'static str, f64)> {
        if self.ranks.are_one() {
            return Vec::new();
        }
        let ranks = self.ranks.count() as f64;
        let mut line = vec![("ranks", ranks), ("images_per_second_and_rank", per_second / ranks)];
        if let Some((slowest, ratio)) = slowest(seconds) {
            line.extend([("slowest_rank", slowest as f64), ("slowest_rank_takes", ratio)]);
        }
        line
    }
}

/// Whose iterations take longest, and how many times as long as the middle one's.
fn slowest(seconds: &[f64]) -> Option<(usize, f64)> {
    let (slowest, longest) = seconds.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some((slowest, longest / sorted[(sorted.len() - 1) / 2].max(1e-9)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_is_named() {
        assert_eq!(slowest(&[1.0, 1.0, 3.0, 1.0]), Some((2, 3.0)));
        assert_eq!(slowest(&[1.0, 2.0]), Some((1, 2.0)));
        assert_eq!(slowest(&[]), None);
    }
}
