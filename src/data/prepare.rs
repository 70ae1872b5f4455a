//! Dataset preparation: images from anywhere become an EDM zip.

use std::{io::Write, ops::Range, path::Path, sync::mpsc::sync_channel};

use rayon::prelude::*;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::{
    Error, Result,
    data::{
        files::LABELS,
        originals::Originals,
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
}

/// What was prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Images written.
    pub images: usize,
    /// Images that the transform left out.
    pub left_out: usize,
    /// Images without a class. If there is any, no labels are written.
    pub unlabelled: usize,
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
}

/// Images that are transformed together, before they are handed to the writer.
const CHUNK: usize = 128;
/// Chunks that may wait for the writer.
const AHEAD: usize = 2;

/// Reads a folder, a zip, CIFAR-10's Python archive or MNIST's images, and writes an EDM zip: stored PNGs and
/// `dataset.json`. The zip appears only when it is complete. `progress` hears how many images of how many are done.
///
/// # Errors
/// Where the settings do not go together, an image is damaged, or the images do not become equal squares with a side
/// that is a power of two.
pub fn prepare(
    source: &Path,
    destination: &Path,
    options: &PrepareOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Prepared> {
    let shaping =
        Shaping::new(options.rules, options.transform, options.resolution)?.over(options.background);
    let images = Originals::open(source, options.rules)?;
    let count = options.max_images.unwrap_or(usize::MAX).min(images.len());
    let mut output = Output::new(destination, AtomicFile::create(destination)?, &images);
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let output = &mut output;
        let writing = scope.spawn(move || {
            for (range, chunk) in receiver {
                let range: Range<usize> = range;
                let end = range.end;
                for (index, image) in range.zip::<Vec<Result<Option<Encoded>>>>(chunk) {
                    output.add(index, image?)?;
                }
                progress(end, count);
            }
            Ok::<_, Error>(())
        });
        for start in (0..count).step_by(CHUNK) {
            let range = start..(start + CHUNK).min(count);
            let chunk = range.clone().into_par_iter().map(|i| Encoded::make(&images, &shaping, i)).collect();
            if sender.send((range, chunk)).is_err() {
                break; // The writer met an error, and tells it below.
            }
        }
        drop(sender);
        writing.join().expect("the writer does not panic")
    })?;
    let (prepared, file) = output.finish()?;
    file.commit()?;
    Ok(prepared)
}

/// One image ready to be written.
struct Encoded {
    shape: [usize; 3],
    png: Vec<u8>,
}

impl Encoded {
    fn make(images: &Originals, shaping: &Shaping, index: usize) -> Result<Option<Self>> {
        let shaped = shaping.apply(images.load(index)?).map_err(|problem| images.bad(index, &problem))?;
        let Some(Pixels { width, height, channels, .. }) = shaped else { return Ok(None) };
        let problem = if width != height {
            "but must be square: choose a transform or a square `resolution`"
        } else if width.is_power_of_two() {
            let png = shaped.as_ref().map(Pixels::to_stored_png).unwrap_or_default();
            return Ok(Some(Self { shape: [channels, height, width], png }));
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
    labels: Vec<(String, Option<u32>)>,
    shape: Option<[usize; 3]>,
    left_out: usize,
}

impl<'a> Output<'a> {
    fn new(destination: &'a Path, file: AtomicFile, images: &'a Originals) -> Self {
        let zip = ZipWriter::new(file);
        Self { destination, images, zip, labels: Vec::new(), shape: None, left_out: 0 }
    }

    fn add(&mut self, index: usize, image: Option<Encoded>) -> Result<()> {
        let Some(Encoded { shape, png }) = image else {
            self.left_out += 1;
            return Ok(());
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
        let name = format!("{}/img{digits}.png", &digits[..5]);
        self.write(&name, &png)?;
        self.labels.push((name, self.images.class(index)));
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
            return Err(Error::Unusable(format!(
                "the transform leaves out all {} images: they are smaller than the `resolution`",
                self.left_out
            )));
        };
        let labels = std::mem::take(&mut self.labels);
        let unlabelled = labels.iter().filter(|(_, class)| class.is_none()).count();
        let list = (unlabelled == 0).then_some(&labels);
        let json = serde_json::json!({ "labels": list });
        self.write(LABELS, json.to_string().as_bytes())?;
        let file = self.zip.finish().map_err(|e| Error::io("write", self.destination)(e.into()))?;
        Ok((Prepared { images: labels.len(), left_out: self.left_out, unlabelled, shape }, file))
    }
}
