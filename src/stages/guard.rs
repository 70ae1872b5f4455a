//! The divergence guard: notices that a training ran away while there is still a good checkpoint to keep.
//!
//! Measured on 8x8 digits with the quickstart's networks, status lines of 0.5 to 1 kimg. Good runs of SiD, SiDA and SiD2A:
//! the generator's loss has a size of 60 to 236 per image, which is at most 0.037 per pixel and loss scale, and it is
//! never more than 3 times its own median; the fake score's loss is 20 to 39, the teacher's at most 102. SiD with
//! learning rates of 1e-2: 1702 to 3599 from the first line on (0.27 to 0.56), with a fake score's loss of 85 to 156, so
//! that a comparison with its own past would never notice.
//!
//! Images of one class differ by a standard deviation of 0.142 when a distillation begins (the teacher in one step), 0.33 to
//! 0.36 in good runs, and 0.033 once a learning rate of 1e-2 has made one image of every class; with 1e-2 for the generator
//! alone, losses look healthy (8 to 141) while the images go from 0.063 at 5 kimg to 0.043 at 10.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// What the guard looks at, once per status.
#[derive(Clone, Debug)]
pub struct Vitals {
    /// Each network's loss, always in the same order.
    pub losses: Vec<Loss>,
    /// Share of the samples that were dropped because they held a NaN.
    pub masked_share: f64,
    /// Standard deviation of the generated pixels between images of one class; `None` when not generating.
    pub spread: Option<f64>,
}

/// A loss over a status period.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// What it is, such as `the generator's loss`.
    pub name: &'static str,
    /// Its mean per image; NaN where a loss was not finite.
    pub value: f64,
    /// A size that it never has while anything is learnt.
    pub limit: f64,
}

/// The largest size of SiD's loss per value of an image and unit of loss scale. Roughly the mean distance between the
/// two scores' images, which are in [-1, 1].
pub const GENERATOR_LIMIT: f64 = 0.2;
/// The largest denoising loss per value of an image and unit of loss scale; a network that does nothing has about 1.
pub const DENOISING_LIMIT: f64 = 30.0;

/// A loss this many times the median of its own past is an explosion.
const EXPLOSION: f64 = 30.0;
/// Statuses before a median means something.
const WARM_UP: usize = 3;
/// Images of a class that vary less than this share of what they did at the beginning collapse to one image.
const COLLAPSE: f64 = 0.4;
/// Pixels in [-1, 1] that vary less than this are one image whatever was before.
const CONSTANT: f64 = 0.002;
/// A single bad status is a spike; this many in a row are a divergence.
const PATIENCE: usize = 2;

/// Watches one training; checkpoints keep it, so that an interruption makes it forget nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    past: Vec<VecDeque<f64>>,
    bad_in_a_row: usize,
    first_spread: Option<f64>,
}

impl Guard {
    /// Takes note of how much images of a class differ before anything is learnt.
    pub fn begin(&mut self, spread: Option<f64>) {
        self.first_spread = self.first_spread.or(spread);
    }

    /// Looks at one status; says what is wrong once it is wrong for good.
    pub fn look(&mut self, vitals: &Vitals) -> Option<String> {
        let complaint = self.complaint(vitals);
        self.remember(vitals);
        match &complaint {
            None => self.bad_in_a_row = 0,
            Some(_) => self.bad_in_a_row += 1,
        }
        // NaN weights never recover, so a NaN needs no patience.
        let hopeless = vitals.losses.iter().any(|loss| !loss.value.is_finite()) || vitals.masked_share >= 1.0;
        complaint.filter(|_| hopeless || self.bad_in_a_row >= PATIENCE)
    }

    /// Whether the last status was bad, though perhaps only once: such a state is no checkpoint.
    pub fn is_suspicious(&self) -> bool {
        self.bad_in_a_row > 0
    }

    /// Whether a state between two statuses may become a checkpoint.
    pub fn approves(&self, vitals: &Vitals) -> bool {
        !self.is_suspicious() && self.complaint(vitals).is_none()
    }

    fn complaint(&self, vitals: &Vitals) -> Option<String> {
        if vitals.masked_share >= 0.5 {
            return Some(format!("{:.0} % of the samples held a NaN", vitals.masked_share * 100.0));
        }
        for (i, Loss { name, value, limit }) in vitals.losses.iter().enumerate() {
            if !value.is_finite() {
                return Some(format!("{name} is not a number"));
            }
            let size = value.abs();
            if size > *limit {
                return Some(format!(
                    "{name} is {value:.0} per image, and beyond {limit:.0} nothing is learnt"
                ));
            }
            if let Some(usual) = self.past.get(i).and_then(|past| exploded(past, size)) {
                return Some(format!("{name} rose to {size:.3e} per image, from about {usual:.3e}"));
            }
        }
        let spread = vitals.spread?;
        let first = self.first_spread.unwrap_or(0.0);
        let healthy = spread >= CONSTANT && spread >= COLLAPSE * first;
        (!healthy).then(|| {
            format!(
                "all images of a class become the same one: their pixels differ by {spread:.3} in [-1, 1], \
                 at the beginning by {first:.3}"
            )
        })
    }

