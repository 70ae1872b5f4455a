//! `Order`: the endless shuffled order of samples, EDM's and EDM2's, and how to take it up again.

use std::sync::Arc;

use crate::{
    Error, Result,
    rng::{NumpyRandomState, tuple_hash},
};

/// EDM shuffles within a window of half the dataset, rounded half to even.
const WINDOW: f64 = 0.5;

/// Which order, of which samples, for which part of a group of processes.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderOptions {
    /// Number of samples of the dataset.
    pub dataset_size: usize,
    /// Seed of the shuffling.
    pub seed: i64,
    /// How many processes share the order.
    pub num_replicas: usize,
    /// Which of them this is.
    pub rank: usize,
}

impl OrderOptions {
    /// The whole order, for one process.
    pub fn new(dataset_size: usize, seed: i64) -> Self {
        Self { dataset_size, seed, num_replicas: 1, rank: 0 }
    }
}

/// An endless stream of sample numbers.
#[derive(Clone)]
pub struct Order(Kind);

#[derive(Clone)]
enum Kind {
    Windowed(Box<Windowed>),
    Epochs(Epochs),
}

impl Order {
    /// EDM's order: the dataset is shuffled once and walked through for ever, each sample swapping its place with
    /// one of the window before it.
    ///
    /// # Errors
    /// Where there are no samples, or no such rank.
    pub fn edm(options: OrderOptions) -> Result<Self> {
        Self::edm_windowed(options, WINDOW, true)
    }

    /// As `edm`, with a window that is a share of the dataset; or in the dataset's own order.
    ///
    /// # Errors
    /// As `edm`.
    pub fn edm_windowed(options: OrderOptions, window: f64, shuffle: bool) -> Result<Self> {
        let n = checked(&options)?;
        let mut rng = NumpyRandomState::new((options.seed as u64 & u64::from(u32::MAX)) as u32);
        let mut order: Vec<usize> = (0..n).collect();
        let mut size = 0;
        if shuffle {
            rng.shuffle(&mut order);
            size = (n as f64 * window).round_ties_even() as u64;
        }
        Ok(Self(Kind::Windowed(Box::new(Windowed { options, order, rng, window: size, step: 0 }))))
    }

    /// EDM2's order: every epoch is a fresh shuffle with a seed of its own. `start` is the first position, counted
    /// over all processes.
    ///
    /// # Errors
    /// Where there are no samples, or no such rank.
    pub fn edm2(options: OrderOptions, start: u64) -> Result<Self> {
        Self::edm2_shuffled(options, start, true)
    }

    /// As `edm2`, or in the dataset's own order.
    ///
    /// # Errors
    /// As `edm2`.
    pub fn edm2_shuffled(options: OrderOptions, start: u64, shuffle: bool) -> Result<Self> {
        checked(&options)?;
        let position = start + options.rank as u64;
        Ok(Self(Kind::Epochs(Epochs { options, position, shuffle, epoch: None })))
    }

    /// The same order, `count` samples of this process further on: where a resumed run goes on.
    #[must_use]
    pub fn skip_samples(mut self, count: u64) -> Self {
        match &mut self.0 {
            Kind::Windowed(windowed) => {
                for _ in 0..count {
                    windowed.advance();
                }
            }
            Kind::Epochs(epochs) => epochs.position += count * epochs.options.num_replicas as u64,
        }
        self
    }
}

impl Iterator for Order {
    type Item = usize;

    /// Always `Some`.
    fn next(&mut self) -> Option<usize> {
        Some(match &mut self.0 {
            Kind::Windowed(windowed) => windowed.advance(),
            Kind::Epochs(epochs) => epochs.advance(),
        })
    }
}

fn checked(options: &OrderOptions) -> Result<usize> {
    if options.dataset_size == 0 {
        return Err(Error::Unusable("the dataset is empty: there is nothing to draw from".to_owned()));
    }
    if options.rank >= options.num_replicas {
        let problem = format!("there is no rank {} of {}", options.rank, options.num_replicas);
        return Err(Error::Unusable(problem));
    }
    Ok(options.dataset_size)
}

