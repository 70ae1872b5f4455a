//! Mean and covariance of features, accumulated in f64 while the images come.

use std::path::Path;

use faer::{
    Accum, Mat, MatRef, Par,
    linalg::matmul::triangular::{BlockStructure, matmul},
};

use super::{covariance, parts};
use crate::{
    Error, Result,
    formats::{FidStatistics, FileBytes},
};

/// Rows that are gathered before the covariance is touched: enough to make the update a matrix product, and a
/// function of the row count alone, so that the result does not depend on the batch size.
const BLOCK: usize = 512;

/// What the covariance is divided by. Published numbers mix both; at 50,000 images they differ by 2e-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisor {
    /// N, as SiD's metrics during training.
    Population,
    /// N - 1, as the tools of EDM and EDM2 and the statistics that they publish.
    Sample,
}

/// Mean and covariance of the features of a set of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// `[d]`
    pub mean: Vec<f64>,
    /// Symmetric. `[d, d]`
    pub covariance: Mat<f64>,
}

impl Statistics {
    /// Statistics as a file holds them. covariance `[d, d]`, row by row
    ///
    /// # Errors
    /// The sizes disagree, or a value is not finite.
    pub fn new(mean: Vec<f64>, covariance: &[f64]) -> Result<Self> {
        let d = mean.len();
        if d == 0 || covariance.len() != d * d {
            let problem = format!("a mean of {d} and a covariance of {} values disagree", covariance.len());
            return Err(Error::Unusable(problem));
        }
        let covariance = MatRef::from_row_major_slice(covariance, d, d).to_owned();
        let statistics = Self { mean, covariance };
        statistics.check_finite("reference")?;
        Ok(statistics)
    }

    /// Published statistics: EDM's `.npz` or EDM2's `.pkl`.
    ///
    /// # Errors
    /// `Io`, or `BadFile` where the file holds something else, such as a `sigma` that is no covariance.
    pub fn open(path: &Path) -> Result<Self> {
        let found = FidStatistics::read(FileBytes::open(path)?)?;
        let found = Self::new(found.mu, &found.sigma)?;
        parts::fix();
        match covariance::objection(&found.mean, &found.covariance) {
            None => Ok(found),
            Some(problem) => {
                let problem = format!("its `sigma` {problem}: it is no covariance of features");
                Err(Error::bad_file(path, "file of FID reference statistics", problem))
            }
        }
    }

    /// Number of features.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    pub(super) fn check_finite(&self, whose: &str) -> Result<()> {
        let d = self.dim();
        let finite = self.mean.iter().all(|v| v.is_finite())
            && (0..d).all(|j| (0..d).all(|i| self.covariance[(i, j)].is_finite()));
        if finite {
            return Ok(());
        }
        Err(Error::Unusable(format!("the {whose} feature statistics are not all finite")))
    }
}

/// The running moments. Each block is centred on its own mean and then merged (Chan, Golub and LeVeque 1979), so
/// that features far from zero lose no digits.
#[derive(Clone, Debug)]
pub struct Moments {
    dim: usize,
    count: usize,
    mean: Vec<f64>,
    /// Sum of the centred outer products; only the lower triangle is kept up to date. `[d, d]`
    scatter: Mat<f64>,
    pending: Vec<f32>,
}

impl Moments {
    /// Of no image yet, with `dim` features per image.
    pub fn new(dim: usize) -> Self {
        Self { dim, count: 0, mean: vec![0.0; dim], scatter: Mat::zeros(dim, dim), pending: Vec::new() }
    }

    /// Features per image.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Adds images. rows `[n, d]`, row by row
    pub fn extend(&mut self, rows: &[f32]) {
        debug_assert!(rows.len().is_multiple_of(self.dim), "whole rows");
        for part in rows.chunks(self.dim * BLOCK) {
            self.pending.extend_from_slice(part);
            while self.pending.len() >= self.dim * BLOCK {
                let rest = self.pending.split_off(self.dim * BLOCK);
                let block = std::mem::replace(&mut self.pending, rest);
                self.merge_block(&block);
            }
        }
    }

    /// Mean and covariance of all images so far.
    ///
    /// # Errors
    /// Fewer than two images, or features that are NaN or infinite.
    pub fn statistics(&self, divisor: Divisor) -> Result<Statistics> {
        let mut all = self.clone();
        let pending = std::mem::take(&mut all.pending);
        if !pending.is_empty() {
            all.merge_block(&pending);
        }
        if all.count < 2 {
            let problem = format!("a covariance needs at least 2 images, there are {}", all.count);
            return Err(Error::Unusable(problem));
        }
        let divisor = match divisor {
            Divisor::Population => all.count as f64,
            Divisor::Sample => (all.count - 1) as f64,
        };
        let at = |i: usize, j: usize| all.scatter[(i.max(j), i.min(j))] / divisor;
        let statistics = Statistics { mean: all.mean, covariance: Mat::from_fn(self.dim, self.dim, at) };
        statistics.check_finite("measured")?;
        Ok(statistics)
    }

