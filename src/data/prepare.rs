//! Dataset preparation: images from anywhere become an EDM zip.

use std::{io::Write, ops::Range, path::Path, sync::mpsc::sync_channel};

use rayon::prelude::*;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::{
    Error, Result,
    data::{
        class_order::ClassOrder,
        files::LABELS,
        originals::Originals,
        pictures::Counted,
        pixels::Pixels,
        transform::{Rules, Shaping, Transform},
    },
    formats::AtomicFile,
};

/// How a dataset is prepared.
#[derive(Clone, Debug, Default)]
pub struct PrepareOptions {
    /// Whose rules of order and colour to follow.
    pub rules: Rules,
    /// How images become squares; without it they are only scaled.
    pub transform: Option<Transform>,
    /// Width and height in pixels; without it images keep their size.
    pub resolution: Option<[usize; 2]>,
    /// Red, green and blue of what images are laid over that say what is transparent; without it, what is hidden shows.
    pub background: Option<[u8; 3]>,
    /// Take only this many of the source's images.
    pub max_images: Option<usize>,
    /// Images without a class are an error; without this, classes are kept where all images have one.
    pub use_labels: bool,
    /// The order of folders that are classes.
    pub class_order: ClassOrder,
    /// Leave out pictures of formats that are not read, and images that do not decode.
    pub skip_unreadable: bool,
}

/// What was prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Images written.
    pub images: usize,
    /// Images that the transform left out.
    pub left_out: usize,
    /// Pictures that could not be read, and were to be skipped; the first with the reason.
    pub unreadable: Counted,
    /// What the classes are called, where classes were written and their names are known.
    pub class_names: Option<Vec<String>>,
    /// What else was left out or decided, in words.
    pub remarks: Vec<String>,
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
}

/// The most images that are transformed together, before they are handed to the writer.
const CHUNK: usize = 128;
/// The most bytes of them.
const CHUNK_BYTES: usize = 32 << 20;
/// What is written in the place of images: the bytes of a `.npy` file for each of them.
pub type Encode<'a> = &'a dyn Fn(&[Pixels]) -> Result<Vec<Vec<u8>>>;
/// Chunks that may wait for the writer.
const AHEAD: usize = 2;

/// Whether a source can be prepared, as far as its list of images says, however it is then asked for: labels and pictures that are
/// not read are the asker's to judge.
///
/// # Errors
/// Those of `prepare` that come before the first image.
pub fn can_prepare(source: &Path, rules: Rules) -> Result<()> {
    let options = PrepareOptions { rules, skip_unreadable: true, ..PrepareOptions::default() };
    Originals::open(source, &options).map(drop)
}

