//! The divergence guard: notices that a training ran away while there is still a good checkpoint to keep.
//!
//! It judges what has a level that no learning rate can spoil: the denoising error, whose beginning is that of a network
//! that has not learnt yet (a distillation's fake score network begins as the teacher), and how much generated images of
//! one class differ, whose beginning is the initial generator's. The generator's loss has none: it begins at 0, where
//! both scores agree, and its sign and size follow alpha. So it only has to be a number.

use serde::{Deserialize, Serialize};

use crate::training::guard::GuardRules;

/// What the guard looks at, once per status.
#[derive(Clone, Debug)]
pub struct Vitals {
    /// What has to be a number.
    pub losses: Vec<Loss>,
    /// The denoising error.
    pub error: Loss,
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
    /// Its mean. The denoising error is per value of an image, without factors, and without the weight of EDM2's uncertainty.
    /// NaN where one was not finite.
    pub value: f64,
}

/// The denoising error of a network that outputs nothing, by EDM's weight of noise levels.
const NOTHING_LEARNT: f64 = 1.0;
/// Images that make up the beginning: enough for a mean, too few to have learnt from.
pub const FIRST_IMAGES: u64 = 32;

/// Watches one training; checkpoints keep it, so that an interruption makes it forget nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watcher {
    bad_in_a_row: u32,
    first_spread: Option<f64>,
    first_error: Option<f64>,
}

impl Watcher {
    /// Takes note of how much images of a class differ before anything is learnt.
    pub fn begin(&mut self, spread: Option<f64>) {
        self.first_spread = self.first_spread.or(spread);
    }

    /// Whether it does not know the first images' denoising error yet.
    pub fn has_just_begun(&self) -> bool {
        self.first_error.is_none()
    }

    /// Takes note of it.
    pub fn first_error(&mut self, error: Loss) {
        self.first_error = self.first_error.or(Some(error.value).filter(|value| value.is_finite()));
    }

    /// Looks at one status; says what is wrong once it is wrong for good. Without rules only what is not a number is.
    pub fn look(&mut self, vitals: &Vitals, rules: Option<&GuardRules>) -> Option<String> {
        self.first_error(vitals.error);
        let hopeless = not_a_number(vitals);
        let complaint = hopeless.clone().or_else(|| self.complaint(vitals, rules?));
        self.bad_in_a_row = if complaint.is_some() { self.bad_in_a_row + 1 } else { 0 };
        // What is not a number never becomes one again, so it needs no patience.
        let patience = rules.filter(|_| hopeless.is_none()).map_or(1, |rules| rules.patience);
        complaint.filter(|_| self.bad_in_a_row >= patience)
    }

    /// Whether the last status was bad, though perhaps only once: such a state is no checkpoint.
    pub fn is_suspicious(&self) -> bool {
        self.bad_in_a_row > 0
    }

    /// Whether a state between two statuses may become a checkpoint.
    pub fn approves(&self, vitals: &Vitals, rules: Option<&GuardRules>) -> bool {
        !self.is_suspicious()
            && not_a_number(vitals).is_none()
            && rules.is_none_or(|rules| self.complaint(vitals, rules).is_none())
    }

    fn complaint(&self, vitals: &Vitals, rules: &GuardRules) -> Option<String> {
        if vitals.masked_share >= 0.5 {
            return Some(format!("{:.0} % of the samples held a NaN", vitals.masked_share * 100.0));
        }
        let Loss { name, value } = vitals.error;
        if let Some(first) = self.first_error
            && value > (rules.explosion * first).max(NOTHING_LEARNT)
        {
            return Some(format!(
                "{name} rose to {value:.3} per value, from {first:.3} at the beginning; a network that outputs nothing \
                 has about {NOTHING_LEARNT}"
            ));
        }
        let (spread, first) = (vitals.spread?, self.first_spread?);
        (spread < rules.collapse * first).then(|| {
            format!(
                "all images of a class become the same one: their pixels differ by {spread:.3} in [-1, 1], \
                 at the beginning by {first:.3}"
            )
        })
    }
}

