//! The Inception Score (Salimans et al. 2016): sure of every image, and of all classes alike.

use super::{features::Features, score::Score};
use crate::{Error, Result};

/// `exp(E_x KL(p(y|x) || p(y)))` for each of `splits` parts, of which part `i` is the rows from `i n / splits`
/// on: a trial of its own. probabilities `[n, classes]`
///
/// # Errors
/// Fewer images than splits, or values that are no probabilities.
pub fn inception_score(probabilities: &Features, splits: usize) -> Result<Score> {
    let n = probabilities.len();
    if splits == 0 || n < splits {
        let problem = format!("an Inception Score of {n} images in {splits} splits has no sense");
        return Err(Error::Unusable(problem));
    }
    if !probabilities.values().iter().all(|p| (0.0..=1.0 + 1e-4).contains(p)) {
        return Err(Error::Unusable("the class probabilities are not all within 0 and 1".to_owned()));
    }
    let of_part = |i: usize| score(probabilities, i * n / splits, (i + 1) * n / splits);
    Ok(Score::of_trials((0..splits).map(of_part).collect()))
}

/// The score of the rows `from..to`.
fn score(probabilities: &Features, from: usize, to: usize) -> f64 {
    let n = (to - from) as f64;
    let mut marginal = vec![0.0; probabilities.dim()];
    for i in from..to {
        marginal.iter_mut().zip(probabilities.row(i)).for_each(|(m, &p)| *m += f64::from(p) / n);
    }
    let divergence = |i: usize| -> f64 {
        let terms = probabilities.row(i).iter().zip(&marginal);
        // p ln p tends to 0 with p.
        terms.filter(|&(&p, _)| p > 0.0).map(|(&p, m)| f64::from(p) * (f64::from(p).ln() - m.ln())).sum()
    };
    ((from..to).map(divergence).sum::<f64>() / n).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: Vec<f32>, dim: usize) -> Features {
        Features::from_rows(values, dim).unwrap()
    }

    #[test]
    fn certainty_and_variety_score() {
        // 40 images, each surely of class i mod 4; then all of one class, and of any.
        let varied = (0..40 * 4).map(|i| if i / 4 % 4 == i % 4 { 1.0 } else { 0.0 }).collect();
        let sure = (0..20 * 4).map(|i| if i % 4 == 0 { 1.0 } else { 0.0 }).collect();
        // The first split has one class, the second two: scores 1 and 2.
        let mixed = vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        let cases = [
            (varied, 4, 10, (4.0, 0.0)),
            (sure, 4, 2, (1.0, 0.0)),
            (vec![0.25; 80], 4, 2, (1.0, 0.0)),
            (mixed, 2, 2, (1.5, 0.5)),
        ];
        for (values, dim, splits, (mean, std)) in cases {
            let score = inception_score(&rows(values, dim), splits).unwrap();
            assert!((score.mean - mean).abs() < 1e-12 && (score.std - std).abs() < 1e-12, "{score:?}");
        }
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        assert!(inception_score(&rows(vec![f32::NAN; 4], 2), 1).is_err());
        assert!(inception_score(&rows(vec![-1.0, 2.0], 2), 1).is_err());
        assert!(inception_score(&rows(vec![1.0, 0.0], 2), 2).is_err());
    }
}
