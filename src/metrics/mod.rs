//! Metrics: Frechet distance, Inception Score, kernel distance, precision and recall.
