//! `NumpyRandomState`: numpy's legacy generator, as far as the reference uses it.

use super::mt19937::Mt19937;

/// `numpy.random.RandomState(seed)`.
#[derive(Clone)]
pub struct NumpyRandomState(Mt19937);

impl NumpyRandomState {
    /// The generator that `RandomState(seed)` or `numpy.random.seed(seed)` makes.
    pub fn new(seed: u32) -> Self {
        Self(Mt19937::new(seed))
    }

    /// Uniform in 0..=`max`: words are masked to the bits of `max` and drawn until one fits.
    pub fn bounded(&mut self, max: u64) -> u64 {
        if max == 0 {
            return 0;
        }
        let mask = u64::MAX >> max.leading_zeros();
        loop {
            let word =
                if max > u64::from(u32::MAX) { self.0.next_u64() } else { u64::from(self.0.next_u32()) };
            if word & mask <= max {
                return word & mask;
            }
        }
    }

    /// `randint(high)`: uniform in 0..`high`; 0 where `high` is 0 or 1, without a draw.
    pub fn randint(&mut self, high: u64) -> u64 {
        self.bounded(high.saturating_sub(1))
    }

    /// `shuffle`: Fisher and Yates from the end.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.bounded(i as u64) as usize;
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffles_as_numpy_does() {
        // numpy.random.RandomState(0).permutation(10), which is a shuffle of arange(10).
        let mut order: Vec<u8> = (0..10).collect();
        NumpyRandomState::new(0).shuffle(&mut order);
        assert_eq!(order, [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]);
    }

    #[test]
    fn one_choice_costs_no_draw() {
        let (mut a, mut b) = (NumpyRandomState::new(3), NumpyRandomState::new(3));
        assert_eq!((a.randint(1), a.randint(0), a.bounded(0)), (0, 0, 0));
        assert_eq!(a.randint(1 << 31), b.randint(1 << 31));
    }
}
