//! `Observed`: what the metrics need to know of a set of images.

use super::{
    detector::Detected,
    features::Features,
    moments::{Divisor, Moments, Statistics},
};
use crate::{Error, Result};

/// What is kept of the images that a detector sees. 50,000 images of 2048 features are 400 MB, so features are
/// kept only where a metric needs each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Mean and covariance, for Frechet distances.
    pub moments: bool,
    /// Every feature, for kernel distances, precision and recall.
    pub features: bool,
    /// Class probabilities, for Inception Scores.
    pub probabilities: bool,
}

impl Keep {
    /// What either of the two wants.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            moments: self.moments || other.moments,
            features: self.features || other.features,
            probabilities: self.probabilities || other.probabilities,
        }
    }
}

/// A set of images as one detector saw it.
#[derive(Clone, Debug)]
pub struct Observed {
    keep: Keep,
    count: usize,
    moments: Option<Moments>,
    given: Option<Statistics>,
    features: Option<Features>,
    probabilities: Option<Features>,
}

impl Observed {
    /// No image yet.
    pub fn new(keep: Keep) -> Self {
        Self { keep, count: 0, moments: None, given: None, features: None, probabilities: None }
    }

    /// Images that are known only by published statistics.
    pub fn given(statistics: Statistics) -> Self {
        Self { given: Some(statistics), ..Self::new(Keep::default()) }
    }

    /// Adds images.
    ///
    /// # Errors
    /// The detector gave no class probabilities although they are wanted, or its features changed their number.
    pub fn add(&mut self, seen: Detected) -> Result<()> {
        let [n, dim] = seen.features.dims();
        if self.keep.moments || self.keep.features {
            let rows = to_host(seen.features);
            if self.keep.moments {
                let moments = self.moments.get_or_insert_with(|| Moments::new(dim));
                same_width(moments.dim(), dim)?;
                moments.extend(&rows);
            }
            if self.keep.features {
                let features = self.features.get_or_insert_with(|| Features::new(dim));
                same_width(features.dim(), dim)?;
                features.extend(&rows);
            }
        }
        if self.keep.probabilities {
            let probabilities = seen.probabilities.ok_or_else(|| {
                Error::Unusable("an Inception Score needs a detector that is a classifier".to_owned())
            })?;
            let classes = probabilities.dims()[1];
            let all = self.probabilities.get_or_insert_with(|| Features::new(classes));
            same_width(all.dim(), classes)?;
            all.extend(&to_host(probabilities));
        }
        self.count += n;
        Ok(())
    }

    /// Number of images that were added.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Mean and covariance.
    ///
    /// # Errors
    /// They were not kept, there are fewer than two images, or the features are not finite.
    pub fn statistics(&self, divisor: Divisor) -> Result<Statistics> {
        match (&self.given, &self.moments) {
            (Some(statistics), _) => Ok(statistics.clone()),
            (None, Some(moments)) => moments.statistics(divisor),
            (None, None) => Err(absent("mean and covariance")),
        }
    }

    /// Every feature.
    ///
    /// # Errors
    /// They were not kept.
    pub fn features(&self) -> Result<&Features> {
        self.features.as_ref().ok_or_else(|| absent("features of the single images"))
    }

    /// Class probabilities.
    ///
    /// # Errors
    /// They were not kept.
    pub fn probabilities(&self) -> Result<&Features> {
        self.probabilities.as_ref().ok_or_else(|| absent("class probabilities"))
    }
}

fn to_host(rows: burn::tensor::Tensor<2>) -> Vec<f32> {
    rows.into_data().convert::<f32>().try_into_vec().expect("f32 after conversion")
}

fn same_width(known: usize, found: usize) -> Result<()> {
    if known == found {
        return Ok(());
    }
    Err(Error::Unusable(format!("{found} features per image after {known}: images of different sizes?")))
}

fn absent(what: &str) -> Error {
    Error::Unusable(format!(
        "this metric needs the {what}, and only other statistics are known of these images"
    ))
}
