//! `Order`: EDM's endless shuffled order of samples.

use crate::{Error, Result, rng::NumpyRandomState};

/// Samples change places within a window of half the dataset, rounded half to even.
const WINDOW: f64 = 0.5;

/// An endless stream of sample numbers: the dataset is shuffled once and walked through for ever, each sample
/// changing places with one of the window before it.
#[derive(Clone)]
pub struct Order {
    samples: Vec<usize>,
    rng: NumpyRandomState,
    window: u64,
    at: usize,
}

impl Order {
    /// The order of a dataset of so many samples.
    ///
    /// # Errors
    /// Where there are no samples.
    pub fn new(count: usize, seed: u32) -> Result<Self> {
        if count == 0 {
            return Err(Error::Unusable("the dataset is empty: there is nothing to draw from".to_owned()));
        }
        let mut rng = NumpyRandomState::new(seed);
        let mut order: Vec<usize> = (0..count).collect();
        rng.shuffle(&mut order);
        let window = (count as f64 * WINDOW).round_ties_even() as u64;
        Ok(Self { samples: order, rng, window, at: 0 })
    }
}

impl Iterator for Order {
    type Item = usize;

    /// Always `Some`.
    fn next(&mut self) -> Option<usize> {
        let (i, n) = (self.at, self.samples.len());
        let sample = self.samples[i];
        if self.window >= 2 {
            let back = self.rng.randint(self.window) as usize;
            self.samples.swap(i, (i + n - back) % n);
        }
        self.at = (i + 1) % n;
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_dataset_has_no_order() {
        let error = Order::new(0, 0).err().unwrap().to_string();
        assert_eq!(error, "the dataset is empty: there is nothing to draw from");
    }
}
