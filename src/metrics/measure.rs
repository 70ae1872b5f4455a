//! Measuring: what was observed of generated and of real images becomes the values of a metric.

use super::{
    frechet::frechet_distance,
    inception_score::inception_score,
    kernel_distance::{KernelPrecision, Subset, kernel_distance},
    metric::Metric,
    moments::Divisor,
    observed::Observed,
    precision_recall::precision_recall,
};
use crate::{Error, Result, seed::Draw};

/// Splits of the Inception Score.
const SPLITS: usize = 10;
/// Subsets of a kernel distance, and images in each.
const SUBSETS: (usize, usize) = (100, 1000);

impl Metric {
    /// The values, by the names of [`Metric::names`] and in their order. `draw` chooses the subsets of a kernel
    /// distance; no other metric draws.
    ///
    /// # Errors
    /// Other than the needed number of generated images was observed, or not what the metric needs of them.
    pub fn measure(&self, generated: &Observed, real: &Observed, draw: Draw) -> Result<Vec<(String, f64)>> {
        let wanted = self.needs().generated;
        if generated.count() != wanted {
            let found = generated.count();
            let problem = format!("`{}` is of {wanted} generated images, there are {found}", self.names()[0]);
            return Err(Error::Unusable(problem));
        }
        let values = match self {
            Self::Fid50kFull => vec![frechet_of(generated, real, Divisor::Population)?],
            Self::FrechetDistance(_) => vec![frechet_of(generated, real, Divisor::Sample)?],
            Self::Is50k | Self::Is(_) => {
                let score = inception_score(generated.probabilities()?, SPLITS)?;
                vec![score.mean, score.std]
            }
            Self::Kid50kFull | Self::Kid(_) => {
                let (generated, real) = (generated.features()?, real.features()?);
                let subsets = Subset::draw(draw, SUBSETS.0, SUBSETS.1, generated.len(), real.len());
                vec![kernel_distance(generated, real, &subsets, KernelPrecision::Single)?]
            }
            Self::Pr50k3Full | Self::PrecisionRecall(_) => {
                let shares = precision_recall(generated.features()?, real.features()?, 3)?;
                vec![shares.precision, shares.recall]
            }
        };
        Ok(self.names().into_iter().zip(values).collect())
    }
}

/// The covariances of `fid50k_full` are divided by N, as in SiD's own metric, all others by N - 1.
fn frechet_of(generated: &Observed, real: &Observed, divisor: Divisor) -> Result<f64> {
    frechet_distance(&generated.statistics(divisor)?, &real.statistics(divisor)?)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::{
        metrics::{Detect, Detected, DetectorName, FrechetDistance, Keep, Pixels},
        seed::{Phase, Seed},
    };

    fn seen(count: usize, shift: f32) -> Observed {
        let mut observed = Observed::new(Keep { moments: true, ..Keep::default() });
        let values = (0..count * 4).map(|i| (i * i % 101) as f32 + shift).collect::<Vec<_>>();
        let images = Tensor::from_data(TensorData::new(values, [count, 1, 2, 2]), &Device::flex());
        observed.add(Pixels.detect(images).unwrap()).unwrap();
        observed
    }

    #[test]
    fn a_shift_of_all_pixels_is_the_distance_of_the_means() {
        let metric = Metric::FrechetDistance(FrechetDistance { detector: DetectorName::Pixels, images: 40 });
        let draw = Seed(0).at(Phase::Sample, 0);
        let measured = metric.measure(&seen(40, 25.5), &seen(40, 0.0), draw).unwrap();
        assert_eq!(measured[0].0, "fd_pixels_40");
        assert!((measured[0].1 - 4.0 * 0.2 * 0.2).abs() < 1e-6);
        assert!(metric.measure(&seen(39, 0.0), &seen(40, 0.0), draw).is_err(), "39 images are not 40");
    }

    #[test]
    fn statistics_stand_in_for_real_images_only_where_they_suffice() {
        assert!(Metric::Fid50kFull.needs().statistics_suffice());
        assert!(!Metric::Pr50k3Full.needs().statistics_suffice());
        assert!(!Metric::Is50k.needs().real_images());
        let given = Observed::given(seen(40, 0.0).statistics(Divisor::Sample).unwrap());
        assert!(given.features().is_err());
        let metric = Metric::FrechetDistance(FrechetDistance { detector: DetectorName::Pixels, images: 40 });
        let draw = Seed(0).at(Phase::Sample, 0);
        assert!(metric.measure(&seen(40, 0.0), &given, draw).unwrap()[0].1.abs() < 1e-9);
    }

    /// Features and class probabilities of `count` images; each is surely of class i mod 4.
    fn classified(count: usize) -> Observed {
        let keep = Keep { features: true, probabilities: true, ..Keep::default() };
        let mut observed = Observed::new(keep);
        let device = Device::flex();
        let rows = (0..count * 3).map(|i| (i * i % 101) as f32 / 50.0).collect::<Vec<_>>();
        let classes = (0..count * 4).map(|i| if i / 4 % 4 == i % 4 { 1.0_f32 } else { 0.0 });
        let classes = TensorData::new(classes.collect::<Vec<_>>(), [count, 4]);
        let seen = Detected {
            features: Tensor::from_data(TensorData::new(rows, [count, 3]), &device),
            probabilities: Some(Tensor::from_data(classes, &device)),
        };
        observed.add(seen).unwrap();
        observed
    }

    #[test]
    fn metrics_of_few_images_of_equal_sets() {
        let text =
            r#"[{"is": {"images": 40}}, {"kid": {"images": 40}}, {"precision_recall": {"images": 40}}]"#;
        let metrics: Vec<Metric> = serde_json::from_str(text).unwrap();
        let draw = Seed(0).at(Phase::Sample, 0);
        let set = classified(40);
        let measured = |metric: &Metric| metric.measure(&set, &set, draw).unwrap();
        let score = measured(&metrics[0]);
        // Four images a split, one of each class: four equally frequent classes.
        assert!((score[0].1 - 4.0).abs() < 1e-6 && score[1].1 < 1e-6, "{score:?}");
        let kid = measured(&metrics[1]);
        // An unbiased estimate, with the diagonal in one of its means alone: just below zero for equal sets.
        assert!(kid[0].1 < 0.0 && kid[0].1 > -1.0, "{kid:?}");
        let shares = measured(&metrics[2]);
        assert_eq!(shares.iter().map(|(_, share)| *share).collect::<Vec<_>>(), [1.0, 1.0]);
        assert_eq!(shares[0].0, "pr_inception_40_precision");
        for metric in &metrics {
            assert!(metric.measure(&classified(39), &set, draw).is_err(), "39 images are not 40");
        }
    }
}