    /// Losses that are beyond their limit say nothing about what is usual.
    fn remember(&mut self, vitals: &Vitals) {
        self.past.resize_with(vitals.losses.len(), VecDeque::new);
        for (past, loss) in self.past.iter_mut().zip(&vitals.losses) {
            let size = loss.value.abs();
            if size.is_finite() && size <= loss.limit && exploded(past, size).is_none() {
                past.push_back(size);
            }
            if past.len() > 50 {
                past.pop_front();
            }
        }
    }
}

/// The median of the past, where `size` is an explosion against it.
fn exploded(past: &VecDeque<f64>, size: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = past.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted.get(sorted.len() / 2).filter(|_| sorted.len() >= WARM_UP).copied();
    usual.filter(|usual| size > EXPLOSION * usual.max(1e-3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vitals(fake_score: f64, generator: f64) -> Vitals {
        let losses = vec![
            Loss { name: "the fake score network's loss", value: fake_score, limit: 64.0 * DENOISING_LIMIT },
            Loss { name: "the generator's loss", value: generator, limit: 6400.0 * GENERATOR_LIMIT },
        ];
        Vitals { losses, masked_share: 0.0, spread: Some(0.4) }
    }

    /// Losses of fake score and generator as good and bad runs on digits had them, a line per status.
    #[test]
    fn measured_runs_are_told_apart() {
        let sida = [
            (25.2, -142.5),
            (20.7, -223.1),
            (25.3, -234.3),
            (30.9, -172.2),
            (34.5, -148.6),
            (37.3, -236.8),
            (37.7, -179.6),
            (38.3, -147.2),
            (36.0, -123.0),
            (37.2, -143.8),
            (37.4, -159.8),
            (35.9, -104.3),
        ];
        let sid =
            [(28.4, -125.5), (30.9, -122.6), (33.0, -142.5), (35.1, -104.1), (33.3, -59.7), (34.3, -62.3)];
        for run in [&sida[..], &sid[..]] {
            let mut guard = Guard::default();
            for (fake_score, generator) in run {
                assert_eq!(guard.look(&vitals(*fake_score, *generator)), None);
            }
        }
        let collapsing = [(156.3, -3598.9), (113.2, -1702.1), (116.0, -2026.1)];
        let mut guard = Guard::default();
        assert_eq!(guard.look(&vitals(collapsing[0].0, collapsing[0].1)), None);
        let seen = guard.look(&vitals(collapsing[1].0, collapsing[1].1)).unwrap();
        assert_eq!(seen, "the generator's loss is -1702 per image, and beyond 1280 nothing is learnt");
    }

    #[test]
    fn nan_stops_at_once() {
        let seen = Guard::default().look(&vitals(f64::NAN, 1.0)).unwrap();
        assert!(seen.contains("fake score"), "{seen}");
        let masked = Vitals { masked_share: 1.0, ..vitals(1.0, 50.0) };
        assert!(Guard::default().look(&masked).is_some());
    }

    #[test]
    fn one_spike_is_forgiven_and_two_are_not() {
        let mut guard = Guard::default();
        for _ in 0..5 {
            guard.look(&vitals(1.0, 20.0));
        }
        let spike = vitals(1.0, 1000.0);
        assert!(!guard.approves(&spike));
        assert_eq!(guard.look(&spike), None);
        assert!(guard.is_suspicious());
        assert_eq!(guard.look(&vitals(1.0, 20.0)), None);
        assert!(guard.approves(&vitals(1.0, 20.0)));
        guard.look(&spike);
        // What was kept with a checkpoint goes on where it was.
        let kept: Guard = serde_json::from_str(&serde_json::to_string(&guard).unwrap()).unwrap();
        assert_eq!(kept, guard);
        assert!(guard.look(&spike).unwrap().contains("the generator's loss rose to 1.000e3"));
    }

    #[test]
    fn one_image_for_all_is_a_collapse() {
        let with = |spread| Vitals { spread: Some(spread), ..vitals(36.0, 50.0) };
        for (first, later, collapses) in
            [(0.142, 0.33, false), (0.35, 0.35, false), (0.142, 0.033, true), (0.002, 0.001, true)]
        {
            let mut guard = Guard::default();
            guard.begin(Some(first));
            assert_eq!(guard.look(&with(later)), None);
            let seen = guard.look(&with(later));
            assert_eq!(seen.is_some_and(|seen| seen.contains("the same one")), collapses, "{first} {later}");
        }
    }
}
