//! Whether a matrix that somebody else wrote down is a covariance: symmetric, and nowhere negative. With anything else the
//! Frechet distance is a number like any other, and means nothing.
//!
//! Real covariances are neither exactly: they are sums over images in whatever type and order, less the square of the mean,
//! and then perhaps rounded to f32. With `u = 6e-8`, half a unit in the last place of f32, rounding an entry moves it by
//! `u sqrt(S_ii S_jj)` at most, and so every eigenvalue by `u trace S`; computed in f32 from uncentred sums, an entry has an
//! error of some hundred `u (S_ij + m_i m_j)`, and eigenvalues of some hundred `u (trace S + |m|^2)`, that is 1e-5 of it.
//! In f64 all of this is 1e8 times smaller. Ten times as much is allowed, 1e-4; what is no covariance is off by about 1.

use faer::{Mat, Side};

/// How far an eigenvalue may be below zero, as a part of the trace and the squared mean.
const NEGATIVE: f64 = 1e-4;
/// How far entries may be from their mirror images, as a part of the entries off the diagonal; and of all entries.
const ASYMMETRY: (f64, f64) = (1e-3, 1e-5);

/// What is wrong with the covariance of features with this mean, in words that follow `its covariance`.
pub(super) fn objection(mean: &[f64], covariance: &Mat<f64>) -> Option<String> {
    let d = mean.len();
    if let Some(i) = (0..d).find(|&i| covariance[(i, i)] < -NEGATIVE * scale(mean, covariance)) {
        return Some(format!("has the variance {} of feature {i}: none is negative", covariance[(i, i)]));
    }
    let (mut asymmetric, mut mixed, mut all) = (0.0, 0.0, 0.0);
    for j in 0..d {
        all += covariance[(j, j)].powi(2);
        for i in 0..j {
            let (upper, lower) = (covariance[(i, j)], covariance[(j, i)]);
            asymmetric += 2.0 * (upper - lower).powi(2);
            mixed += upper.powi(2) + lower.powi(2);
        }
    }
    let allowed = ASYMMETRY.0 * f64::sqrt(mixed) + ASYMMETRY.1 * f64::sqrt(all + mixed);
    if asymmetric.sqrt() > allowed {
        return Some("is not symmetric, as half a matrix or its root is".to_owned());
    }
    let shift = NEGATIVE * scale(mean, covariance);
    if mixed + all == 0.0 {
        return None;
    }
    // The root of the shifted matrix exists where no eigenvalue is below `-shift`.
    let shifted = Mat::from_fn(d, d, |i, j| {
        f64::midpoint(covariance[(i, j)], covariance[(j, i)]) + if i == j { shift } else { 0.0 }
    });
    let negative = shifted.llt(Side::Lower).is_err();
    negative.then(|| "has a direction of negative variance".to_owned())
}

/// What rounding is measured with.
fn scale(mean: &[f64], covariance: &Mat<f64>) -> f64 {
    (0..mean.len()).map(|i| covariance[(i, i)].abs() + mean[i] * mean[i]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::NumpyRandomState;

    const D: usize = 24;

    /// Features that are mixed and far from zero, and so close to a plane that their covariance is nearly singular.
    fn features(n: usize, mean: f64) -> Vec<Vec<f64>> {
        let mut random = NumpyRandomState::new(5);
        let mut draw = || (0..4).map(|_| random.randint(2000) as f64 / 1000.0 - 1.0).sum::<f64>();
        let mixing: Vec<Vec<f64>> = (0..6).map(|_| (0..D).map(|_| draw()).collect()).collect();
        let row = |draws: Vec<f64>| {
            (0..D).map(|i| mean + draws.iter().zip(&mixing).map(|(x, m)| x * m[i]).sum::<f64>()).collect()
        };
        (0..n).map(|_| row((0..6).map(|_| draw()).collect())).collect()
    }

    /// By uncentred sums in f32, the worst that anybody computes.
    fn in_f32(rows: &[Vec<f64>]) -> (Vec<f64>, Mat<f64>) {
        let (mut sum, mut squares) = (vec![0f32; D], vec![0f32; D * D]);
        for row in rows {
            for i in 0..D {
                sum[i] += row[i] as f32;
                for j in 0..D {
                    squares[i * D + j] += row[i] as f32 * row[j] as f32;
                }
            }
        }
        let n = rows.len() as f32;
        let mean: Vec<f64> = sum.iter().map(|s| f64::from(s / n)).collect();
        let entry = |i: usize, j: usize| {
            f64::from((squares[i * D + j] - (sum[i] / n) * (sum[j] / n) * n) / (n - 1.0))
        };
        (mean, Mat::from_fn(D, D, entry))
    }

    fn in_f64(rows: &[Vec<f64>]) -> (Vec<f64>, Mat<f64>) {
        let n = rows.len() as f64;
        let mean: Vec<f64> = (0..D).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / n).collect();
        let entry = |i: usize, j: usize| {
            rows.iter().map(|row| (row[i] - mean[i]) * (row[j] - mean[j])).sum::<f64>() / (n - 1.0)
        };
        let covariance = Mat::from_fn(D, D, entry);
        (mean, covariance)
    }

    #[test]
    fn real_statistics_pass_however_they_were_rounded() {
        for mean in [0.0, 0.4, 20.0] {
            for n in [3, 20, 3000] {
                let rows = features(n, mean);
                let (mean, covariance) = in_f64(&rows);
                assert_eq!(objection(&mean, &covariance), None);
                let rounded = Mat::from_fn(D, D, |i, j| f64::from(covariance[(i, j)] as f32));
                assert_eq!(objection(&mean, &rounded), None);
                let (mean, covariance) = in_f32(&rows);
                assert_eq!(objection(&mean, &covariance), None);
            }
        }
        assert_eq!(objection(&[0.0; D], &Mat::zeros(D, D)), None, "of images that are all alike");
    }

    #[test]
    fn what_is_no_covariance_is_refused() {
        let (mean, good) = in_f64(&features(500, 0.4));
        let of = |entry: &dyn Fn(usize, usize) -> f64| objection(&mean, &Mat::from_fn(D, D, entry));
        assert!(of(&|i, j| -good[(i, j)]).unwrap().contains("none is negative"));
        for half in [
            of(&|i, j| if i >= j { good[(i, j)] } else { 0.0 }),
            of(&|i, j| if i <= j { good[(i, j)] } else { 0.0 }),
            of(&|i, j| if i < j { -good[(i, j)] } else { good[(i, j)] }),
        ] {
            assert!(half.unwrap().contains("not symmetric"));
        }
        for negative in [
            of(&|i, j| if i == j { good[(i, j)] } else { 2.0 * good[(i, j)] }),
            of(&|i, j| good[(D - 1 - i, j)] + good[(D - 1 - j, i)] + if i == j { 9.0 } else { 0.0 }),
            of(&|i, j| good[(i, j)] - if i == j { 0.5 } else { 0.0 }),
        ] {
            assert!(negative.is_some());
        }
    }
}