/// Reads a folder, a zip, CIFAR's archives or MNIST's images, and writes an EDM zip: stored PNGs and
/// `dataset.json`. The zip appears only when it is complete. `progress` hears how many images of how many are done.
///
/// # Errors
/// Where the settings do not go together, an image is damaged or has no class where it should, or the images do not become
/// equal squares with a side that is a power of two.
pub fn prepare(
    source: &Path,
    destination: &Path,
    options: &PrepareOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Prepared> {
    prepare_as(None, source, destination, options, progress)
}

/// The same, but `encode`, if given, makes other files of the images than PNGs, such as latents.
///
/// # Errors
/// As `prepare`; what `encode` returns.
pub fn prepare_as(
    encode: Option<Encode<'_>>,
    source: &Path,
    destination: &Path,
    options: &PrepareOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Prepared> {
    let shaping =
        Shaping::new(options.rules, options.transform, options.resolution)?.over(options.background);
    let images = Originals::open(source, options)?;
    let count = options.max_images.unwrap_or(usize::MAX).min(images.len());
    let mut output = Output::new(destination, AtomicFile::create(destination)?, &images);
    let as_png = encode.is_none();
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let output = &mut output;
        let writing = scope.spawn(move || {
            for (range, chunk) in receiver {
                let range: Range<usize> = range;
                let end = range.end;
                for (index, image) in range.zip::<Vec<Result<Encoded>>>(chunk) {
                    output.add(index, image, options.skip_unreadable)?;
                }
                progress(end, count);
            }
            Ok::<_, Error>(())
        });
        let send = || {
            // All are alike: of what size, the first one says where the options do not.
            let mut each = options.resolution.map(|[width, height]| 3 * width * height);
            let mut start = 0;
            while start < count {
                let range = start..(start + together(each)).min(count);
                start = range.end;
                let make = |i| Encoded::make(&images, &shaping, i, as_png);
                let mut chunk: Vec<Result<Encoded>> = range.clone().into_par_iter().map(make).collect();
                each = each.or_else(|| chunk.iter().find_map(bytes));
                if let Some(encode) = encode {
                    encode_all(&mut chunk, encode).map_err(Some)?;
                }
                // The writer met an error where it takes no more, and tells it below.
                sender.send((range, chunk)).map_err(|_| None)?;
            }
            Ok(())
        };
        let sent = send();
        drop(sender);
        let written = writing.join().expect("the writer does not panic");
        match sent {
            Err(Some(error)) => Err(error),
            _ => written,
        }
    })?;
    let (prepared, file) = output.finish()?;
    file.commit()?;
    Ok(prepared)
}

/// How many images of so many bytes are transformed together.
fn together(each: Option<usize>) -> usize {
    each.map_or(1, |bytes| (CHUNK_BYTES / bytes.max(1)).clamp(1, CHUNK))
}

/// The bytes of an image that is written.
fn bytes(image: &Result<Encoded>) -> Option<usize> {
    match image {
        Ok(Encoded::Written { shape, .. }) => Some(shape.iter().product()),
        _ => None,
    }
}

/// What becomes of one image.
enum Encoded {
    Written {
        shape: [usize; 3],
        file: File,
    },
    /// The transform leaves it out.
    LeftOut,
    /// It does not decode.
    Unreadable(Error),
}

/// A file of the dataset.
enum File {
    Png(Vec<u8>),
    Npy(Vec<u8>),
    /// Pixels that become one.
    Pixels(Pixels),
}

/// Makes arrays of the images of a chunk.
fn encode_all(chunk: &mut [Result<Encoded>], encode: Encode<'_>) -> Result<()> {
    let files = chunk.iter_mut().filter_map(|image| match image {
        Ok(Encoded::Written { file, .. }) => Some(file),
        _ => None,
    });
    let (mut places, mut pixels) = (Vec::new(), Vec::new());
    for file in files {
        if let File::Pixels(image) = std::mem::replace(file, File::Npy(Vec::new())) {
            pixels.push(image);
            places.push(file);
        }
    }
    let arrays = encode(&pixels)?;
    places.into_iter().zip(arrays).for_each(|(file, array)| *file = File::Npy(array));
    Ok(())
}

impl Encoded {
    fn make(images: &Originals, shaping: &Shaping, index: usize, as_png: bool) -> Result<Self> {
        let decoded = match images.load(index) {
            Ok(decoded) => decoded,
            Err(error @ Error::BadFile { .. }) => return Ok(Self::Unreadable(error)),
            Err(error) => return Err(error),
        };
        let shaped = shaping.apply(decoded).map_err(|problem| images.bad(index, &problem))?;
        let Some(shaped) = shaped else { return Ok(Self::LeftOut) };
        let Pixels { width, height, channels, .. } = shaped;
        let problem = if width != height {
            "but must be square: choose a transform or a square `resolution`"
        } else if width.is_power_of_two() {
            let file = if as_png { File::Png(shaped.to_stored_png()) } else { File::Pixels(shaped) };
            return Ok(Self::Written { shape: [channels, height, width], file });
        } else {
            "but its side must be a power of two: choose a `resolution`"
        };
        Err(images.bad(index, &format!("becomes {width} x {height} pixels, {problem}")))
    }
}

