//! `.npz`: a zip of numpy arrays. Reading takes the arrays that are asked for; writing streams to disk.

use std::{io::Write, path::Path};

use burn::tensor::TensorData;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{
    atomic_file::AtomicFile,
    file_bytes::FileBytes,
    npy,
    zip::{Limits, ZipArchive},
};
use crate::{Error, Result};

pub(super) const FORMAT: &str = "npz file";

/// The arrays of a `.npz` of at most `longest` bytes each.
///
/// # Errors
/// `BadFile` where it is no zip.
pub(super) fn open(source: FileBytes, longest: u64) -> Result<ZipArchive> {
    ZipArchive::new(source, FORMAT, Limits { entries: 10_000, entry_size: longest })
}

/// The shape of the array of that name, from its header; `None` where there is none.
///
/// # Errors
/// `BadFile` for a damaged entry.
pub(super) fn shape(npz: &ZipArchive, name: &str) -> Result<Option<Vec<usize>>> {
    let Some(entry) = npz.entry(&format!("{name}.npy")) else { return Ok(None) };
    let header = npy::header(&npz.peek(entry, npy::HEAD)?);
    let shape = header.map(|header| Some(header.shape));
    shape.map_err(|why| npz.source().bad(FORMAT, format!("array `{name}` {why}")))
}

/// The array of that name; `None` where there is none.
///
/// # Errors
/// `BadFile` for a damaged entry or an array of something else than numbers.
pub(super) fn array(npz: &ZipArchive, name: &str) -> Result<Option<TensorData>> {
    let Some(entry) = npz.entry(&format!("{name}.npy")) else { return Ok(None) };
    let array = npy::parse(npz.read(entry)?);
    array.map(Some).map_err(|why| npz.source().bad(FORMAT, format!("array `{name}` {why}")))
}

/// Writes images as the array `arr_0`, uint8 `[n, h, w, c]`, one after another, without holding them. The file
/// appears under its name with `finish`.
pub struct NpzImageWriter {
    path: std::path::PathBuf,
    zip: ZipWriter<AtomicFile>,
    image_len: usize,
    missing: usize,
}

impl NpzImageWriter {
    /// Begins a file for exactly `n` images of `h` by `w` pixels and `c` channels.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(path: &Path, [n, h, w, c]: [usize; 4]) -> Result<Self> {
        let mut zip = ZipWriter::new(AtomicFile::create(path)?);
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
        zip.start_file("arr_0.npy", options).map_err(|e| Error::io("write", path)(e.into()))?;
        zip.write_all(&npy::written("|u1", &[n, h, w, c])).map_err(Error::io("write", path))?;
        Ok(Self { path: path.to_path_buf(), zip, image_len: h * w * c, missing: n })
    }

    /// Adds one image, or several, `[h, w, c]` each.
    ///
    /// # Errors
    /// `Io`; `BadFile` for pixels that are no whole number of images, or more images than announced.
    pub fn write(&mut self, pixels: &[u8]) -> Result<()> {
        let count = pixels.len() / self.image_len.max(1);
        if count * self.image_len != pixels.len() || count > self.missing {
            return Err(Error::bad_file(&self.path, FORMAT, "other images than announced are written"));
        }
        self.zip.write_all(pixels).map_err(Error::io("write", &self.path))?;
        self.missing -= count;
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// `Io`; `BadFile` where images are missing.
    pub fn finish(self) -> Result<()> {
        if self.missing > 0 {
            return Err(Error::bad_file(&self.path, FORMAT, format!("{} images are missing", self.missing)));
        }
        self.zip.finish().map_err(|e| Error::io("write", &self.path)(e.into()))?.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_streamed_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.npz");
        let images: Vec<Vec<u8>> = (0..5u8).map(|i| vec![i; 12]).collect();
        let mut writer = NpzImageWriter::create(&path, [5, 2, 2, 3]).unwrap();
        writer.write(&images[0]).unwrap();
        writer.write(&images[1..3].concat()).unwrap();
        assert!(writer.write(&[0; 13]).is_err());
        assert!(writer.write(&[0; 36]).is_err());
        assert!(!path.exists(), "nothing appears before the end");
        writer.write(&images[3..].concat()).unwrap();
        writer.finish().unwrap();
        let npz = open(FileBytes::open(&path).unwrap(), 1000).unwrap();
        let made = array(&npz, "arr_0").unwrap().unwrap();
        assert_eq!(made.shape().as_slice(), [5, 2, 2, 3]);
        assert_eq!(made.as_slice::<u8>().unwrap(), images.concat());
        assert!(array(&npz, "mu").unwrap().is_none());
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.npz");
        let writer = NpzImageWriter::create(&path, [2, 1, 1, 1]).unwrap();
        assert!(writer.finish().is_err());
        drop(NpzImageWriter::create(&path, [2, 1, 1, 1]).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