/// What no training comes back from.
fn not_a_number(vitals: &Vitals) -> Option<String> {
    if vitals.masked_share >= 1.0 {
        return Some("all samples held a NaN".to_owned());
    }
    let mut losses = vitals.losses.iter().chain([&vitals.error]);
    losses.find(|loss| !loss.value.is_finite()).map(|loss| format!("{} is not a number", loss.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::guard::{Guard, Off};

    fn vitals(error: f64, spread: f64, generator: f64) -> Vitals {
        let losses = vec![Loss { name: "the generator's loss", value: generator }];
        let error = Loss { name: "the fake score network's denoising error", value: error };
        // 0: the generator does not learn yet.
        Vitals { losses, error, masked_share: 0.0, spread: Some(spread).filter(|spread| *spread > 0.0) }
    }

    /// The status at which such a training is stopped, counted from 1; with the first images' error, and their spread.
    fn stopped(guard: &Guard, [error, spread]: [f64; 2], run: &[(f64, f64, f64)]) -> Option<usize> {
        let mut watcher = Watcher::default();
        watcher.begin(Some(spread));
        watcher.first_error(vitals(error, spread, 0.0).error);
        let stops = |(error, spread, generator): &(f64, f64, f64)| {
            watcher.look(&vitals(*error, *spread, *generator), guard.rules()).is_some()
        };
        run.iter().position(stops).map(|before| before + 1)
    }

    /// Errors and spreads of measured runs on digits, a status per 8 iterations.
    #[test]
    fn measured_runs_are_told_apart() {
        let runs: [(_, &[f64], &[f64], _); 6] = [
            // DDPM++, SiD with alpha -0.25.
            (
                [0.61, 0.154],
                &[
                    0.53, 0.47, 0.47, 0.48, 0.52, 0.55, 0.59, 0.61, 0.55, 0.60, 0.58, 0.56, 0.55, 0.59, 0.58,
                    0.58,
                ],
                &[
                    0.165, 0.188, 0.223, 0.254, 0.266, 0.297, 0.312, 0.305, 0.317, 0.270, 0.290, 0.288,
                    0.296, 0.293, 0.292, 0.296,
                ],
                None,
            ),
            // EDM2 with its uncertainty, SiD with alpha 1.5.
            (
                [0.58, 0.171],
                &[
                    0.63, 0.59, 0.58, 0.58, 0.57, 0.59, 0.56, 0.60, 0.60, 0.61, 0.60, 0.62, 0.65, 0.66, 0.68,
                    0.68,
                ],
                &[
                    0.181, 0.189, 0.197, 0.208, 0.225, 0.236, 0.248, 0.260, 0.274, 0.286, 0.299, 0.307,
                    0.321, 0.331, 0.331, 0.328,
                ],
                None,
            ),
            // SiDA with a fake score network that learns at 1e-2: it wanders off while the generator rests, whose loss is
            // 1.17 per value and factor, 30 times the usual; later it follows, and the images are good.
            (
                [0.55, 0.154],
                &[
                    1.08, 0.88, 0.84, 0.77, 0.78, 0.88, 0.84, 0.80, 0.83, 0.74, 0.73, 0.65, 0.73, 0.68, 0.73,
                    0.73,
                ],
                &[
                    0.000, 0.000, 0.000, 0.000, 0.155, 0.133, 0.139, 0.141, 0.143, 0.159, 0.173, 0.216,
                    0.223, 0.251, 0.269, 0.290,
                ],
                None,
            ),
            // A generator at 1e-2 with SiD makes one image of each class.
            (
                [0.59, 0.154],
                &[1.59, 1.34, 1.04, 0.94, 0.84, 0.97, 0.77, 0.84],
                &[0.115, 0.117, 0.093, 0.091, 0.075, 0.082, 0.070, 0.095],
                Some(6),
            ),
            // With SiDA and alpha 0.5 it takes longer, and no loss tells.
            (
                [0.59, 0.154],
                &[
                    0.52, 0.42, 0.38, 0.39, 1.53, 1.16, 0.98, 1.19, 1.16, 1.01, 1.08, 0.91, 0.80, 0.76, 0.79,
                    0.75, 0.75, 0.75, 0.72, 0.65,
                ],
                &[
                    0.000, 0.000, 0.000, 0.000, 0.224, 0.143, 0.136, 0.159, 0.218, 0.215, 0.171, 0.120,
                    0.120, 0.093, 0.109, 0.112, 0.096, 0.084, 0.076, 0.075,
                ],
                Some(20),
            ),
            // EDM2 with a generator at 0.1.
            (
                [0.6, 0.171],
                &[3404.16, 157.50, 241.91, 2134.42, 6699.53],
                &[0.131, 0.062, 0.061, 0.089, 0.089],
                Some(3),
            ),
        ];
        for (first, errors, spreads, stops) in runs {
            let run: Vec<_> =
                errors.iter().zip(spreads).map(|(error, spread)| (*error, *spread, -0.3)).collect();
            assert_eq!(stopped(&Guard::default(), first, &run), stops);
            assert_eq!(stopped(&Guard::Off(Off::Off), first, &run), None);
        }
    }

    #[test]
    fn what_is_not_a_number_stops_at_once_whatever_the_guard() {
        for guard in [Guard::default(), Guard::Off(Off::Off)] {
            assert_eq!(stopped(&guard, [0.5, 0.2], &[(f64::NAN, 0.2, 0.0)]), Some(1));
            assert_eq!(stopped(&guard, [0.5, 0.2], &[(0.5, 0.2, 0.0), (0.5, 0.2, f64::INFINITY)]), Some(2));
            let masked = Vitals { masked_share: 1.0, ..vitals(0.5, 0.2, 0.0) };
            assert!(Watcher::default().look(&masked, guard.rules()).is_some());
            assert!(!Watcher::default().approves(&masked, guard.rules()));
        }
        let half = Vitals { masked_share: 0.6, ..vitals(0.5, 0.2, 0.0) };
        assert!(Watcher::default().approves(&half, None));
        assert!(!Watcher::default().approves(&half, Guard::default().rules()));
    }

    #[test]
    fn a_spike_is_forgiven_and_patience_ends() {
        let (good, spike) = ((0.5, 0.2, 0.0), (3.0, 0.2, 0.0));
        let rules = Guard::default();
        assert_eq!(stopped(&rules, [0.5, 0.2], &[spike, spike, good, spike, spike, good]), None);
        assert_eq!(stopped(&rules, [0.5, 0.2], &[good, spike, spike, spike]), Some(4));
        let hasty = Guard::Rules(GuardRules { patience: 1, ..GuardRules::default() });
        assert_eq!(stopped(&hasty, [0.5, 0.2], &[good, spike]), Some(2));
        let calm = Guard::Rules(GuardRules { explosion: 7.0, collapse: 0.0, ..GuardRules::default() });
        assert_eq!(stopped(&calm, [0.5, 0.2], &[spike, (0.5, 0.0, 0.0), spike, spike]), None);
        // A fake score network that is many times worse than a perfect teacher, and still far better than nothing.
        assert_eq!(stopped(&rules, [0.05, 0.2], &[(0.9, 0.2, 0.0); 4]), None);
    }

    #[test]
    fn what_was_kept_with_a_checkpoint_goes_on_where_it_was() {
        let rules = Guard::default();
        let mut watcher = Watcher::default();
        watcher.begin(Some(0.2));
        watcher.first_error(vitals(0.5, 0.2, 0.0).error);
        let spike = vitals(3.0, 0.2, 0.0);
        assert!(!watcher.approves(&spike, rules.rules()));
        for _ in 0..2 {
            assert_eq!(watcher.look(&spike, rules.rules()), None);
        }
        assert!(watcher.is_suspicious());
        let mut kept: Watcher = serde_json::from_str(&serde_json::to_string(&watcher).unwrap()).unwrap();
        assert_eq!(kept, watcher);
        let seen = kept.look(&spike, rules.rules()).unwrap();
        assert!(
            seen.contains("denoising error rose to 3.000 per value, from 0.500 at the beginning"),
            "{seen}"
        );
    }
}
