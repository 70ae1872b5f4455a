//! The divergence guard: notices that a training ran away while there is still a good checkpoint to keep.

use std::collections::VecDeque;

/// What the guard looks at, once per status.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Mean over the status period of each network's loss per image; NaN where a loss was not finite.
    pub losses: [f64; 2],
    /// Share of the samples that were dropped because they held a NaN.
    pub masked_share: f64,
    /// Standard deviation of the generated pixels between images of one class; `None` when not generating.
    pub spread: Option<f64>,
}

/// Sentences for the two losses, in the order of `Vitals::losses`.
const NAMES: [&str; 2] = ["the fake score network's loss", "the generator's loss"];

/// A loss this many times the median of its own past is an explosion.
const EXPLOSION: f64 = 30.0;
/// Statuses before a median means something.
const WARM_UP: usize = 3;
/// Pixels in [-1, 1] that vary less than this between images are one image.
const COLLAPSE: f64 = 0.01;
/// A single bad status is a spike; this many in a row are a divergence.
const PATIENCE: usize = 2;

/// Watches one training.
#[derive(Debug, Default)]
pub struct Guard {
    past: [VecDeque<f64>; 2],
    bad_in_a_row: usize,
}

impl Guard {
    /// Looks at one status; says what is wrong once it is wrong for good. A checkpoint must not be written
    /// while `is_suspicious`.
    pub fn look(&mut self, vitals: &Vitals) -> Option<String> {
        let complaint = self.complaint(vitals);
        match &complaint {
            None => self.bad_in_a_row = 0,
            Some(_) => self.bad_in_a_row += 1,
        }
        // NaN weights never recover, so a NaN needs no patience.
        let hopeless = vitals.losses.iter().any(|l| !l.is_finite()) || vitals.masked_share >= 1.0;
        complaint.filter(|_| hopeless || self.bad_in_a_row >= PATIENCE)
    }

    /// Whether the last status was bad, though perhaps only once.
    pub fn is_suspicious(&self) -> bool {
        self.bad_in_a_row > 0
    }

    fn complaint(&mut self, vitals: &Vitals) -> Option<String> {
        if vitals.masked_share >= 0.5 {
            return Some(format!("{:.0} % of the samples held a NaN", vitals.masked_share * 100.0));
        }
        for (i, loss) in vitals.losses.iter().enumerate() {
            if !loss.is_finite() {
                return Some(format!("{} is not a number", NAMES[i]));
            }
            let size = loss.abs();
            let usual = median(&self.past[i]);
            if self.past[i].len() >= WARM_UP && size > EXPLOSION * usual.max(1e-3) {
                return Some(format!("{} rose to {size:.3e} per image; it was about {usual:.3e}", NAMES[i]));
            }
            self.past[i].push_back(size);
            if self.past[i].len() > 50 {
                self.past[i].pop_front();
            }
        }
        let spread = vitals.spread?;
        (spread < COLLAPSE).then(|| {
            format!(
                "all images of a class became the same one (their pixels differ by {spread:.1e} in [-1, 1])"
            )
        })
    }
}

fn median(values: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm() -> Vitals {
        Vitals { losses: [1.0, 50.0], masked_share: 0.0, spread: Some(0.4) }
    }

    #[test]
    fn an_ordinary_training_passes() {
        let mut guard = Guard::default();
        for i in 0..200 {
            let wobble = 1.0 + f64::from(i % 7);
            assert_eq!(guard.look(&Vitals { losses: [wobble, -wobble * 9.0], ..calm() }), None);
        }
    }

    #[test]
    fn nan_stops_at_once() {
        let seen = Guard::default().look(&Vitals { losses: [f64::NAN, 1.0], ..calm() }).unwrap();
        assert!(seen.contains("fake score"), "{seen}");
        assert!(Guard::default().look(&Vitals { masked_share: 1.0, ..calm() }).is_some());
    }

    #[test]
    fn one_spike_is_forgiven_and_two_are_not() {
        let mut guard = Guard::default();
        for _ in 0..5 {
            guard.look(&calm());
        }
        let spike = Vitals { losses: [1.0, 5000.0], ..calm() };
        assert_eq!(guard.look(&spike), None);
        assert!(guard.is_suspicious());
        assert_eq!(guard.look(&calm()), None);
        guard.look(&spike);
        assert!(guard.look(&spike).unwrap().contains("generator"));
    }

    #[test]
    fn one_image_for_all_is_a_collapse() {
        let mut guard = Guard::default();
        let flat = Vitals { spread: Some(0.001), ..calm() };
        assert_eq!(guard.look(&flat), None);
        assert!(guard.look(&flat).unwrap().contains("same one"));
    }
}
