//! The Frechet distance between two Gaussians fitted to features.

use faer::{Mat, Side};

use super::{features::same_detector, moments::Statistics, parts};
use crate::{Error, Result};

/// `|mu - mu'|^2 + tr(S + S' - 2 (S S')^(1/2))` (Dowson and Landau 1982; FID: Heusel et al. 2017).
///
/// The trace of the root is taken as the sum of the roots of the eigenvalues of `S^(1/2) S' S^(1/2)`, which is
/// similar to `S S'` but symmetric: a general matrix square root gives complex values, NaN or no result at all
/// where a covariance is singular. Eigenvalues that rounding made negative count as zero.
///
/// # Errors
/// The statistics have different sizes or are not finite.
pub fn frechet_distance(a: &Statistics, b: &Statistics) -> Result<f64> {
    parts::fix();
    same_detector(a.dim(), b.dim())?;
    a.check_finite("measured")?;
    b.check_finite("reference")?;
    let means: f64 = a.mean.iter().zip(&b.mean).map(|(x, y)| (x - y) * (x - y)).sum();
    let root = square_root(&a.covariance)?;
    let product = &root * &b.covariance * &root;
    let eigenvalues = product.self_adjoint_eigenvalues(Side::Lower).map_err(no_convergence)?;
    let cross: f64 = eigenvalues.iter().map(|e| e.max(0.0).sqrt()).sum();
    Ok(means + trace(&a.covariance) + trace(&b.covariance) - 2.0 * cross)
}

/// The symmetric root of a covariance.
fn square_root(covariance: &Mat<f64>) -> Result<Mat<f64>> {
    let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(no_convergence)?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let d = vectors.ncols();
    let scaled = Mat::from_fn(d, d, |i, j| vectors[(i, j)] * values[j].max(0.0).sqrt());
    Ok(&scaled * vectors.transpose())
}

fn trace(matrix: &Mat<f64>) -> f64 {
    (0..matrix.nrows()).map(|i| matrix[(i, i)]).sum()
}

fn no_convergence<E>(_: E) -> Error {
    Error::Unusable("the eigenvalues of a feature covariance did not converge".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaussian(mean: &[f64], covariance: &[f64]) -> Statistics {
        Statistics::new(mean.to_vec(), covariance).unwrap()
    }

    #[test]
    fn gaussians_whose_covariances_commute() {
        // Rotated by the same angle, variances (1, 4) and (9, 1): sum of (sqrt(a) - sqrt(b))^2 = 4 + 1.
        let (sin, cos) = 0.7f64.sin_cos();
        let rotated = |x: f64, y: f64| {
            let mixed = (x - y) * sin * cos;
            [x * cos * cos + y * sin * sin, mixed, mixed, x * sin * sin + y * cos * cos]
        };
        let a = gaussian(&[1.0, 2.0], &rotated(1.0, 4.0));
        let b = gaussian(&[4.0, -2.0], &rotated(9.0, 1.0));
        assert!((frechet_distance(&a, &b).unwrap() - (9.0 + 16.0 + 4.0 + 1.0)).abs() < 1e-12);
    }

    #[test]
    fn gaussians_whose_covariances_do_not_commute() {
        // In two dimensions tr (S S')^(1/2) = sqrt(tr(S S') + 2 sqrt(det S det S')).
        let (s, t) = ([2.0, 0.5, 0.5, 1.0], [1.0, -0.7, -0.7, 3.0]);
        let product_trace = s[0] * t[0] + s[1] * t[2] + s[2] * t[1] + s[3] * t[3];
        let det = |m: [f64; 4]| m[0] * m[3] - m[1] * m[2];
        let cross = (product_trace + 2.0 * (det(s) * det(t)).sqrt()).sqrt();
        let truth = 3.0 + 4.0 - 2.0 * cross;
        let (a, b) = (gaussian(&[0.0, 0.0], &s), gaussian(&[0.0, 0.0], &t));
        assert!((frechet_distance(&a, &b).unwrap() - truth).abs() < 1e-12);
        assert!((frechet_distance(&b, &a).unwrap() - truth).abs() < 1e-12);
    }

    #[test]
    fn singular_covariances() {
        // All variance along one axis each, and the axes are perpendicular: the cross term vanishes.
        let a = gaussian(&[0.0, 0.0], &[4.0, 0.0, 0.0, 0.0]);
        let b = gaussian(&[0.0, 0.0], &[0.0, 0.0, 0.0, 9.0]);
        assert!((frechet_distance(&a, &b).unwrap() - 13.0).abs() < 1e-12);
        assert!(frechet_distance(&a, &a).unwrap().abs() < 1e-12);
    }

    #[test]
    fn threads_do_not_change_a_distance() {
        let d = 384;
        let statistics = |seed: usize| {
            let spread = Mat::from_fn(d, d, |i, j| ((i * i * d + j * j + seed) % 1009) as f64 / 1009.0);
            Statistics { mean: vec![0.0; d], covariance: &spread * spread.transpose() }
        };
        let (a, b) = (statistics(1), statistics(5));
        let distance = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| frechet_distance(&a, &b).unwrap())
        };
        assert_eq!([2, 3, 8].map(distance), [distance(1); 3]);
    }

    #[test]
    fn other_sizes_are_an_error() {
        let a = gaussian(&[0.0], &[1.0]);
        let b = gaussian(&[0.0, 0.0], &[1.0, 0.0, 0.0, 1.0]);
        assert!(frechet_distance(&a, &b).is_err());
        assert!(Statistics::new(vec![0.0], &[f64::NAN]).is_err());
        assert!(Statistics::new(vec![0.0], &[1.0, 2.0]).is_err());
    }
}
