//! `Facts`: what can be known of a dataset before it is prepared: counts, sizes, classes.

use super::{dataset_source::DatasetSource, prepare_dataset::PrepareDataset, world::World};
use crate::data::{DatasetKind, Glance, ImageDataset};

/// What can be known of a dataset before it is prepared. `None` means not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Number of images, before flips.
    pub images: Option<u64>,
    /// Side of the square images.
    pub resolution: Option<usize>,
    /// Channels of the images.
    pub channels: Option<usize>,
    /// Number of classes that are used; 0 where labels are not used or absent.
    pub label_dim: Option<usize>,
    /// Whether there are images, and not only labels.
    pub has_images: bool,
    /// Whether the images are an autoencoder's latents.
    pub latents: bool,
}

impl Facts {
    /// What the values of the stage say, and what a glance at the file says where it exists.
    pub(super) fn of(dataset: &PrepareDataset, world: &World<'_>) -> Self {
        let mut facts = Self { has_images: dataset.has_images(), ..Self::default() };
        if !dataset.use_labels() {
            facts.label_dim = Some(0);
        }
        if let DatasetSource::Convert(source) = &dataset.source {
            facts.resolution = source.resolution.map(|side| side as usize);
            return facts;
        }
        let Some(seen) = world.locate(dataset.location()).and_then(|path| Glance::at(&path)) else {
            return facts;
        };
        if let DatasetSource::Edm(source) = &dataset.source {
            facts.images = Some(source.max_images.map_or(seen.images, |most| most.min(seen.images)));
            facts.has_images = seen.images > 0;
            (facts.resolution, facts.channels) = (seen.resolution, seen.channels);
            facts.latents = seen.latents;
        }
        if let DatasetSource::Npz(_) = &dataset.source {
            facts.images = Some(seen.images);
            (facts.resolution, facts.channels) = (seen.resolution, seen.channels);
        }
        if dataset.use_labels() {
            facts.label_dim = Some(seen.classes);
        }
        facts
    }

    /// What there is to know of a dataset that was opened.
    pub(super) fn found(dataset: &ImageDataset) -> Self {
        let [channels, height, _] = dataset.shape();
        let has_images = dataset.kind() != DatasetKind::LabelsOnly;
        Self {
            images: Some(dataset.len() as u64),
            resolution: has_images.then_some(height),
            channels: has_images.then_some(channels),
            label_dim: Some(dataset.label_dim()),
            has_images,
            latents: dataset.kind() == DatasetKind::RawLatents,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use indexmap::IndexMap;

    use super::*;
    use crate::{location::Location, stages::dataset_source::EdmSource};

    #[test]
    fn a_glance_at_the_digits() {
        let source = EdmSource {
            path: Location::new("datasets/digits-8x8.zip"),
            use_labels: true,
            xflip: false,
            max_images: None,
            sha256: None,
        };
        let dataset = PrepareDataset { source: DatasetSource::Edm(source) };
        let search = [PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
        let facts = Facts::of(&dataset, &World { stages: &IndexMap::new(), search: &search });
        let truth = Facts {
            images: Some(1797),
            resolution: Some(8),
            channels: Some(1),
            label_dim: Some(10),
            has_images: true,
            latents: false,
        };
        assert_eq!(facts, truth);
    }
}
