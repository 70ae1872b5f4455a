//! `Pending`: what an iteration came to, while its numbers are still on their way from the device.

use std::{fmt, vec::IntoIter};

use crate::kernels::Reading;

/// What an iteration came to, once its numbers are there. A GPU is busy with the iteration long after the host has queued
/// all of it; who asks at once has to wait, and the GPU has nothing to do until the host has queued more.
#[must_use = "an iteration that nobody waits for may not have happened yet"]
pub struct Pending<T> {
    numbers: Reading,
    meaning: Box<dyn FnOnce(IntoIter<f64>) -> T + Send>,
}

impl<T> Pending<T> {
    /// What `meaning` makes of these numbers.
    pub fn new(numbers: Reading, meaning: impl FnOnce(IntoIter<f64>) -> T + Send + 'static) -> Self {
        Self { numbers, meaning: Box::new(meaning) }
    }

    /// Waits for the iteration, and for nothing that was queued after it.
    pub fn wait(self) -> T {
        let numbers: Vec<f64> = self.numbers.wait().iter::<f64>().collect();
        (self.meaning)(numbers.into_iter())
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}
