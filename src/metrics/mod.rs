//! Metrics: Frechet distance, Inception Score, kernel distance, precision and recall.

pub mod metric;

pub use metric::{DetectorName, FrechetDistance, Metric};
