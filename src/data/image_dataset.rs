//! `ImageDataset`: images and labels from an EDM zip, a folder or an `.npz`, with an identity that follows their contents.

use std::{borrow::Cow, fs::File, path::Path};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    data::{
        batch::{Batch, Samples},
        dataset_content::{Content, Store, decode, latent},
        files::{Files, LABELS},
        labels::Labels,
        pixels::Pixels,
    },
    formats::NpzImages,
    rng::NumpyRandomState,
};

/// Decoded images up to this size stay in memory; larger datasets are read as they are needed.
const CACHE_BYTES: u64 = 4 << 30;

/// How a dataset is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatasetOptions {
    /// Use the classes in `dataset.json`; without it the dataset has no labels.
    pub use_labels: bool,
    /// Use a random subset of at most this many images, chosen by `random_seed`.
    pub max_size: Option<usize>,
    /// Double the dataset with horizontally flipped copies.
    pub xflip: bool,
    /// The seed of the choice that `max_size` makes.
    pub random_seed: u32,
}

/// What a dataset consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// 8-bit images.
    Images,
    /// Moments of latents, f32 `[mean | std, size, size]`.
    RawLatents,
    /// Classes alone, as data-free distillation needs them.
    LabelsOnly,
}

/// Images with their labels. Samples are counted after `max_size` and `xflip`.
#[derive(Debug)]
pub struct ImageDataset {
    name: String,
    shape: [usize; 3],
    /// The sorted names of the images in the folder or zip.
    names: Vec<String>,
    classes: Option<Vec<u32>>,
    class_names: Option<Vec<String>>,
    label_dim: usize,
    left_out: Option<String>,
    samples: Vec<Sample>,
    identity: blake3::Hash,
    store: Store,
}

/// One sample: an image, and whether it is flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    raw: usize,
    flipped: bool,
}

impl ImageDataset {
    /// Opens a zip, a folder, an `.npz` of images, or a `dataset.json` on its own, and checks all that can be checked.
    ///
    /// # Errors
    /// Where something is absent, damaged, or contradicts itself: the file or entry, and what to do.
    pub fn open(path: &Path, options: &DatasetOptions) -> Result<Self> {
        Self::open_with_cache(path, options, CACHE_BYTES)
    }

