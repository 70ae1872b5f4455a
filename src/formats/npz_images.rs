//! `NpzImages`: the images in the array `arr_0` of an `.npz`, as ADM's batches of samples have it.

use std::{
    io::{self, Read, Write},
    path::Path,
};

use super::{
    file_bytes::FileBytes,
    npy,
    npz::{self, FORMAT},
    zip::{Limits, ZipArchive, ZipEntry},
};
use crate::{Error, Result};

/// The array's file in the zip.
const ENTRY: &str = "arr_0.npy";
/// Bytes that are compared with the checksum at once.
const CHUNK: usize = 1 << 20;

/// Compressed images that are held in memory; more of them are unpacked to the disk.
const MEMORY: u64 = 64 << 20;
/// So many times its length at most is what more than that may unpack to. Photographs give twice, digits ten times.
const EXPANSION: u64 = 100;

/// Images of one size, uint8 `[n, h, w, c]`. Stored ones are read from disk one by one, however many there are;
/// compressed ones from memory or, where they are many, from a file without a name in the folder for temporary ones.
#[derive(Debug)]
pub struct NpzImages {
    bytes: FileBytes,
    start: u64,
    shape: [usize; 4],
    crc32: u32,
}

impl NpzImages {
    /// Opens a file.
    ///
    /// # Errors
    /// `BadFile` for what is damaged, and for an `arr_0` that is absent or holds no images; `Io`, also where there is no
    /// room to unpack it.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, MEMORY)
    }

    /// The same with so many bytes of memory for compressed images.
    fn open_within(path: &Path, memory: u64) -> Result<Self> {
        let npz = npz::open(FileBytes::open(path)?, memory)?;
        let bad = |problem: String| npz.source().bad(FORMAT, problem);
        let Some(entry) = npz.entry(ENTRY).cloned() else {
            return Err(bad("it has no array `arr_0`, which holds the images".to_owned()));
        };
        let (shape, head) = shape(&npz.peek(&entry, npy::HEAD)?, entry.size).map_err(bad)?;
        let Ok(span) = npz.span(&entry) else {
            return Ok(Self {
                bytes: unpacked(&npz, &entry, memory)?,
                start: head,
                shape,
                crc32: entry.crc32,
            });
        };
        let bytes = npz.into_source();
        let (mut crc, mut chunk) = (flate2::Crc::new(), vec![0; CHUNK]);
        for start in (0..span.len).step_by(CHUNK) {
            let part = &mut chunk[..(span.len - start).min(CHUNK as u64) as usize];
            bytes.read_at(span.start + start, part)?;
            crc.update(part);
        }
        if crc.sum() != entry.crc32 {
            return Err(
                bytes.bad(FORMAT, "`arr_0` is damaged (its checksum differs): copy or download it again")
            );
        }
        Ok(Self { bytes, start: span.start + head, shape, crc32: entry.crc32 })
    }

    /// The shape that the header of a file's images says, without a look at them.
    ///
    /// # Errors
    /// As `open`, as far as the header tells.
    pub fn glance(path: &Path) -> Result<[usize; 4]> {
        let npz = npz::open(FileBytes::open(path)?, npy::HEAD)?;
        let bad = |problem: String| npz.source().bad(FORMAT, problem);
        let entry = npz.entry(ENTRY).ok_or_else(|| bad("it has no array `arr_0`".to_owned()))?;
        Ok(shape(&npz.peek(entry, npy::HEAD)?, entry.size).map_err(bad)?.0)
    }

    /// `[n, h, w, c]`
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The checksum of all.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    /// One image, `[h, w, c]`.
    ///
    /// # Errors
    /// Where the file cannot be read any more.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn read(&self, index: usize) -> Result<Vec<u8>> {
        let [n, h, w, c] = self.shape;
        assert!(index < n, "image {index} of {n}");
        let mut image = vec![0; h * w * c];
        self.bytes.read_at(self.start + (index * image.len()) as u64, &mut image)?;
        Ok(image)
    }
}

/// The bytes of compressed images, where they can be read at any place.
fn unpacked(npz: &ZipArchive, entry: &ZipEntry, memory: u64) -> Result<FileBytes> {
    let (path, packed, size) = (npz.source().path(), entry.packed_size, entry.size);
    if size <= memory {
        return Ok(FileBytes::memory(path, npz.read(entry)?));
    }
    if size / EXPANSION > packed {
        let problem = format!("`arr_0` claims to unpack {packed} bytes to {size}, which no images do");
        let advice = "if they are so alike, save it with `numpy.savez`";
        return Err(npz.source().bad(FORMAT, format!("{problem}: {advice}")));
    }
    let folder = std::env::temp_dir();
    let mut file = tempfile::tempfile_in(&folder).map_err(Error::io("write", &folder))?;
    let mut reader = npz.reader(entry)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return FileBytes::unnamed(path, file),
            Ok(read) => file.write_all(&chunk[..read]).map_err(Error::io("write", &folder))?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                return Err(npz.source().bad(FORMAT, format!("`arr_0` {e}")));
            }
            Err(e) => return Err(Error::io("read", path)(e)),
        }
    }
}