/// The zip being written.
struct Output<'a> {
    destination: &'a Path,
    images: &'a Originals,
    zip: ZipWriter<AtomicFile>,
    /// Names of the images written, and their numbers in the source.
    written: Vec<(String, usize)>,
    shape: Option<[usize; 3]>,
    left_out: usize,
    unreadable: Counted,
}

impl<'a> Output<'a> {
    fn new(destination: &'a Path, file: AtomicFile, images: &'a Originals) -> Self {
        let (zip, unreadable) = (ZipWriter::new(file), images.unread.clone());
        Self { destination, images, zip, written: Vec::new(), shape: None, left_out: 0, unreadable }
    }

    fn add(&mut self, index: usize, image: Result<Encoded>, skips: bool) -> Result<()> {
        let (shape, file) = match image? {
            Encoded::Written { shape, file } => (shape, file),
            Encoded::LeftOut => {
                self.left_out += 1;
                return Ok(());
            }
            Encoded::Unreadable(error) if skips => {
                self.unreadable.add(&error.to_string());
                return Ok(());
            }
            Encoded::Unreadable(error) => return Err(error),
        };
        let first = *self.shape.get_or_insert(shape);
        if shape != first {
            let words = |[c, h, w]: [usize; 3]| format!("{w} x {h} pixels with {c} channels");
            let problem = format!(
                "becomes {}, but the first one {}: all must be alike; choose a transform and a `resolution`",
                words(shape),
                words(first)
            );
            return Err(self.images.bad(index, &problem));
        }
        let digits = format!("{index:08}");
        let folder = &digits[..5];
        let (name, bytes) = match file {
            File::Png(png) => (format!("{folder}/img{digits}.png"), png),
            File::Npy(array) => (format!("{folder}/img-mean-std-{digits}.npy"), array),
            File::Pixels(_) => unreachable!("pixels become arrays before they are written"),
        };
        self.write(&name, &bytes)?;
        self.written.push((name, index));
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        // One fixed date: the same images give the same file.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default());
        self.zip.start_file(name, options).map_err(|e| Error::io("write", self.destination)(e.into()))?;
        self.zip.write_all(bytes).map_err(Error::io("write", self.destination))
    }

    fn finish(mut self) -> Result<(Prepared, AtomicFile)> {
        let Some(shape) = self.shape else {
            let problem = match (self.left_out, &self.unreadable) {
                (0, Counted { count, first }) => format!("none of the {count} images can be read: {first}"),
                (small, _) => format!(
                    "the transform leaves out all {small} images: they are smaller than the `resolution`"
                ),
            };
            return Err(Error::Unusable(problem));
        };
        let written = std::mem::take(&mut self.written);
        let classes = self.images.classes.as_ref();
        let labels: Option<Vec<(&str, u32)>> = classes
            .map(|classes| written.iter().map(|(name, index)| (name.as_str(), classes[*index])).collect());
        let mut json = serde_json::json!({ "labels": labels });
        // EDM's tools read `labels` alone.
        let class_names = self.images.class_names.clone().filter(|_| labels.is_some());
        if let Some(names) = &class_names {
            json["class_names"] = names.as_slice().into();
        }
        self.write(LABELS, json.to_string().as_bytes())?;
        let file = self.zip.finish().map_err(|e| Error::io("write", self.destination)(e.into()))?;
        let (images, left_out, unreadable) = (written.len(), self.left_out, self.unreadable);
        let remarks = self.images.remarks.clone();
        Ok((Prepared { images, left_out, unreadable, class_names, remarks, shape }, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_are_fewer_at_a_time() {
        assert_eq!(together(Some(3 * 32 * 32)), CHUNK);
        assert_eq!(together(Some(3 * 1024 * 1024)), 10);
        assert_eq!(together(Some(3 * 8192 * 8192)), 1);
        assert_eq!(together(None), 1);
    }
}
