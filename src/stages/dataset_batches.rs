//! What trainers read of a dataset, in an order that depends on the count of images alone.

use std::{ops::Range, sync::Arc};

use burn::tensor::{Device, Tensor};

use super::{context::Context, noise::even_class};
use crate::{
    Error, Result,
    data::{Batches, ImageDataset, Order, OrderOptions},
    diffusion::Codec,
    kernels,
    nn::NetworkConfig,
    ranks::Ranks,
    seed::{Draw, Phase, Seed},
    stop::Stop,
    training::{Batch, Draws, Pace, Replicas as _, Request},
};

/// A dataset that answers a trainer's requests, one after another.
pub(super) struct DatasetBatches {
    /// Without one, classes are drawn evenly.
    dataset: Option<Arc<ImageDataset>>,
    codec: Codec,
    label_dim: usize,
    /// Whether every epoch is shuffled anew, as EDM2 does.
    by_epoch: bool,
    microbatch_size: u32,
    batch_size: u64,
    /// The samples of each batch that this rank reads.
    share: Range<u64>,
    phases: u64,
    ranks: Ranks,
    stop: Stop,
    /// Whether a phase is stopped before its first micro-batch only.
    whole_phases: bool,
    seed: Seed,
    device: Device,
    /// Opened by the first request. Requests follow each other without a gap in this rank's share.
    stream: Option<Batches>,
}

impl DatasetBatches {
    /// For trainings of a network, which without classes sees no labels. Each of an iteration's `phases` reads a batch.
    pub(super) fn new(
        context: &Context<'_>,
        dataset: Option<Arc<ImageDataset>>,
        codec: Codec,
        network: &NetworkConfig,
        pace: Pace<'_>,
        phases: u64,
    ) -> Self {
        Self {
            dataset,
            codec,
            label_dim: network.label_dim(),
            by_epoch: network.is_edm2(),
            microbatch_size: pace.microbatch_size(),
            batch_size: u64::from(pace.batch_size),
            share: context.ranks.share(u64::from(pace.batch_size)),
            phases,
            ranks: context.ranks.clone(),
            stop: context.stop.clone(),
            // Ranks agree once in a phase; and weights that are normalised before every micro-batch are others after it.
            whole_phases: !context.ranks.are_one() || network.is_edm2(),
            seed: context.seed,
            device: context.device.clone(),
            stream: None,
        }
    }

    /// The next request may be for any iteration.
    pub(super) fn rewind(&mut self) {
        self.stream = None;
    }

    /// What micro-batches are made of; see `Draws::new`.
    pub(super) fn draws(
        &mut self,
        augment: f64,
        network: &NetworkConfig,
    ) -> Draws<impl FnMut(Request) -> Result<Batch>> {
        let (seed, device) = (self.seed, self.device.clone());
        Draws::new(seed, augment, network, |request| self.answer(&request), device)
    }

    /// Whether to stop instead of working on this micro-batch. In a long step that is much sooner than after it. Before an
    /// iteration's first phase the loop has just asked.
    fn stops(&self, request: &Request) -> Result<bool> {
        let begins = request.phase == Phase::Generator && request.samples.start == self.share.start;
        if self.whole_phases && !begins {
            return Ok(false);
        }
        self.ranks.tell(|| self.stop.requested())
    }

    fn answer(&mut self, request: &Request) -> Result<Batch> {
        if self.stops(request)? {
            return Err(Error::Interrupted);
        }
        let Some(dataset) = &self.dataset else {
            let samples = request.samples.clone();
            let labels = || even_labels(request.draw, samples, self.label_dim, &self.device);
            return Ok(Batch { images: None, class_labels: (self.label_dim > 0).then(labels) });
        };
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open(dataset, request)?,
        };
        let batch = self.stream.insert(stream).next_batch()?;
        let raw = if request.images { batch.raw(&self.device) } else { None };
        let images = raw.map(|raw| {
            let [n, c, h, w] = raw.dims();
            let eps = || {
                let draw = request.draw.purpose("latents");
                kernels::normals(draw, request.samples.start, [n, c / 2, h, w], &self.device)
            };
            self.codec.encode_final(raw, eps)
        });
        let class_labels = if self.label_dim == 0 { None } else { batch.labels(&self.device) };
        Ok(Batch { images, class_labels })
    }

    /// The batches from this request on; those before were seen.
    fn open(&self, dataset: &Arc<ImageDataset>, request: &Request) -> Result<Batches> {
        let options = OrderOptions::new(dataset.len(), (self.seed.0 & 0x7fff_ffff) as i64);
        // The generator's phase comes after the fake score network's, which has read a batch.
        let of_iteration = if request.phase == Phase::Generator { self.batch_size } else { 0 };
        let order = order(self.by_epoch, options, self.phases * request.nimg + of_iteration)?;
        let order = of_share(order, self.batch_size, self.share.clone());
        Batches::start(Arc::clone(dataset), order, self.microbatch_size as usize)
    }
}

/// The order of images after those that were seen.
fn order(by_epoch: bool, options: OrderOptions, seen: u64) -> Result<Order> {
    if by_epoch { Order::edm2(options, seen) } else { Ok(Order::edm(options)?.skip_samples(seen)) }
}

/// Of an order that begins with a batch, what is in this share of every batch.
fn of_share(order: Order, batch_size: u64, share: Range<u64>) -> impl Iterator<Item = usize> + Send {
    let mine = move |(place, image): (u64, usize)| share.contains(&(place % batch_size)).then_some(image);
    (0..).zip(order).filter_map(mine)
}

/// Classes drawn evenly, for a distillation without any dataset. `[n, classes]`
fn even_labels(draw: Draw, samples: Range<u64>, classes: usize, device: &Device) -> Tensor<2> {
    let uniforms = draw.purpose("classes").uniforms(samples, 1);
    let chosen: Vec<u32> = uniforms.into_iter().map(|uniform| even_class(uniform, classes) as u32).collect();
    kernels::one_hot(&chosen, classes, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_read_disjoint_shares_that_make_up_the_batches() {
        let order = || order(false, OrderOptions::new(50, 3), 24).unwrap();
        let whole: Vec<usize> = order().take(24).collect();
        let share = |share: Range<u64>| of_share(order(), 12, share).take(6).collect::<Vec<usize>>();
        let [first, second, third, fourth] = [0..3, 3..6, 6..9, 9..12].map(share);
        let rows = [
            &first[..3],
            &second[..3],
            &third[..3],
            &fourth[..3],
            &first[3..],
            &second[3..],
            &third[3..],
            &fourth[3..],
        ];
        assert_eq!(rows.concat(), whole);
    }

    #[test]
    fn edm2_shows_every_image_once_in_an_epoch_and_a_resumed_run_goes_on() {
        let images = |by_epoch, seen| -> Vec<usize> {
            order(by_epoch, OrderOptions::new(10, 3), seen).unwrap().take(20).collect()
        };
        let whole = images(true, 0);
        for epoch in whole.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(whole[..10], whole[10..]);
        assert_ne!(whole, images(false, 0), "EDM shuffles within a window");
        for by_epoch in [false, true] {
            assert_eq!(images(by_epoch, 0)[7..], images(by_epoch, 7)[..13]);
        }
    }
}
