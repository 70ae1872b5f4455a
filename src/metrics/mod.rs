//! Metrics: Frechet distance, Inception Score, kernel distance, precision and recall.
//!
//! A detector turns images into features; `Observed` gathers what the metrics need of them, and a `Metric` of
//! the language compares what was observed of generated images with what was observed of real ones. Everything
//! is computed in f64 on the host, whatever the device of the networks.

mod column;
mod covariance;
mod detector;
mod features;
mod frechet;
mod inception;
mod inception_score;
mod kernel_distance;
mod measure;
pub mod metric;
mod moments;
mod observed;
mod parts;
mod precision_recall;
mod random_conv;
mod score;

pub use column::Column;
pub use detector::{Detect, Detected, Pixels};
pub use features::Features;
pub use frechet::frechet_distance;
pub use inception_score::inception_score;
pub use kernel_distance::{KernelPrecision, Subset, kernel_distance};
pub use metric::{
    Better, DetectorName, FrechetDistance, InceptionScore, KernelDistance, Metric, Needs, PrecisionAndRecall,
};
pub use moments::{Divisor, Moments, Statistics};
pub use observed::{Keep, Observed};
pub use precision_recall::{PrecisionRecall, precision_recall};
pub use random_conv::RandomConv;
pub use score::{Difference, Score, number_or_null};
