//! Where the weights of Inception come from.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use burn::tensor::Device;

use super::{context::Context, download::Wanted};
use crate::{
    Result,
    checkpoint::read_state_dict_file,
    location::{Location, Resolved},
    metrics::{Detect, DetectorName, Metric},
    nn::InceptionV3,
    terminal,
};

/// The public weights with the reference's names. `SIDA_INCEPTION` names another copy, path or address.
const WEIGHTS: &str = "${SIDA_INCEPTION:-https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth}";

/// Of the public weights. The file's own name says its first eight digits, as torch's hub does; the rest is what those say who
/// pin it, with the same size.
const SHA256: &str = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";

/// Size of the file.
pub(super) const BYTES: u64 = 95_628_359;

static LOCATION: LazyLock<Location> = LazyLock::new(|| Location::new(WEIGHTS));

/// The file.
pub(super) fn wanted() -> Wanted<'static> {
    let accepts = |path: &Path| read_state_dict_file(path).map(drop);
    Wanted::new("inception", &LOCATION, accepts).with_sha256(is_public().then_some(SHA256))
}

/// Whether nobody names another copy.
fn is_public() -> bool {
    matches!(LOCATION.resolve(), Ok(Resolved::Url(url)) if WEIGHTS.ends_with(&format!(":-{}}}", url.public())))
}

/// The file, if metrics look through Inception.
pub(super) fn needed(metrics: &[Metric]) -> Option<Wanted<'static>> {
    let is_needed = metrics.iter().any(|metric| metric.needs().detector == DetectorName::Inception);
    is_needed.then(wanted)
}

/// The file, downloaded if need be.
pub(super) fn find(context: &Context<'_>) -> Result<PathBuf> {
    context.fetch(&wanted())
}

/// The detector.
pub(super) fn load(path: &Path, device: &Device) -> Result<Box<dyn Detect>> {
    let weights = read_state_dict_file(path)?;
    Ok(Box::new(InceptionV3::load(&weights, &format!("`{}`", terminal::path(path)), device)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_name_says_how_its_hash_begins() {
        assert!(SHA256.len() == 64 && WEIGHTS.contains(&format!("-{}.pth", &SHA256[..8])));
    }
}