#[derive(Clone)]
struct Windowed {
    options: OrderOptions,
    order: Vec<usize>,
    rng: NumpyRandomState,
    window: u64,
    step: usize,
}

impl Windowed {
    fn advance(&mut self) -> usize {
        let OrderOptions { num_replicas, rank, .. } = self.options;
        let n = self.order.len();
        loop {
            let i = self.step % n;
            let own = (self.step % num_replicas == rank).then_some(self.order[i]);
            if self.window >= 2 {
                let back = self.rng.randint(self.window) as usize;
                self.order.swap(i, (i + n - back) % n);
            }
            self.step = self.step.wrapping_add(1);
            if let Some(index) = own {
                return index;
            }
        }
    }
}

#[derive(Clone)]
struct Epochs {
    options: OrderOptions,
    position: u64,
    shuffle: bool,
    epoch: Option<(u64, Arc<Vec<usize>>)>,
}

impl Epochs {
    fn advance(&mut self) -> usize {
        let n = self.options.dataset_size;
        let (epoch, at) = (self.position / n as u64, (self.position % n as u64) as usize);
        self.position += self.options.num_replicas as u64;
        match &self.epoch {
            Some((current, order)) if *current == epoch => order[at],
            _ => {
                let mut order: Vec<usize> = (0..n).collect();
                if self.shuffle {
                    NumpyRandomState::new(epoch_seed(self.options.seed, epoch)).shuffle(&mut order);
                }
                let index = order[at];
                self.epoch = Some((epoch, Arc::new(order)));
                index
            }
        }
    }
}

/// The seed of an epoch's shuffle: `hash((seed, epoch)) % 2**31` in Python.
pub fn epoch_seed(seed: i64, epoch: u64) -> u32 {
    tuple_hash(&[seed, epoch as i64]).rem_euclid(1 << 31) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both(options: &OrderOptions) -> [Order; 2] {
        [Order::edm(options.clone()).unwrap(), Order::edm2(options.clone(), 0).unwrap()]
    }

    proptest! {
        #[test]
        fn skipping_is_the_same_as_taking(n in 1_usize..40, seed in 0_i64..1000, skip in 0_u64..200, rank in 0_usize..3) {
            let options = OrderOptions { num_replicas: 3, rank, ..OrderOptions::new(n, seed) };
            for order in both(&options) {
                let walked: Vec<usize> = order.clone().skip(skip as usize).take(20).collect();
                let seeked: Vec<usize> = order.skip_samples(skip).take(20).collect();
                prop_assert_eq!(walked, seeked);
            }
        }

        #[test]
        fn replicas_share_one_order(n in 1_usize..40, seed in 0_i64..1000) {
            for which in 0..2 {
                let whole: Vec<usize> = both(&OrderOptions::new(n, seed))[which].clone().take(90).collect();
                for rank in 0..3 {
                    let options = OrderOptions { num_replicas: 3, rank, ..OrderOptions::new(n, seed) };
                    let own: Vec<usize> = both(&options)[which].clone().take(30).collect();
                    let expected: Vec<usize> = whole.iter().skip(rank).step_by(3).copied().collect();
                    prop_assert_eq!(own, expected);
                }
            }
        }

        #[test]
        fn every_epoch_of_edm2_shows_every_sample_once(n in 1_usize..40, seed: i64) {
            let order = Order::edm2(OrderOptions::new(n, seed), 0).unwrap();
            let two: Vec<usize> = order.take(2 * n).collect();
            for epoch in two.chunks(n) {
                let mut seen = epoch.to_vec();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn an_empty_dataset_has_no_order() {
        let error = Order::edm(OrderOptions::new(0, 0)).err().unwrap().to_string();
        assert_eq!(error, "the dataset is empty: there is nothing to draw from");
        let options = OrderOptions { rank: 2, num_replicas: 2, ..OrderOptions::new(3, 0) };
        assert_eq!(Order::edm2(options, 0).err().unwrap().to_string(), "there is no rank 2 of 2");
    }
}
