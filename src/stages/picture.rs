//! The one picture that shows what a stage made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::Finished,
    report_data::measured,
    snapshots::grid,
};
use crate::{
    Result,
    data::{ImageDataset, Pixels, corner, image_grid, preview_samples, write_png},
    diffusion::Encoder,
    kimg::Kimg,
    stage_name::StageName,
};

/// Of `prepare_dataset`: many of its images.
pub(super) const REALS: &str = "reals.png";
/// Of `generate`, many of its images; of `evaluate`, many of the pictures that it measured.
pub(super) const GRID: &str = "grid.png";
/// What a training's pictures begin with; the number of images that it has seen follows, ten digits wide.
pub(super) const FAKES: &str = "fakes-";
/// Pixels of a side that a latent becomes.
const LATENT_SIDE: usize = 8;

/// The picture of a finished stage's folder; `None` where there is none.
pub fn of(dir: &Path, artifact: &Artifact) -> Option<PathBuf> {
    let path = match artifact {
        Artifact::Network(network) => of_training(dir, network.nimg),
        Artifact::Dataset(_) => dir.join(REALS),
        Artifact::Images(images) => dir.join(&images.grid),
        Artifact::Scores(_) => dir.join(GRID),
        Artifact::Table(_) => return None,
    };
    path.is_file().then_some(path)
}

/// Lays out some of the first `count` images of a set; where there are classes, a row for each class in turn, of all images.
pub(super) fn write_set(path: &Path, set: &ImageDataset, count: usize) -> Result<()> {
    let [rows, columns] = grid(set.label_dim());
    let classes = set.classes();
    let chosen = preview_samples([rows, columns], count, classes.as_deref(), 0);
    let mut bytes = Vec::new();
    for sample in &chosen {
        bytes.extend_from_slice(&set.image(*sample)?);
    }
    let [c, h, w] = set.shape();
    write_png(path, &image_grid(&bytes, [chosen.len(), c, h, w], columns))
}

/// What a training took of the weights that have seen so many images: those that it hands on need not be its last.
pub(super) fn of_training(dir: &Path, nimg: u64) -> PathBuf {
    dir.join(format!("{FAKES}{nimg:010}.png"))
}

/// The first images of the picture that a training took of the network that a stage measured, and how many thousands of
/// images that had seen.
pub fn of_measured(finished: &IndexMap<StageName, Finished>, stage: &StageName) -> Option<(Pixels, Kimg)> {
    let finished = measured(finished, stage)?;
    let Artifact::Network(artifact) = &finished.artifact else { return None };
    let pixels = first_images(&of_training(&finished.dir, artifact.nimg), artifact)?;
    Some((pixels, Kimg::from_nimg(artifact.nimg)))
}

/// The first images of a picture that a training took; `None` where it cannot be read.
pub(super) fn first_images(path: &Path, artifact: &NetworkArtifact) -> Option<Pixels> {
    let scale = match artifact.encoder {
        Encoder::Rgb => 1,
        Encoder::StabilityVae(_) => LATENT_SIDE,
    };
    corner(path, artifact.network.img_resolution() * scale)
}

/// The moments of which a training left a picture, in images, in rising order.
pub(super) fn moments(dir: &Path) -> Vec<u64> {
    let moment = |name: &str| name.strip_prefix(FAKES)?.strip_suffix(".png")?.parse().ok();
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut moments: Vec<u64> = entries.filter_map(|entry| moment(entry.file_name().to_str()?)).collect();
    moments.sort_unstable();
    moments
}
