//! Where the weights of Inception come from.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use burn::tensor::Device;

use super::context::Context;
use crate::{
    Result,
    checkpoint::read_state_dict_file,
    location::Location,
    metrics::{Detect, DetectorName, Metric},
    nn::InceptionV3,
    terminal,
};

/// The public weights with the reference's names. `SIDA_INCEPTION` names another copy, path or address.
const WEIGHTS: &str = "${SIDA_INCEPTION:-https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth}";

/// Size of the file.
pub(super) const BYTES: u64 = 95_628_359;

static LOCATION: LazyLock<Location> = LazyLock::new(|| Location::new(WEIGHTS));

/// Where the file is.
pub(super) fn location() -> &'static Location {
    &LOCATION
}

/// Where the file is, if metrics look through Inception.
pub(super) fn needed(metrics: &[Metric]) -> Option<&'static Location> {
    let is_needed = metrics.iter().any(|metric| metric.needs().detector == DetectorName::Inception);
    is_needed.then(location)
}

/// The file, downloaded if need be.
pub(super) fn find(context: &Context<'_>) -> Result<PathBuf> {
    context.fetch(location(), None)
}

/// The detector.
pub(super) fn load(path: &Path, device: &Device) -> Result<Box<dyn Detect>> {
    let weights = read_state_dict_file(path)?;
    Ok(Box::new(InceptionV3::load(&weights, &format!("`{}`", terminal::path(path)), device)?))
}