/// The shape of an array of images of `size` bytes in all, and the length of its header.
fn shape(head: &[u8], size: u64) -> Result<([usize; 4], u64), String> {
    let header = npy::header(head).map_err(|why| format!("array `arr_0` {why}"))?;
    let shape = <[usize; 4]>::try_from(header.shape.as_slice()).ok();
    let shape = shape.filter(|[n, h, w, c]| *n > 0 && *h > 0 && *w > 0 && [1, 3].contains(c));
    let Some(shape) = shape.filter(|_| header.descr == "|u1" && !header.fortran_order) else {
        let found = format!("holds `{}` of shape {:?}", header.descr, header.shape);
        return Err(format!(
            "array `arr_0` {found}, not images: uint8 [n, height, width, 1 or 3] in C order"
        ));
    };
    let most = Limits::default().entries;
    if shape[0] as u64 > most {
        return Err(format!("array `arr_0` claims {} images; {most} is the limit", shape[0]));
    }
    let bytes = shape.iter().try_fold(1_u64, |all, &extent| all.checked_mul(extent as u64));
    match bytes.and_then(|bytes| size.checked_sub(bytes)) {
        Some(left) if left == npy::header_len(head).unwrap_or(u64::MAX) => Ok((shape, left)),
        _ => Err(format!("array `arr_0` has {size} bytes, which do not fill the shape {shape:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn written(path: &Path, name: &str, array: &[u8], method: CompressionMethod) {
        let mut zip = ZipWriter::new(fs::File::create(path).unwrap());
        zip.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(array).unwrap();
        zip.finish().unwrap();
    }

    fn array(descr: &str, shape: &[usize], bytes: usize) -> Vec<u8> {
        [npy::written(descr, shape), (0..bytes).map(|i| i as u8).collect()].concat()
    }

    #[test]
    fn stored_and_compressed_images_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let array = array("|u1", &[5, 2, 2, 3], 60);
        let (stored, deflated) = (CompressionMethod::Stored, CompressionMethod::Deflated);
        // Of compressed ones, some are held in memory, others in a file.
        for (method, memory) in [(stored, 0), (deflated, 1000), (deflated, 0)] {
            written(&path, ENTRY, &array, method);
            let images = NpzImages::open_within(&path, memory).unwrap();
            assert_eq!(images.shape(), [5, 2, 2, 3]);
            assert_eq!(NpzImages::glance(&path).unwrap(), images.shape());
            for i in 0..5_u8 {
                assert_eq!(images.read(usize::from(i)).unwrap(), (12 * i..12 * i + 12).collect::<Vec<_>>());
            }
        }
    }

    /// A file of kilobytes that would fill the disk, and one whose images are not what the checksum says.
    #[test]
    fn what_unpacks_to_too_much_or_wrongly_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let blank = [npy::written("|u1", &[1000, 64, 64, 3]), vec![0; 1000 * 64 * 64 * 3]].concat();
        written(&path, ENTRY, &blank, CompressionMethod::Deflated);
        let said = NpzImages::open_within(&path, 1000).unwrap_err().to_string();
        assert!(said.contains("which no images do") && said.contains("numpy.savez"), "{said}");
        written(&path, ENTRY, &array("|u1", &[5, 2, 2, 3], 60), CompressionMethod::Deflated);
        let mut bytes = fs::read(&path).unwrap();
        let central = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        bytes[central + 16] ^= 1;
        fs::write(&path, bytes).unwrap();
        for memory in [0, 1000] {
            let said = NpzImages::open_within(&path, memory).unwrap_err().to_string();
            assert!(said.contains("checksum differ"), "{said}");
        }
    }

    #[test]
    fn what_holds_no_images_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        for (name, array, said) in [
            ("arr_1.npy", array("|u1", &[1, 2, 2, 3], 12), "no array `arr_0`"),
            (ENTRY, array("<f4", &[1, 2, 2, 3], 48), "`<f4` of shape [1, 2, 2, 3]"),
            (ENTRY, array("|u1", &[2, 2, 3], 12), "not images"),
            (ENTRY, array("|u1", &[0, 2, 2, 3], 0), "not images"),
            (ENTRY, array("|u1", &[1, 2, 2, 4], 16), "not images"),
            (ENTRY, array("|u1", &[2, 2, 2, 3], 12), "do not fill"),
            (ENTRY, array("|u1", &[1, 2, 2, 3], 13), "do not fill"),
            (ENTRY, array("|u1", &[1 << 40, 1 << 40, 2, 3], 13), "is the limit"),
            (ENTRY, array("|u1", &[9, 1 << 40, 1 << 40, 3], 13), "do not fill"),
            (ENTRY, b"no array".to_vec(), "not a numpy array"),
        ] {
            written(&path, name, &array, CompressionMethod::Stored);
            for problem in [NpzImages::open(&path).map(drop), NpzImages::glance(&path).map(drop)] {
                let problem = problem.unwrap_err().to_string();
                assert!(problem.contains(said), "{problem}");
            }
        }
    }

    #[test]
    fn damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        written(&path, ENTRY, &array("|u1", &[1, 8, 8, 1], 64), CompressionMethod::Stored);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(4).position(|four| four == [9, 10, 11, 12]).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(NpzImages::open(&path).unwrap_err().to_string().contains("damaged"));
    }
}
