//! `Work`: how much a stage has to do, as far as that is known before it does it.

use std::path::Path;

use serde::Serialize;

use super::{cost::Load, download, inception_weights};
use crate::{
    location::{Location, Resolved},
    metrics::Metric,
    nn::NetworkConfig,
    training::Pace,
};

/// Size of statistics of 2048 features: a mean and a covariance in f64.
const STATISTICS_BYTES: u64 = 8 * 2048 * 2049;

/// How much a stage has to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// Its network, where that is known.
    #[serde(skip)]
    pub network: Option<NetworkConfig>,
    /// Parameters of its network.
    pub parameters: Option<u64>,
    /// Bytes of memory at the peak of an iteration; where a device has to say the micro-batch, with one image.
    pub memory_bytes: Option<u64>,
    /// Iterations of its training.
    pub steps: Option<u64>,
    /// Gradient-accumulation rounds of an iteration; `None` where a device has to say.
    pub rounds: Option<u32>,
    /// Images to generate.
    pub images: Option<u64>,
    /// What it has a device do; `None` where that is not known before others have run.
    #[serde(skip)]
    pub loads: Option<Vec<Load>>,
    /// Bytes that it leaves in the folder of runs, at most.
    pub disk_bytes: Option<u64>,
    /// Files to download that are not in the cache.
    pub downloads: Vec<Download>,
}

/// A file to download.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Download {
    /// The address, or what it is.
    pub what: String,
    /// About how many bytes, where that is known.
    pub bytes: Option<u64>,
}

impl Work {
    /// A training: its iterations, and the rounds of each.
    pub(super) fn training(pace: &Pace<'_>) -> Self {
        let steps = pace.duration_kimg.nimg().div_ceil(u64::from(pace.batch_size.max(1)));
        Self { steps: Some(steps), rounds: (!pace.is_open()).then(|| pace.rounds()), ..Self::default() }
    }

    /// A file that has to be there, perhaps from elsewhere.
    #[must_use]
    pub(super) fn with_file(mut self, location: &Location, bytes: Option<u64>, cache: &Path) -> Self {
        if let Ok(Resolved::Url(url)) = location.resolve()
            && !download::cached(cache, &url).exists()
        {
            self.downloads.push(Download { what: url.to_string(), bytes });
        }
        self
    }

    /// Statistics of real images, where there are any.
    #[must_use]
    pub(super) fn with_statistics(self, location: Option<&Location>, cache: &Path) -> Self {
        match location {
            Some(location) => self.with_file(location, Some(STATISTICS_BYTES), cache),
            None => self,
        }
    }

    /// What metrics need.
    #[must_use]
    pub(super) fn with_metrics(self, metrics: &[Metric], cache: &Path) -> Self {
        match inception_weights::needed(metrics) {
            Some(file) => self.with_file(file.location, Some(inception_weights::BYTES), cache),
            None => self,
        }
    }
}

/// The parameters of a network.
pub fn parameters(network: &NetworkConfig) -> Option<u64> {
    let entries = network.shapes().ok()?;
    let size = |shape: &[usize]| shape.iter().map(|n| *n as u64).product::<u64>();
    Some(entries.iter().filter(|entry| entry.is_parameter()).map(|entry| size(&entry.shape)).sum())
}
