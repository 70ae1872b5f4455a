//! Snapshots of a training: weights, a picture, metrics; and which of them stay.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use indexmap::IndexMap;

use super::{
    context::Context,
    cost::{Meter, Seen, Task},
    fitting::{Taken, fits},
    network_file,
    picture::{FAKES, of_training},
    sampling::{Classes, Sampling},
    scoring::{RealImages, Scoring},
    seeds::Rng,
    training_loop::Memory,
};
use crate::{
    Error, Result,
    data::{ImageDataset, Pixels, image_grid, write_png},
    diffusion::{Codec, Encoder, Precision, Sampler},
    formats::Digest,
    nn::{Network, NetworkConfig},
    ranks::Ranks,
    seed::Phase,
    training::{Keep, Snapshots},
};

/// The first seed of the images that are measured. Others measure images of small seeds: the best snapshot is not chosen
/// by the numbers that are reported of it.
const FIRST_SEED: u64 = 1 << 40;
/// What the weights of a snapshot are called, with its images in between.
const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".safetensors";
/// Images of a metric that are made at once.
pub(super) const BATCH: usize = 64;

/// Rows and columns of a preview picture: a row for each class, up to 10, where there are classes.
pub(super) fn grid(classes: usize) -> [usize; 2] {
    [if classes > 0 { classes.min(10) } else { 8 }, 12]
}

/// Takes the snapshots of one training.
pub(super) struct Snapshooter<'a> {
    dir: &'a Path,
    settings: &'a Snapshots,
    sampler: Sampler,
    codec: Codec,
    device: Device,
    labels: Option<Vec<u32>>,
    scoring: Option<Scoring<'a>>,
    seed: crate::seed::Seed,
    ranks: Ranks,
    precision: Precision,
    meter: Meter,
    seen: Seen,
}

impl<'a> Snapshooter<'a> {
    /// For the stage of `context`; metrics compare with `dataset`.
    pub(super) fn new(
        context: &'a Context<'_>,
        settings: &'a Snapshots,
        network: (&NetworkConfig, &Encoder),
        sampler: Sampler,
        (codec, precision): (Codec, Precision),
        dataset: Option<&Arc<ImageDataset>>,
    ) -> Result<Self> {
        let scoring = if settings.metrics.is_empty() {
            None
        } else {
            let (reference, statistics) = (settings.reference.as_ref(), settings.statistics.as_ref());
            let mut real_images = RealImages::open(reference, statistics, context)?;
            if let (Some(name), Some(dataset)) = (reference, &real_images.dataset) {
                fits(network, (name, dataset), Taken::Images)?;
            }
            real_images.dataset = real_images.dataset.or_else(|| dataset.map(Arc::clone));
            Some(Scoring::new(&settings.metrics, real_images, context)?)
        };
        Ok(Self {
            dir: context.dir,
            settings,
            sampler,
            codec,
            device: context.device.clone(),
            labels: dataset.and_then(|dataset| dataset.classes()),
            scoring,
            seed: context.seed,
            ranks: context.ranks.clone(),
            precision,
            meter: Meter::default(),
            seen: Seen::by(context),
        })
    }

    /// Keeps weights, a picture and metrics of this moment.
    pub(super) fn take(
        &mut self,
        network: &Network,
        nimg: u64,
        memory: &mut Memory,
    ) -> Result<IndexMap<String, f64>> {
        self.ranks.first(|| {
            // Weights that make no images are not kept.
            let picture = picture(network, &self.codec, &self.sampler, &self.device)?;
            network_file::save(&weights(self.dir, nimg), network)?;
            memory.snapshots.insert(nimg, Digest::of(&weights(self.dir, nimg))?);
            write_png(&of_training(self.dir, nimg), &picture)
        })?;
        let measured = self.measure(network, nimg)?;
        let value = measured.values().next().copied().filter(|value| value.is_finite());
        let first = self.settings.metrics.first();
        let better = |value, best| first.is_some_and(|metric| metric.better().than(value, best));
        let old = [memory.last_snapshot.replace(nimg), memory.best.map(|(best, _)| best)];
        // A best one that does not stay cannot be handed on.
        if let Some(value) = value
            && self.settings.keep != Keep::Last
            && memory.best.is_none_or(|(_, best)| better(value, best))
        {
            memory.best = Some((nimg, value));
        }
        for old in old.into_iter().flatten() {
            let is_best = self.settings.keep == Keep::BestAndLast
                && [memory.best, memory.best_but_last].into_iter().flatten().any(|(best, _)| best == old);
            if self.settings.keep != Keep::All && old != nimg && !is_best {
                memory.snapshots.shift_remove(&old);
            }
        }
        Ok(measured)
    }

