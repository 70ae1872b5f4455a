//! The kernel distance (KID, Binkowski et al. 2018): an unbiased squared MMD with a cubic kernel.

use faer::{Mat, MatRef};

use super::{features::Features, parts};
use crate::{Error, Result, seed::Draw};

/// Which images a subset compares, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subset {
    /// `[m]`
    pub generated: Vec<usize>,
    /// `[m]`, as many.
    pub real: Vec<usize>,
}

impl Subset {
    /// `count` subsets without repetition within a subset, of `max_size` images or as many as there are.
    pub fn draw(draw: Draw, count: usize, max_size: usize, generated: usize, real: usize) -> Vec<Self> {
        let size = max_size.min(generated).min(real);
        let choose = |purpose: &str, subset: usize, n: usize| {
            let left: Vec<u64> = (0..size).map(|i| (n - i) as u64).collect();
            let mut indices: Vec<usize> = (0..n).collect();
            for (i, ahead) in draw.purpose(purpose).below(subset as u64, &left).into_iter().enumerate() {
                indices.swap(i, i + ahead as usize);
            }
            indices.truncate(size);
            indices
        };
        let subset = |i| Self { generated: choose("generated", i, generated), real: choose("real", i, real) };
        (0..count).map(subset).collect()
    }
}

/// In which precision the kernel matrices are held; sums are always f64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelPrecision {
    /// As the reference.
    Single,
    /// As the formula.
    Double,
}

/// Mean over the subsets of `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`, the first two without the
/// diagonal, with `k(x, y) = (x.y / d + 1)^3`. Both features `[n, d]`
///
/// # Errors
/// Other widths, no images, values that are not finite, or subsets that are too small, unequal or out of range.
pub fn kernel_distance(
    generated: &Features,
    real: &Features,
    subsets: &[Subset],
    precision: KernelPrecision,
) -> Result<f64> {
    parts::fix();
    generated.check_comparable(real)?;
    if subsets.is_empty() {
        return Err(Error::Unusable("a kernel distance needs at least one subset".to_owned()));
    }
    let mut total = 0.0;
    for subset in subsets {
        let m = subset.generated.len();
        let in_range = |indices: &[usize], n: usize| indices.iter().all(|&i| i < n);
        if m < 2 || subset.real.len() != m {
            return Err(Error::Unusable(
                "a kernel distance compares subsets of 2 or more, equally many".into(),
            ));
        }
        if !in_range(&subset.generated, generated.len()) || !in_range(&subset.real, real.len()) {
            return Err(Error::Unusable("a subset names an image that is not there".to_owned()));
        }
        let (x, y) = (gather(generated, &subset.generated), gather(real, &subset.real));
        let (xx, yy, xy) = (kernel(&x, &x, precision), kernel(&y, &y, precision), kernel(&x, &y, precision));
        let m = m as f64;
        let within = (xx.all - xx.diagonal + yy.all - yy.diagonal) / (m * (m - 1.0));
        total += within - 2.0 * xy.all / (m * m);
    }
    Ok(total / subsets.len() as f64)
}

/// The chosen rows in f64. `[m, d]`
fn gather(features: &Features, indices: &[usize]) -> Mat<f64> {
    let rows: Vec<f64> = indices.iter().flat_map(|&i| features.row(i)).map(|&v| f64::from(v)).collect();
    MatRef::from_row_major_slice(&rows, indices.len(), features.dim()).to_owned()
}

/// Sums of a kernel matrix.
struct KernelSums {
    all: f64,
    diagonal: f64,
}

fn kernel(x: &Mat<f64>, y: &Mat<f64>, precision: KernelPrecision) -> KernelSums {
    let products = x * y.transpose();
    let d = x.ncols();
    let value = |product: f64| match precision {
        KernelPrecision::Single => f64::from((product as f32 / d as f32 + 1.0).powi(3)),
        KernelPrecision::Double => (product / d as f64 + 1.0).powi(3),
    };
    let (mut all, mut diagonal) = (0.0, 0.0);
    for j in 0..products.ncols() {
        for i in 0..products.nrows() {
            all += value(products[(i, j)]);
        }
        diagonal += value(products[(j, j)]);
    }
    KernelSums { all, diagonal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Phase, Seed};

    fn draw() -> Draw {
        Seed(3).at(Phase::Sample, 0)
    }

    #[test]
    fn by_hand() {
        // d = 1: x = {0, 1}, y = {2, 2}. k(0,1) = 1, k(2,2) = 125, k(0,2) = 1, k(1,2) = 27.
        let x = Features::from_rows(vec![0.0, 1.0], 1).unwrap();
        let y = Features::from_rows(vec![2.0, 2.0], 1).unwrap();
        let subset = Subset { generated: vec![0, 1], real: vec![0, 1] };
        for precision in [KernelPrecision::Single, KernelPrecision::Double] {
            let kid = kernel_distance(&x, &y, std::slice::from_ref(&subset), precision).unwrap();
            assert!((kid - (1.0 + 125.0 - 28.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn subsets_hold_no_image_twice_and_repeat_themselves() {
        let subsets = Subset::draw(draw(), 3, 40, 50, 60);
        assert_eq!(subsets, Subset::draw(draw(), 3, 40, 50, 60));
        assert_ne!(subsets[0], subsets[1]);
        for subset in &subsets {
            for (indices, n) in [(&subset.generated, 50), (&subset.real, 60)] {
                let distinct: std::collections::BTreeSet<_> = indices.iter().collect();
                assert_eq!(distinct.len(), 40);
                assert!(indices.iter().all(|&i| i < n));
            }
        }
        assert_eq!(Subset::draw(draw(), 1, 1000, 50, 60)[0].real.len(), 50);
    }

    #[test]
    fn subsets_that_make_no_sense_are_errors() {
        let x = Features::from_rows(vec![0.0, 1.0], 1).unwrap();
        let bad = [vec![], vec![Subset { generated: vec![0], real: vec![0] }]];
        for subsets in bad {
            assert!(kernel_distance(&x, &x, &subsets, KernelPrecision::Double).is_err());
        }
        let absent = Subset { generated: vec![0, 2], real: vec![0, 1] };
        assert!(kernel_distance(&x, &x, &[absent], KernelPrecision::Double).is_err());
    }
}
