//! `Features`: what a detector saw in many images, one row per image.

use crate::{Error, Result};

/// A matrix of features on the host. `[n, d]`, row by row
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    values: Vec<f32>,
    dim: usize,
}

impl Features {
    /// No rows yet, of `dim` features each.
    pub fn new(dim: usize) -> Self {
        Self { values: Vec::new(), dim }
    }

    /// Wraps rows that lie one behind the other.
    ///
    /// # Errors
    /// The values are not a whole number of rows.
    pub fn from_rows(values: Vec<f32>, dim: usize) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            let problem = format!("{} values are no whole number of rows of {dim} features", values.len());
            return Err(Error::Unusable(problem));
        }
        Ok(Self { values, dim })
    }

    /// Appends rows of the same width.
    pub fn extend(&mut self, rows: &[f32]) {
        debug_assert!(rows.len().is_multiple_of(self.dim), "whole rows");
        self.values.extend_from_slice(rows);
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Features per image.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The features of image `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// All features, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Refuses a comparison of what cannot be compared: other widths, no images, NaN or infinity.
    pub(super) fn check_comparable(&self, other: &Self) -> Result<()> {
        same_detector(self.dim, other.dim)?;
        for (features, whose) in [(self, "generated"), (other, "real")] {
            if features.is_empty() {
                return Err(Error::Unusable(format!("there are no features of {whose} images")));
            }
            if !features.values.iter().all(|v| v.is_finite()) {
                let problem = format!("the features of the {whose} images are not all finite");
                return Err(Error::Unusable(problem));
            }
        }
        Ok(())
    }
}

/// Refuses to compare features of which one image has `a` and the other `b`.
pub(super) fn same_detector(a: usize, b: usize) -> Result<()> {
    if a == b {
        return Ok(());
    }
    Err(Error::Unusable(format!("cannot compare {a} features with {b}: use one detector")))
}
