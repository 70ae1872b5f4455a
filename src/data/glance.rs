//! `Glance`: what can be known of a dataset without decoding it, and what its contents hash to.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    DatasetKind, dataset_content::Content, decode, files::Files, image_dataset::is_called, labels::Labels,
};
use crate::formats::{NpzImages, regular_file};

/// Zips larger than this are not opened for a check: their table of contents alone takes longer than a check may.
const MAX_GLANCE: u64 = 4 << 30;
/// Folders with more bytes than this are identified by names and sizes alone.
const MAX_HASHED: u64 = 1 << 30;

/// What can be known of a dataset without decoding it. `None` means not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Number of images.
    pub images: u64,
    /// Side of the first image.
    pub resolution: Option<usize>,
    /// Channels of the first image.
    pub channels: Option<usize>,
    /// Number of classes; 0 without labels.
    pub classes: usize,
    /// Whether the images are an autoencoder's latents.
    pub latents: bool,
}

/// A file as it was: its path, its size, and when it was changed.
type Seen = (PathBuf, u64, Option<SystemTime>);

impl Glance {
    /// At a zip, a folder, an `.npz` of images, or a `dataset.json` on its own; `None` where it cannot be read or is too large.
    ///
    /// A file that has not changed since is not opened again: many stages may read one dataset.
    pub fn at(path: &Path) -> Option<Self> {
        static KNOWN: Mutex<BTreeMap<Seen, Option<Glance>>> = Mutex::new(BTreeMap::new());
        let metadata = fs::metadata(path).ok()?;
        if !metadata.is_file() {
            return Self::look(path, &metadata);
        }
        let file = (path.to_path_buf(), metadata.len(), metadata.modified().ok());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(file).or_insert_with(|| Self::look(path, &metadata)).clone()
    }

    fn look(path: &Path, metadata: &fs::Metadata) -> Option<Self> {
        if metadata.is_file() && is_called(path, "npz") {
            let [n, h, _, c] = NpzImages::glance(path).ok()?;
            let (resolution, channels) = (Some(h), Some(c));
            return Some(Self { images: n as u64, resolution, channels, classes: 0, latents: false });
        }
        if metadata.is_file() && metadata.len() > MAX_GLANCE {
            return None;
        }
        if metadata.is_file() && is_called(path, "json") {
            let classes = classes(Labels::open(path).ok().flatten());
            return Some(Self { images: 0, resolution: None, channels: None, classes, latents: false });
        }
        let files = Files::open(path).ok()?;
        let Content { kind, list, .. } = Content::of(&files).ok()?;
        let latents = kind == DatasetKind::RawLatents;
        let size = list.first().filter(|_| !latents).and_then(|&first| {
            let head = files.peek(first, decode::LONG_HEAD).ok()?;
            let [channels, _, width] = decode::shape(&head)?;
            Some((width, channels))
        });
        Some(Self {
            images: list.len() as u64,
            resolution: size.map(|(side, _)| side),
            channels: size.map(|(_, channels)| channels),
            classes: classes(files.labels().ok().flatten()),
            latents,
        })
    }
}

fn classes(labels: Option<Labels>) -> usize {
    labels.map_or(0, |labels| labels.class_count())
}

/// What the contents of a local file or folder hash to: a zip by its table of contents (names, sizes, checksums), a
/// folder by names, sizes and bytes, anything else by its bytes. `None` where it cannot be read.
pub fn identity(path: &Path) -> Option<String> {
    let mut hash = blake3::Hasher::new();
    let is_zip = is_called(path, "zip");
    let files = if path.is_dir() || is_zip { Files::open(path).ok() } else { None };
    match &files {
        Some(files) if files.is_zip() => {
            return Some(short(files.hash((0..files.names().len()).collect()).ok()?));
        }
        Some(files) => {
            let paths = (0..files.names().len()).map(|i| files.path(i));
            let sized = paths.map(|path| (fs::metadata(&path).map_or(0, |m| m.len()), path));
            let mut sized: Vec<_> = sized.zip(files.names()).collect();
            let with_bytes = sized.iter().map(|((size, _), _)| size).sum::<u64>() <= MAX_HASHED;
            sized.sort_by(|(_, a), (_, b)| a.split('/').cmp(b.split('/')));
            for ((size, path), name) in sized {
                hash.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
                hash.update(&size.to_le_bytes());
                if with_bytes {
                    hash.update_reader(regular_file(&path).ok()?).ok()?;
                }
            }
        }
        None if path.is_dir() => return None,
        None => drop(hash.update_reader(regular_file(path).ok()?).ok()?),
    }
    Some(short(hash.finalize()))
}

fn short(hash: blake3::Hash) -> String {
    hash.to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_follows_the_contents_not_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/digits-8x8.zip");
        let copy = folder.path().join("other.zip");
        fs::copy(&path, &copy).unwrap();
        assert_eq!(identity(&path), identity(&copy));
        fs::write(folder.path().join("a.png"), b"1").unwrap();
        let before = identity(folder.path());
        fs::write(folder.path().join("a.png"), b"2").unwrap();
        assert_ne!(before, identity(folder.path()));
        assert_eq!(identity(&folder.path().join("absent")), None);
    }
}