    /// How much the pixels of images of one class differ, as a standard deviation in [-1, 1].
    pub(super) fn spread(&self, network: &Network) -> f64 {
        const IMAGES: u64 = 8;
        let classes = network.label_dim().clamp(1, 4) as u32;
        let of_class = |class: u32| {
            let seeds: Vec<u64> = (0..IMAGES).map(|i| u64::from(class) * IMAGES + i).collect();
            let images = self.sampling(network, Classes::Fixed(class)).latents(&seeds);
            let mean = images.clone().mean_dim(0);
            f64::from((images - mean).square().mean().into_scalar::<f32>()).sqrt()
        };
        (0..classes).map(of_class).sum::<f64>() / f64::from(classes)
    }

    fn measure(&mut self, network: &Network, nimg: u64) -> Result<IndexMap<String, f64>> {
        let Some(mut scoring) = self.scoring.take() else { return Ok(IndexMap::new()) };
        let mut meter = std::mem::take(&mut self.meter);
        let classes = self.labels.as_deref().map_or(Classes::Drawn, Classes::Among);
        let sampling = self.sampling(network, classes);
        let make = |range: std::ops::Range<usize>| {
            let seeds: Vec<u64> = range.map(|seed| FIRST_SEED + seed as u64).collect();
            meter.time(seeds.len(), || sampling.images(&seeds))
        };
        let measured = scoring.measure(BATCH, self.seed.at(Phase::Snapshot, nimg), make, |_| ());
        self.scoring = Some(scoring);
        meter.keep(&self.task(network.config()), &self.seen);
        self.meter = meter;
        measured
    }

    /// The images that metrics look at.
    fn task(&self, network: &NetworkConfig) -> Task {
        let (network, evaluations) = (Box::new(network.clone()), self.sampler.nfe());
        Task::Generation { network, precision: self.precision, evaluations, batch_size: BATCH as u32 }
    }

    fn sampling<'b>(&'b self, network: &'b Network, classes: Classes<'b>) -> Sampling<'b> {
        Sampling {
            network,
            codec: &self.codec,
            sampler: &self.sampler,
            rng: Rng::Native,
            classes,
            device: &self.device,
        }
    }
}

/// Where the weights of a snapshot are.
pub(super) fn weights(dir: &Path, nimg: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{nimg:010}{SUFFIX}"))
}

/// Removes the weights of snapshots that do not stay. Only once a checkpoint is on disk that knows nothing of them: a
/// training that goes on from one that hands them on would begin anew without them.
pub(super) fn remove_others(dir: &Path, staying: &IndexMap<u64, Digest>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let nimg =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        if nimg.is_some_and(|nimg: u64| !staying.contains_key(&nimg)) {
            // A leftover does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A picture of images with fixed seeds: a row for each class in turn, where there are classes.
pub(super) fn picture(
    network: &Network,
    codec: &Codec,
    sampler: &Sampler,
    device: &Device,
) -> Result<Pixels> {
    let classes = network.label_dim();
    let [rows, columns] = grid(classes);
    let mut bytes: Vec<u8> = Vec::new();
    let mut shape = [0; 4];
    for row in 0..rows {
        let class = if classes > 0 { Classes::Fixed((row % classes) as u32) } else { Classes::Drawn };
        let sampling = Sampling { network, codec, sampler, rng: Rng::Native, classes: class, device };
        let seeds: Vec<u64> = (0..columns).map(|column| (row * columns + column) as u64).collect();
        let images = sampling.images(&seeds)?;
        shape = std::array::from_fn(|i| images.shape()[i]);
        bytes.extend_from_slice(images.as_bytes());
    }
    shape[0] = rows * columns;
    Ok(image_grid(&bytes, shape, columns))
}

/// Takes over what a shorter run of the same training left: snapshots, pictures, statistics.
pub(super) fn adopt(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).map_err(Error::io("read the folder", from))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let wanted = [PREFIX, FAKES, "stats.jsonl", "metrics.jsonl"];
        if entry.path().is_file() && wanted.iter().any(|start| name.starts_with(start)) {
            network_file::copy(&entry.path(), &to.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_weights_that_no_checkpoint_hands_on_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let files =
            [weights(dir.path(), 10), weights(dir.path(), 20), dir.path().join("snapshot-mine.safetensors")];
        files.iter().for_each(|path| fs::write(path, "x").unwrap());
        let staying = IndexMap::from_iter([(20, Digest::of(&files[1]).unwrap())]);
        remove_others(dir.path(), &staying);
        assert_eq!(files.map(|path| path.exists()), [false, true, true]);
    }
}
