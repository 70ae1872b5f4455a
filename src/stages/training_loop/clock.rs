//! `Clock`: wall time, of the whole training and of the last status period; and that of each rank.

use std::time::{Duration, Instant};

use crate::{kimg::Kimg, ranks::Ranks, stages::stats_jsonl::peak_memory_mib};

pub(super) struct Clock<'a> {
    counted: Instant,
    status: Instant,
    status_nimg: u64,
    ranks: &'a Ranks,
}

impl<'a> Clock<'a> {
    pub(super) fn start(nimg: u64, ranks: &'a Ranks) -> Self {
        Self { counted: Instant::now(), status: Instant::now(), status_nimg: nimg, ranks }
    }

    /// Seconds since the last call.
    pub(super) fn since_counted(&mut self) -> f64 {
        let seconds = self.counted.elapsed().as_secs_f64();
        self.counted = Instant::now();
        seconds
    }

    /// Does an iteration, and lets the other ranks know what it cost this one, without what it waited for them.
    pub(super) fn own<T>(&self, iteration: impl FnOnce() -> T) -> T {
        let (began, waited) = (Instant::now(), self.ranks.waited());
        let done = iteration();
        let others = self.ranks.waited().saturating_sub(waited);
        self.ranks.took(began.elapsed().saturating_sub(others));
        done
    }

    /// What a line of statistics says of time: `images_per_second` is that of all ranks together.
    pub(super) fn status(&mut self, nimg: u64, seconds: f64) -> Vec<(&'static str, f64)> {
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
        line.extend(self.of_ranks(per_second));
        line.extend(peak_memory_mib().map(|mib| ("peak_memory_mib", mib)));
        line
    }

    /// How many ranks there are, what each makes, which of them is the slowest, and how much longer its own work takes than
    /// that of the middle one.
    fn of_ranks(&self, per_second: f64) -> Vec<(&'static str, f64)> {
        if self.ranks.are_one() {
            return Vec::new();
        }
        let ranks = self.ranks.count() as f64;
        let mut line = vec![("ranks", ranks), ("images_per_second_and_rank", per_second / ranks)];
        let seconds = self.ranks.seconds();
        if let Some((slowest, ratio)) = slowest(&seconds) {
            line.extend([("slowest_rank", slowest as f64), ("slowest_rank_takes", ratio)]);
        }
        line
    }
}

/// Whose iterations take longest, and how many times as long as the middle one's; `None` while they are not all known.
fn slowest(seconds: &[Duration]) -> Option<(usize, f64)> {
    let (slowest, longest) = seconds.iter().enumerate().max_by_key(|(_, seconds)| **seconds)?;
    let mut sorted = seconds.to_vec();
    sorted.sort();
    let middle = sorted[(sorted.len() - 1) / 2];
    (!sorted[0].is_zero()).then(|| (slowest, longest.as_secs_f64() / middle.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_is_named_once_all_are_known() {
        let ms = |all: &[u64]| slowest(&all.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>());
        assert_eq!(ms(&[10, 10, 30, 10]), Some((2, 3.0)));
        assert_eq!(ms(&[10, 20]), Some((1, 2.0)));
        assert_eq!((ms(&[10, 0]), ms(&[])), (None, None));
    }
}
