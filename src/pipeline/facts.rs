//! `Facts`: what can be known of a dataset without decoding it: counts, sizes, classes, and a hash of its contents.

use std::{
    fs::{self, File},
    io::{BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use image::ImageReader;
use serde_json::Value;
use zip::ZipArchive;

use crate::stages::prepare_dataset::{DatasetSource, PrepareDataset};

/// Zips larger than this are not opened for a check: their table of contents alone takes longer than a check may.
const MAX_GLANCE: u64 = 4 << 30;
/// Folders with more bytes than this are identified by names and sizes alone.
const MAX_HASHED: u64 = 1 << 30;

/// What can be known of a dataset without decoding it. `None` means not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Number of images, before flips.
    pub(super) images: Option<u64>,
    /// Side of the square images.
    pub(super) resolution: Option<usize>,
    /// Channels of the images.
    pub(super) channels: Option<usize>,
    /// Number of classes that are used; 0 where labels are not used or absent.
    pub(super) label_dim: Option<usize>,
    /// Whether there are images, and not only labels.
    pub(super) has_images: bool,
    /// Whether the images are an autoencoder's latents.
    pub(super) latents: bool,
}

impl Facts {
    /// What the values of the stage say, and what a glance at the file says where it exists.
    pub(super) fn of(dataset: &PrepareDataset, path: Option<&Path>) -> Self {
        let mut facts = Self { has_images: dataset.has_images(), ..Self::default() };
        if !dataset.use_labels() {
            facts.label_dim = Some(0);
        }
        let Some(path) = path else { return facts };
        match &dataset.source {
            DatasetSource::Edm(source) => {
                if let Some(seen) = glance(path) {
                    let images = source.max_images.map_or(seen.images, |max| max.min(seen.images));
                    facts.images = Some(images);
                    facts.has_images = facts.has_images && seen.images > 0;
                    (facts.resolution, facts.channels) = (seen.resolution, seen.channels);
                    facts.latents = seen.latents;
                    if source.use_labels {
                        facts.label_dim = Some(seen.classes);
                    }
                }
            }
            DatasetSource::Convert(source) => facts.resolution = source.resolution.map(|side| side as usize),
            DatasetSource::Labels(_) => {
                facts.label_dim = fs::read(path).ok().map(|bytes| classes(&bytes));
            }
        }
        facts
    }
}

struct Glance {
    images: u64,
    resolution: Option<usize>,
    channels: Option<usize>,
    classes: usize,
    latents: bool,
}

fn glance(path: &Path) -> Option<Glance> {
    if path.is_dir() { glance_folder(path) } else { glance_zip(path) }
}

fn glance_zip(path: &Path) -> Option<Glance> {
    let file = File::open(path).ok()?;
    if file.metadata().ok()?.len() > MAX_GLANCE {
        return None;
    }
    let mut zip = ZipArchive::new(BufReader::new(file)).ok()?;
    let names: Vec<String> = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let first = names.iter().filter(|name| is_image(name)).min()?;
    let latents = is_latent(first);
    let images = names.iter().filter(|name| is_image(name)).count() as u64;
    let mut head = Vec::new();
    zip.by_name(first).ok()?.take(1 << 20).read_to_end(&mut head).ok()?;
    let mut labels = Vec::new();
    if let Ok(file) = zip.by_name("dataset.json") {
        file.take(256 << 20).read_to_end(&mut labels).ok()?;
    }
    Some(seen(images, latents, &head, &labels))
}

fn glance_folder(path: &Path) -> Option<Glance> {
    let files = walk(path)?;
    let image = |file: &&PathBuf| file.to_str().is_some_and(is_image);
    let first = files.iter().find(image)?;
    let images = files.iter().filter(image).count() as u64;
    let mut head = Vec::new();
    File::open(first).ok()?.take(1 << 20).read_to_end(&mut head).ok()?;
    let labels = fs::read(path.join("dataset.json")).unwrap_or_default();
    Some(seen(images, first.to_str().is_some_and(is_latent), &head, &labels))
}

fn seen(images: u64, latents: bool, head: &[u8], labels: &[u8]) -> Glance {
    let decoder =
        (!latents).then(|| ImageReader::new(Cursor::new(head)).with_guessed_format().ok()).flatten();
    let size = decoder.and_then(|reader| {
        use image::ImageDecoder as _;
        let decoder = reader.into_decoder().ok()?;
        let (width, _) = decoder.dimensions();
        Some((width as usize, decoder.color_type().channel_count() as usize))
    });
    Glance {
        images,
        resolution: size.map(|s| s.0),
        channels: size.map(|s| s.1),
        classes: classes(labels),
        latents,
    }
}

/// `{"labels": [["name", 3], ...]}` => the greatest class + 1.
fn classes(labels: &[u8]) -> usize {
    let Ok(json) = serde_json::from_slice::<Value>(labels) else { return 0 };
    let entries = json.get("labels").and_then(Value::as_array).into_iter().flatten();
    let class = |entry: &Value| entry.get(1).and_then(Value::as_u64);
    entries.filter_map(class).max().map_or(0, |class| class as usize + 1)
}

fn is_image(name: &str) -> bool {
    let extension = name.rsplit('.').next().unwrap_or_default().to_lowercase();
    matches!(extension.as_str(), "png" | "jpg" | "jpeg" | "bmp" | "webp" | "npy")
}

fn is_latent(name: &str) -> bool {
    name.to_lowercase().ends_with(".npy")
}

/// What the contents of a local file or folder hash to: a zip by its table of contents (names, sizes, checksums), a
/// folder by names, sizes and bytes, anything else by its bytes. `None` where it cannot be read.
pub(super) fn identity(path: &Path) -> Option<String> {
    let mut hash = blake3::Hasher::new();
    if path.is_dir() {
        let files = walk(path)?;
        let sizes: Vec<u64> = files.iter().map(|file| fs::metadata(file).map_or(0, |m| m.len())).collect();
        let with_bytes = sizes.iter().sum::<u64>() <= MAX_HASHED;
        for (file, size) in files.iter().zip(sizes) {
            let name = file.strip_prefix(path).unwrap_or(file).to_string_lossy().into_owned();
            hash.update(&(name.len() as u64).to_le_bytes())
                .update(name.as_bytes())
                .update(&size.to_le_bytes());
            if with_bytes {
                hash.update_reader(File::open(file).ok()?).ok()?;
            }
        }
    } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
        && let Some(mut zip) =
            File::open(path).ok().and_then(|file| ZipArchive::new(BufReader::new(file)).ok())
    {
        let mut entries = Vec::with_capacity(zip.len());
        for i in 0..zip.len() {
            let entry = zip.by_index_raw(i).ok()?;
            entries.push((entry.name().ok()?.into_owned(), entry.size(), entry.crc32()));
        }
        entries.sort();
        for (name, size, crc) in entries {
            hash.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            hash.update(&size.to_le_bytes()).update(&crc.to_le_bytes());
        }
    } else {
        hash.update_reader(File::open(path).ok()?).ok()?;
    }
    Some(hash.finalize().to_hex()[..32].to_owned())
}

/// All files below a folder, sorted; links to folders are not followed.
fn walk(folder: &Path) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).ok()? {
            let entry = entry.ok()?;
            if entry.file_type().ok()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{location::Location, stages::prepare_dataset::EdmSource};

    fn digits() -> (PrepareDataset, PathBuf) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/digits-8x8.zip");
        let source = EdmSource {
            path: Location::new("datasets/digits-8x8.zip"),
            use_labels: true,
            xflip: false,
            max_images: None,
            sha256: None,
        };
        (PrepareDataset { source: DatasetSource::Edm(source) }, path)
    }

    #[test]
    fn a_glance_at_the_digits() {
        let (dataset, path) = digits();
        let facts = Facts::of(&dataset, Some(&path));
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

    #[test]
    fn identity_follows_the_contents_not_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let (_, path) = digits();
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