    fn merge_block(&mut self, rows: &[f32]) {
        let (d, n) = (self.dim, rows.len() / self.dim);
        let mut mean = vec![0.0; d];
        for row in rows.chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v));
        }
        for m in &mut mean {
            *m /= n as f64;
        }

        let total = (self.count + n) as f64;
        let shift: Vec<f64> = mean.iter().zip(&self.mean).map(|(block, all)| block - all).collect();
        // The distance between the two means is one more row, weighted.
        let weight = (self.count as f64 * n as f64 / total).sqrt();
        let mut centred = Vec::with_capacity((n + 1) * d);
        for row in rows.chunks_exact(d) {
            centred.extend(row.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m));
        }
        centred.extend(shift.iter().map(|s| s * weight));
        let centred = MatRef::from_row_major_slice(&centred, n + 1, d);
        matmul(
            self.scatter.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            centred.transpose(),
            BlockStructure::Rectangular,
            centred,
            BlockStructure::Rectangular,
            1.0,
            Par::rayon(0),
        );
        let share = n as f64 / total;
        self.mean.iter_mut().zip(&shift).for_each(|(m, s)| *m += s * share);
        self.count += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers, so that the plain formulas are exact. `[n, d]`
    fn rows(n: usize, d: usize) -> Vec<f32> {
        (0..n * d).map(|i| ((i * 7919 + i / d * 31) % 17) as f32 - 8.0).collect()
    }

    /// `(E[x_i x_j] - E[x_i] E[x_j]) N / divisor`
    fn plain(rows: &[f32], d: usize, i: usize, j: usize, divisor: f64) -> f64 {
        let n = (rows.len() / d) as f64;
        let mean = |k: usize| rows.chunks(d).map(|r| f64::from(r[k])).sum::<f64>() / n;
        let product = rows.chunks(d).map(|r| f64::from(r[i]) * f64::from(r[j])).sum::<f64>() / n;
        (product - mean(i) * mean(j)) * n / divisor
    }

    #[test]
    fn both_divisors_agree_with_the_plain_formula() {
        let (n, d) = (BLOCK * 2 + 77, 5);
        let rows = rows(n, d);
        let mut moments = Moments::new(d);
        moments.extend(&rows);
        for (divisor, value) in [(Divisor::Population, n as f64), (Divisor::Sample, (n - 1) as f64)] {
            let statistics = moments.statistics(divisor).unwrap();
            for i in 0..d {
                for j in 0..d {
                    let truth = plain(&rows, d, i, j, value);
                    assert!((statistics.covariance[(i, j)] - truth).abs() < 1e-11, "{i},{j}");
                }
            }
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_batches() {
        let (n, d) = (BLOCK + 300, 4);
        let rows = rows(n, d);
        let mut whole = Moments::new(d);
        whole.extend(&rows);
        let mut parts = Moments::new(d);
        rows.chunks(d * 37).for_each(|part| parts.extend(part));
        let of = |m: &Moments| m.statistics(Divisor::Sample).unwrap();
        assert_eq!(of(&whole), of(&parts));
    }

    #[test]
    fn features_far_from_zero_keep_their_digits() {
        let mut moments = Moments::new(1);
        (0..BLOCK * 4).for_each(|i| moments.extend(&[1e6 + (i % 2) as f32]));
        let statistics = moments.statistics(Divisor::Population).unwrap();
        assert!((statistics.covariance[(0, 0)] - 0.25).abs() < 1e-12);
    }

    #[test]
    fn too_few_images_and_nan_are_errors() {
        let mut moments = Moments::new(2);
        moments.extend(&[1.0, 2.0]);
        assert!(moments.statistics(Divisor::Sample).is_err());
        moments.extend(&[f32::NAN, 0.0]);
        assert!(moments.statistics(Divisor::Sample).is_err());
    }

    /// EDM's format, of two features.
    fn npz(sigma: [f64; 4]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, shape, values) in [("mu.npy", &[2][..], &[0.5, -0.5][..]), ("sigma.npy", &[2, 2], &sigma)]
        {
            zip.start_file(name, options).unwrap();
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            std::io::Write::write_all(
                &mut zip,
                &[crate::formats::npy::written("<f8", shape), bytes].concat(),
            )
            .unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn a_file_whose_sigma_is_no_covariance_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ref.npz");
        let open = |sigma| {
            std::fs::write(&path, npz(sigma)).unwrap();
            Statistics::open(&path).map_err(|error| error.to_string())
        };
        assert!(open([1.0, 0.5, 0.5, 1.0]).is_ok() && open([0.0; 4]).is_ok());
        for (sigma, said) in [
            ([1.0, 0.9, 0.0, 1.0], "its `sigma` is not symmetric"),
            ([1.0, 0.9, -0.9, 1.0], "its `sigma` is not symmetric"),
            ([-1.0, 0.0, 0.0, -1.0], "its `sigma` has the variance -1 of feature 0"),
            ([1.0, 2.0, 2.0, 1.0], "its `sigma` has a direction of negative variance"),
            ([1.0, 0.0, 0.0, f64::NAN], "its `sigma` holds infinities or NaN"),
        ] {
            let error = open(sigma).unwrap_err();
            assert!(error.contains("ref.npz") && error.contains(said), "{error}");
        }
    }
}
