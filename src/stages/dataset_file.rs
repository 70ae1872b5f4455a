//! Finished datasets, opened.

use std::{path::PathBuf, sync::Arc};

use super::{
    artifact::{Artifact, DatasetArtifact},
    context::Context,
};
use crate::{
    Error, Result,
    data::{DatasetKind, DatasetOptions, ImageDataset},
    stage_name::StageName,
};

/// The dataset of a finished stage.
///
/// # Errors
/// The files are not what they were when the stage finished.
pub(super) fn open(context: &Context<'_>, name: &StageName) -> Result<Arc<ImageDataset>> {
    let finished = context.input(name)?;
    let Artifact::Dataset(artifact) = &finished.artifact else {
        return Err(Error::Unusable(format!("stage `{name}` makes no dataset")));
    };
    let path = finished.dir.join(&artifact.path);
    let options = DatasetOptions {
        use_labels: artifact.label_dim > 0,
        max_size: artifact.max_images.map(|most| most as usize),
        xflip: artifact.xflip,
        random_seed: 0,
    };
    let dataset = ImageDataset::open(&path, &options)?;
    if dataset.identity() == artifact.identity {
        return Ok(Arc::new(dataset));
    }
    let problem = format!("it has changed since stage `{name}` looked at it: run with `--force {name}`");
    Err(Error::bad_file(path, "dataset", problem))
}

/// What a dataset is, for those who only read the artifact.
pub(super) fn describe(dataset: &ImageDataset, path: PathBuf, options: &DatasetOptions) -> DatasetArtifact {
    let [channels, height, _] = dataset.shape();
    DatasetArtifact {
        path,
        images: (dataset.len() / if options.xflip { 2 } else { 1 }) as u64,
        has_images: dataset.kind() != DatasetKind::LabelsOnly,
        resolution: height as u32,
        channels: channels as u32,
        label_dim: dataset.label_dim() as u32,
        class_names: dataset.class_names().map(<[String]>::to_vec),
        xflip: options.xflip,
        max_images: options.max_size.map(|most| most as u64),
        identity: dataset.identity(),
    }
}