    /// As `open`, keeping decoded images in memory up to `cache_bytes`.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with_cache(path: &Path, options: &DatasetOptions, cache_bytes: u64) -> Result<Self> {
        if path.is_file() && is_called(path, "json") {
            return Self::open_labels(path, options);
        }
        if path.is_file() && is_called(path, "npz") {
            return Self::open_npz(path, options);
        }
        let files = Files::open(path)?;
        let content = Content::of(&files)?;
        let labels = files.labels()?;
        let names: Vec<String> = match (content.kind, &labels) {
            (DatasetKind::LabelsOnly, Some(labels)) => sorted_names(labels),
            (DatasetKind::LabelsOnly, None) => {
                return Err(files.bad_whole("it holds neither images nor labels: nothing to learn from"));
            }
            _ => content.list.iter().map(|&i| files.names()[i].clone()).collect(),
        };
        let json = files.find(LABELS);
        let used = labels.zip(json).filter(|(labels, _)| options.use_labels && !labels.is_empty());
        let (classes, class_names) = match used {
            Some((labels, json)) => {
                let classes = labels.assign(&names, |_| false);
                (Some(classes.map_err(|problem| files.bad(json, problem))?), labels.class_names)
            }
            None => (None, None),
        };
        let identity = files.hash(content.list.iter().copied().chain(json).collect())?;
        let left_out = content.left_out.clone();
        let (shape, store) = content.load(files, cache_bytes)?;
        let dataset = Self::assemble(path, shape, names, classes, identity, store, options);
        Ok(Self { class_names, left_out, ..dataset })
    }

    fn open_labels(path: &Path, options: &DatasetOptions) -> Result<Self> {
        let bad = |problem: String| Error::bad_file(path, "list of labels", format!("it {problem}"));
        let labels = Labels::open(path)?.unwrap_or_default();
        if labels.is_empty() {
            return Err(bad("lists no labels, and there are no images: nothing to learn from".to_owned()));
        }
        let names = sorted_names(&labels);
        let classes = labels.assign(&names, |_| false).map_err(bad)?;
        let classes = options.use_labels.then_some(classes);
        let class_names = labels.class_names.filter(|_| options.use_labels);
        let mut hash = blake3::Hasher::new();
        let file = File::open(path).map_err(Error::io("read", path))?;
        let identity = hash.update_reader(file).map_err(Error::io("read", path))?.finalize();
        let dataset = Self::assemble(path, [0; 3], names, classes, identity, Store::Nothing, options);
        Ok(Self { class_names, ..dataset })
    }

    /// Without labels: `arr_1`, where there is one, is not looked at.
    fn open_npz(path: &Path, options: &DatasetOptions) -> Result<Self> {
        let images = NpzImages::open(path)?;
        let [n, h, w, c] = images.shape();
        if h != w {
            let problem = format!("its images are {w} x {h} pixels, but networks work on squares");
            return Err(Error::bad_file(path, "npz file", problem));
        }
        let mut identity = blake3::Hasher::new();
        for extent in [n, h, w, c] {
            identity.update(&(extent as u64).to_le_bytes());
        }
        let identity = identity.update(&images.crc32().to_le_bytes()).finalize();
        let names = (0..n).map(|i| format!("{i:08}")).collect();
        Ok(Self::assemble(path, [c, h, w], names, None, identity, Store::Npz(images), options))
    }

    fn assemble(
        path: &Path,
        shape: [usize; 3],
        names: Vec<String>,
        classes: Option<Vec<u32>>,
        identity: blake3::Hash,
        store: Store,
        options: &DatasetOptions,
    ) -> Self {
        let label_dim = classes.as_ref().and_then(|c| c.iter().max()).map_or(0, |&most| most as usize + 1);
        let samples = choose(names.len(), options);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (class_names, left_out) = (None, None);
        Self { name, shape, names, classes, class_names, label_dim, left_out, samples, identity, store }
    }

    /// The file's or folder's name, without extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it consists of.
    pub fn kind(&self) -> DatasetKind {
        match self.store {
            Store::Memory(_) | Store::Images(..) | Store::Npz(_) => DatasetKind::Images,
            Store::RawLatents(..) => DatasetKind::RawLatents,
            Store::Nothing => DatasetKind::LabelsOnly,
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// `[channels, height, width]` of every sample; zeros where there are only labels.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of classes: the largest class plus one, 0 without labels.
    pub fn label_dim(&self) -> usize {
        self.label_dim
    }

    /// What the classes are called, if its labels are used and say so.
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    /// What lies there and is no part of it, in words.
    pub fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// Sorted names of the images (of an array, numbers), before `max_size` and `xflip`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The class of a sample.
    pub fn class(&self, sample: usize) -> Option<u32> {
        self.classes.as_ref().map(|classes| classes[self.samples[sample].raw])
    }

    /// The classes of all samples, if there are labels.
    pub fn classes(&self) -> Option<Vec<u32>> {
        (0..self.len()).map(|sample| self.class(sample)).collect()
    }

    /// A name for the contents: changes when an image or a label does, not when the file is moved or repacked.
    pub fn identity(&self) -> String {
        self.identity.to_hex().to_string()
    }

    /// One 8-bit image, `[c, h, w]`.
    ///
    /// # Errors
    /// Where the file cannot be read any more, or the dataset has no images.
    pub fn image(&self, sample: usize) -> Result<Cow<'_, [u8]>> {
        let Sample { raw, flipped } = self.samples[sample];
        let mut image: Cow<'_, [u8]> = match &self.store {
            Store::Memory(all) => {
                let size = self.shape.iter().product::<usize>();
                Cow::Borrowed(&all[raw * size..][..size])
            }
            Store::Images(files, list) => Cow::Owned(decode(files, list[raw], self.shape)?),
            Store::Npz(images) => {
                let [c, h, w] = self.shape;
                Cow::Owned(Pixels::new(w, h, c, images.read(raw)?).to_chw())
            }
            _ => return Err(Error::Unusable(format!("dataset `{}` has no images", self.name))),
        };
        if flipped {
            image.to_mut().chunks_mut(self.shape[2]).for_each(<[u8]>::reverse);
        }
        Ok(image)
    }

    /// The moments of one latent, `[mean | std, h, w]`.
    ///
    /// # Errors
    /// Where the file cannot be read any more, or the dataset has no latents.
    pub fn latent(&self, sample: usize) -> Result<Vec<f32>> {
        let Sample { raw, flipped } = self.samples[sample];
        let Store::RawLatents(files, list) = &self.store else {
            return Err(Error::Unusable(format!("dataset `{}` has no latents", self.name)));
        };
        let mut latent = latent(files, list[raw], self.shape)?;
        if flipped {
            latent.chunks_mut(self.shape[2]).for_each(<[f32]>::reverse);
        }
        Ok(latent)
    }

    /// Several samples with their labels.
    ///
    /// # Errors
    /// Where a file cannot be read any more.
    pub fn batch(&self, indices: &[usize]) -> Result<Batch> {
        let samples = match &self.store {
            Store::Memory(_) => {
                let mut bytes = Vec::with_capacity(indices.len() * self.shape.iter().product::<usize>());
                for &index in indices {
                    bytes.extend_from_slice(&self.image(index)?);
                }
                Samples::Images(bytes)
            }
            Store::Images(..) | Store::Npz(_) => {
                let images = indices.par_iter().map(|&i| self.image(i).map(Cow::into_owned));
                Samples::Images(images.collect::<Result<Vec<_>>>()?.concat())
            }
            Store::RawLatents(..) => {
                let latents = indices.par_iter().map(|&i| self.latent(i));
                Samples::RawLatents(latents.collect::<Result<Vec<_>>>()?.concat())
            }
            Store::Nothing => Samples::Nothing,
        };
        let classes = indices.iter().map(|&i| self.class(i)).collect();
        let (indices, shape, label_dim) = (indices.to_vec(), self.shape, self.label_dim);
        Ok(Batch { samples, indices, classes, shape, label_dim })
    }
}

/// The samples: all images, or a sorted random subset; behind them flipped copies.
fn choose(count: usize, options: &DatasetOptions) -> Vec<Sample> {
    let mut raw: Vec<usize> = (0..count).collect();
    if let Some(most) = options.max_size.filter(|&most| most < count) {
        NumpyRandomState::new(options.random_seed % (1 << 31)).shuffle(&mut raw);
        raw.truncate(most);
        raw.sort_unstable();
    }
    let flips: &[bool] = if options.xflip { &[false, true] } else { &[false] };
    flips.iter().flat_map(|&flipped| raw.iter().map(move |&raw| Sample { raw, flipped })).collect()
}

/// Whether a file's name has this extension, in lower or upper case.
pub(in crate::data) fn is_called(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn sorted_names(labels: &Labels) -> Vec<String> {
    let mut names: Vec<String> = labels.names().map(str::to_owned).collect();
    names.sort_unstable();
    names
}
