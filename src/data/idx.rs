//! MNIST and its kin: idx files of bytes, images and labels in two files beside each other, packed with gzip or not.

use std::{
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use super::decode::check_size;
use crate::{Error, Result, formats::regular_file};

/// More than the largest of the kind, EMNIST by class, has.
const MAX_BYTES: usize = 768 << 20;
const FORMAT: &str = "MNIST file";

/// How an idx file of bytes begins.
pub(in crate::data) const MAGIC: [u8; 3] = [0, 0, 8];

/// Images, all of one size.
pub(in crate::data) struct IdxImages {
    /// `[n, height, width]`
    pub(in crate::data) images: Vec<u8>,
    pub(in crate::data) height: usize,
    pub(in crate::data) width: usize,
    /// `None` where there is no file of them.
    pub(in crate::data) classes: Option<Vec<u32>>,
}

/// Reads a file of images and, where it is there, the one of labels beside it.
pub(in crate::data) fn read(path: &Path, needs_labels: bool) -> Result<IdxImages> {
    let ([n, height, width], images) = idx(path)?;
    let bad = |problem: String| Err(Error::bad_file(path, FORMAT, problem));
    if let Err(problem) = check_size(width, height) {
        return bad(format!("an image {problem}"));
    }
    let labels = match beside(path) {
        Ok(labels) => labels,
        Err(looked_for) if needs_labels => {
            return bad(format!("its labels are looked for in {looked_for}: download them too"));
        }
        Err(_) => return Ok(IdxImages { images, height, width, classes: None }),
    };
    let ([count], classes) = idx(&labels)?;
    if count != n {
        return Err(Error::bad_file(&labels, FORMAT, format!("it has {count} labels for {n} images")));
    }
    let classes = Some(classes.into_iter().map(u32::from).collect());
    Ok(IdxImages { images, height, width, classes })
}

/// The file of labels; else the words that say where it was looked for.
fn beside(path: &Path) -> std::result::Result<PathBuf, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if !name.contains("images") {
        return Err(
            "a file with `labels` in its name where this one has `images`, which it has not".to_owned()
        );
    }
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    let candidates = [format!("{labels}.gz"), labels].map(|name| path.with_file_name(name));
    let shown = candidates.each_ref().map(|path| format!("`{}`", path.display())).join(" and ");
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| format!("{shown}, and are not there"))
}

/// Dimensions and contents.
fn idx<const D: usize>(path: &Path) -> Result<([usize; D], Vec<u8>)> {
    let bad = |problem: &str| Error::bad_file(path, FORMAT, problem);
    let damaged = |e: std::io::Error| Error::bad_file(path, "gzip file", format!("{e}: download it again"));
    let mut file = unpacked(path)?;
    let mut header = vec![0; 4 + 4 * D];
    let expected = [0, 0, 8, D as u8];
    match file.read_exact(&mut header) {
        Err(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => return Err(damaged(e)),
        Ok(()) if header.starts_with(&expected) => {}
        _ if header.starts_with(&[0, 0, 8, 1]) => {
            return Err(bad("it holds labels: name the file of images, which has `images` in its name"));
        }
        _ => return Err(bad("it does not begin as an idx file of bytes: download it again")),
    }
    let dims: [usize; D] =
        std::array::from_fn(|i| header[4 + 4 * i..].iter().take(4).fold(0, |n, &b| n << 8 | usize::from(b)));
    let size = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).filter(|&size| size <= MAX_BYTES);
    let size = size.ok_or_else(|| bad("it claims more bytes than any of its kind has"))?;
    let mut data = Vec::new();
    file.take(size as u64 + 1).read_to_end(&mut data).map_err(damaged)?;
    if size != data.len() || data.is_empty() {
        return Err(bad("it is cut off, or longer than it says: download it again"));
    }
    Ok((dims, data))
}

/// The bytes of a file, unpacked where it is packed with gzip.
pub(in crate::data) fn unpacked(path: &Path) -> Result<Box<dyn Read>> {
    let open = || regular_file(path).map(BufReader::new).map_err(|why| why.about(path, "file"));
    let mut head = [0; 2];
    let is_packed = open()?.read_exact(&mut head).is_ok() && head == [0x1f, 0x8b];
    Ok(if is_packed { Box::new(MultiGzDecoder::new(open()?)) } else { Box::new(open()?) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn images_and_labels_are_read_packed_or_not_and_checked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train-images-idx3-ubyte.gz");
        let labels = dir.path().join("train-labels-idx1-ubyte");
        let problem = |labels| read(&path, labels).err().unwrap().to_string();
        let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let images = [&header[..], &[1, 2, 3, 4]].concat();
        std::fs::write(&path, packed(&images)).unwrap();
        assert!(problem(true).contains("train-labels-idx1-ubyte.gz` and"));
        assert!(read(&path, false).unwrap().classes.is_none());
        std::fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 9, 4]).unwrap();
        let found = read(&path, true).unwrap();
        assert_eq!((found.images, found.height, found.width), (vec![1, 2, 3, 4], 1, 2));
        assert_eq!(found.classes, Some(vec![9, 4]));
        assert!(read(&labels, true).err().unwrap().to_string().contains("it holds labels"));
        std::fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 1, 9]).unwrap();
        assert!(problem(true).contains("1 labels for 2 images"));
        let mut huge = images.clone();
        huge[8..16].fill(0xff);
        for (bytes, said) in [
            (packed(&images[..17]), "cut off"),
            (packed(&[&images[..], b"x"].concat()), "longer"),
            (packed(&huge), "claims more"),
            (packed(b"nothing"), "does not begin"),
            (packed(&images)[..20].to_vec(), "download it again"),
            (b"no gzip".to_vec(), "does not begin"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert!(problem(false).contains(said), "{said}: {}", problem(false));
        }
    }
}
