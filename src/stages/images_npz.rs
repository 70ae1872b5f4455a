//! `images.npz`: all generated images in one array, `arr_0`, uint8, `[n, h, w, c]`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{Error, Result, data::Pixels};

/// Writes image by image, so that any number of them fits into memory.
pub(super) struct ImagesNpz {
    path: PathBuf,
    temporary: tempfile::TempPath,
    zip: ZipWriter<BufWriter<File>>,
    count: usize,
    begun: bool,
}

impl ImagesNpz {
    /// Begins a file of `count` images.
    pub(super) fn create(path: &Path, count: usize) -> Result<Self> {
        let folder = path.parent().expect("a file in a stage's folder");
        let file = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempfile_in(folder)
            .map_err(Error::io("write in the folder", folder))?;
        let (file, temporary) = file.into_parts();
        let mut zip = ZipWriter::new(BufWriter::new(file));
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored).large_file(true);
        zip.start_file("arr_0.npy", options).map_err(|e| failed(path, e.to_string()))?;
        Ok(Self { path: path.to_path_buf(), temporary, zip, count, begun: false })
    }

    /// Appends images; all are of one size.
    pub(super) fn add(&mut self, images: &[Pixels]) -> Result<()> {
        for image in images {
            if !self.begun {
                self.begun = true;
                let header = header([self.count, image.height, image.width, image.channels]);
                self.zip.write_all(&header).map_err(Error::io("write", &self.path))?;
            }
            self.zip.write_all(&image.data).map_err(Error::io("write", &self.path))?;
        }
        Ok(())
    }

    /// Puts the file into its place.
    pub(super) fn finish(self) -> Result<()> {
        let mut file = self.zip.finish().map_err(|e| failed(&self.path, e.to_string()))?;
        file.flush().map_err(Error::io("write", &self.path))?;
        let persist = self.temporary.persist(&self.path);
        persist.map_err(|e| Error::Io { action: "write", path: self.path, source: e.error })
    }
}

/// The header of a version 1.0 `.npy` file of bytes, padded to a multiple of 64.
fn header(shape: [usize; 4]) -> Vec<u8> {
    let [n, h, w, c] = shape;
    let mut text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({n}, {h}, {w}, {c}), }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn failed(path: &Path, problem: String) -> Error {
    Error::bad_file(path, "place for an npz file", problem)
}
