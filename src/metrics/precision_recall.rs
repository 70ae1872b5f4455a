//! Improved precision and recall (Kynkaanniemi et al. 2019): what share of one set lies within the other's
//! neighbourhoods.

use std::ops::Range;

use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::features::Features;
use crate::{Error, Result};

/// Rows and columns of the block of distances that one thread works on.
const BLOCK: usize = 512;

/// Both shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// Share of the generated images within the neighbourhood of some real one: quality.
    pub precision: f64,
    /// Share of the real images within the neighbourhood of some generated one: variety.
    pub recall: f64,
}

/// The neighbourhood of an image reaches to its `nearest`-th nearest other image of the same set.
/// Both features `[n, d]`
///
/// # Errors
/// Other widths, values that are not finite, or a set of no more than `nearest` images.
pub fn precision_recall(generated: &Features, real: &Features, nearest: usize) -> Result<PrecisionRecall> {
    generated.check_comparable(real)?;
    let fewest = generated.len().min(real.len());
    if nearest == 0 || fewest <= nearest {
        let problem = format!("neighbourhoods of {nearest} images need sets of more, one has {fewest}");
        return Err(Error::Unusable(problem));
    }
    Ok(PrecisionRecall {
        precision: share_within(generated, real, &radii(real, nearest)),
        recall: share_within(real, generated, &radii(generated, nearest)),
    })
}

/// Squared distance of every point to its `nearest`-th nearest, itself not counted. `[n]`
fn radii(points: &Features, nearest: usize) -> Vec<f64> {
    let of_rows = |rows: Range<usize>| {
        // The smallest distances so far, in rising order; the first one is the point's own, zero.
        let mut smallest = vec![vec![f64::INFINITY; nearest + 1]; rows.len()];
        for columns in blocks(points.len()) {
            let distances = squared_distances(points, rows.clone(), points, columns);
            for (i, found) in smallest.iter_mut().enumerate() {
                for j in 0..distances.ncols() {
                    let distance = distances[(i, j)];
                    if distance < found[nearest] {
                        let place = found.partition_point(|&other| other <= distance);
                        found.pop();
                        found.insert(place, distance);
                    }
                }
            }
        }
        smallest.into_iter().map(|found| found[nearest]).collect::<Vec<_>>()
    };
    blocks(points.len()).into_par_iter().flat_map_iter(of_rows).collect()
}

/// Share of the points that lie within the radius of some centre.
fn share_within(points: &Features, centres: &Features, radii: &[f64]) -> f64 {
    let of_rows = |rows: Range<usize>| {
        let mut inside = vec![false; rows.len()];
        for columns in blocks(centres.len()) {
            let distances = squared_distances(points, rows.clone(), centres, columns.clone());
            for (i, inside) in inside.iter_mut().enumerate() {
                *inside |= radii[columns.clone()].iter().enumerate().any(|(j, &r)| distances[(i, j)] <= r);
            }
        }
        inside.into_iter().filter(|&is| is).count()
    };
    let inside: usize = blocks(points.len()).into_par_iter().map(of_rows).sum();
    inside as f64 / points.len() as f64
}

fn blocks(n: usize) -> Vec<Range<usize>> {
    (0..n).step_by(BLOCK).map(|start| start..(start + BLOCK).min(n)).collect()
}

/// `|a - b|^2 = |a|^2 + |b|^2 - 2 a.b`, in f64; what is below the rounding of the sum counts as zero, so that
/// copies of an image have distance zero. `[rows, columns]`
fn squared_distances(a: &Features, rows: Range<usize>, b: &Features, columns: Range<usize>) -> Mat<f64> {
    let d = a.dim();
    let (a, b) = (in_f64(a, rows), in_f64(b, columns));
    let norms = |values: &[f64]| -> Vec<f64> {
        values.chunks_exact(d).map(|row| row.iter().map(|v| v * v).sum()).collect()
    };
    let (a_norms, b_norms) = (norms(&a), norms(&b));
    let a = MatRef::from_row_major_slice(&a, a_norms.len(), d);
    let b = MatRef::from_row_major_slice(&b, b_norms.len(), d);
    let mut distances = Mat::zeros(a.nrows(), b.nrows());
    // The caller's blocks already keep every thread busy.
    matmul(distances.as_mut(), Accum::Replace, a, b.transpose(), -2.0, Par::Seq);
    for (j, b_norm) in b_norms.iter().enumerate() {
        for (i, a_norm) in a_norms.iter().enumerate() {
            let sum = a_norm + b_norm;
            let distance = sum + distances[(i, j)];
            distances[(i, j)] = if distance <= sum * 1e-13 { 0.0 } else { distance };
        }
    }
    distances
}

/// The rows in f64. `[rows, d]`
fn in_f64(features: &Features, rows: Range<usize>) -> Vec<f64> {
    let d = features.dim();
    features.values()[rows.start * d..rows.end * d].iter().map(|&v| f64::from(v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square lattice of side `n` with its corner at `x`. `[n^2, 2]`
    fn lattice(n: usize, x: f32) -> Features {
        let rows = (0..n * n).flat_map(|i| [x + (i % n) as f32, (i / n) as f32]).collect();
        Features::from_rows(rows, 2).unwrap()
    }

    #[test]
    fn shares_of_known_sets() {
        let whole = lattice(30, -7.0);
        assert!(whole.len() > BLOCK, "several blocks");
        // Six copies of a real image: every one is real, and only that image is recalled.
        let copies = Features::from_rows([2.0, 2.0].repeat(6), 2).unwrap();
        for (generated, real, precision, recall) in [
            (lattice(5, 0.0), lattice(5, 1000.0), 0.0, 0.0),
            (whole.clone(), whole, 1.0, 1.0),
            (copies, lattice(5, 0.0), 1.0, 1.0 / 25.0),
        ] {
            let result = precision_recall(&generated, &real, 3).unwrap();
            assert_eq!(result, PrecisionRecall { precision, recall });
        }
    }

    #[test]
    fn radii_reach_to_the_nearest_others() {
        // Points 0, 1, 3, 7 on a line; second nearest other: 3, 2, 3, 6.
        let line = Features::from_rows(vec![0.0, 1.0, 3.0, 7.0], 1).unwrap();
        assert_eq!(radii(&line, 2), [9.0, 4.0, 9.0, 36.0]);
    }

    #[test]
    fn too_few_images_are_an_error() {
        assert!(precision_recall(&lattice(1, 0.0), &lattice(5, 0.0), 3).is_err());
        assert!(precision_recall(&lattice(5, 0.0), &lattice(5, 0.0), 0).is_err());
    }
}
