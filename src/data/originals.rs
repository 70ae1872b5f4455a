//! `Originals`: where dataset preparation takes its images from, in which order, with which classes.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use flate2::bufread::GzDecoder;

use crate::{
    Error, Result,
    data::{
        dataset_content::{images, no_images},
        decode::{Decoded, Mode, decode},
        files::{Files, MAX_FILE_BYTES, extension},
        pixels::Pixels,
        transform::Rules,
    },
};

/// Images to prepare.
pub(in crate::data) enum Originals {
    /// A folder or a zip: numbers of its files in order, with the class of each.
    Files { files: Files, list: Vec<usize>, classes: Vec<Option<u32>> },
    /// Images of one size that one file holds, `[n, channels, height, width]`.
    Memory { images: Vec<u8>, shape: [usize; 3], classes: Vec<u32> },
}

impl Originals {
    /// Opens a folder, a zip, CIFAR-10's Python archive (`.tar.gz`) or MNIST's images (`...-images-idx3-ubyte.gz`).
    pub(in crate::data) fn open(path: &Path, rules: Rules) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let is_file = std::fs::metadata(path).map_err(Error::io("read", path))?.is_file();
        if is_file && (name.ends_with(".tar.gz") || extension(&name) == "tgz") {
            let (images, classes) = super::cifar10::read(path)?;
            return Ok(Self::Memory { images, shape: super::cifar10::SHAPE, classes });
        }
        if is_file && name.ends_with("images-idx3-ubyte.gz") {
            return mnist(path);
        }
        if is_file && extension(&name) != "zip" {
            let problem =
                "a folder, a .zip, CIFAR-10's python .tar.gz or MNIST's images-idx3-ubyte.gz can be prepared";
            return Err(Error::bad_file(path, "source of images", problem));
        }
        Self::from_files(Files::open(path)?, rules)
    }

    fn from_files(files: Files, rules: Rules) -> Result<Self> {
        let mut list = images(&files)?;
        if list.is_empty() {
            return Err(no_images(&files));
        }
        if rules == Rules::Edm && matches!(files, Files::Folder { .. }) {
            list.sort_by(|&a, &b| files.names()[a].split('/').cmp(files.names()[b].split('/')));
        }
        let names: Vec<&str> = list.iter().map(|&i| files.names()[i].as_str()).collect();
        let classes = match files.labels()?.filter(|labels| !labels.is_empty()) {
            Some(labels) => {
                let labels: HashMap<String, u32> = labels.into_iter().collect();
                names.iter().map(|&name| labels.get(name).copied()).collect()
            }
            None => folder_classes(&names),
        };
        Ok(Self::Files { files, list, classes })
    }

    /// Number of images.
    pub(in crate::data) fn len(&self) -> usize {
        match self {
            Self::Files { list, .. } => list.len(),
            Self::Memory { classes, .. } => classes.len(),
        }
    }

    /// The class of an image, if it has one.
    pub(in crate::data) fn class(&self, index: usize) -> Option<u32> {
        match self {
            Self::Files { classes, .. } => classes[index],
            Self::Memory { classes, .. } => Some(classes[index]),
        }
    }

    /// Reads and decodes one image.
    pub(in crate::data) fn load(&self, index: usize) -> Result<Decoded> {
        match self {
            Self::Files { files, list, .. } => {
                decode(&files.read(list[index])?).map_err(|problem| files.bad(list[index], problem))
            }
            Self::Memory { images, shape, .. } => {
                let size = shape.iter().product::<usize>();
                let pixels = Pixels::from_chw(&images[index * size..][..size], *shape);
                let mode = if shape[0] == 1 { Mode::Gray } else { Mode::Rgb };
                Ok(Decoded { pixels, mode })
            }
        }
    }

    /// An error about one image.
    pub(in crate::data) fn bad(&self, index: usize, problem: &str) -> Error {
        match self {
            Self::Files { files, list, .. } => files.bad(list[index], problem),
            Self::Memory { .. } => Error::Unusable(format!("image {index} of the source {problem}")),
        }
    }
}

/// Classes by the sorted names of the top-level folders; files at the top have the name "". None if there is one only.
fn folder_classes(names: &[&str]) -> Vec<Option<u32>> {
    let top = |name: &str| name.split_once('/').map_or(String::new(), |(top, _)| top.to_owned());
    let tops: BTreeSet<String> = names.iter().map(|name| top(name)).collect();
    if tops.len() < 2 {
        return vec![None; names.len()];
    }
    let numbers: HashMap<String, u32> = tops.into_iter().zip(0..).collect();
    names.iter().map(|name| numbers.get(&top(name)).copied()).collect()
}

/// MNIST: images and labels lie in two files beside each other; EDM adds two black pixels on every side.
fn mnist(path: &Path) -> Result<Originals> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let labels_path = path.with_file_name(name.replace("images-idx3-ubyte", "labels-idx1-ubyte"));
    let (dims, images) = idx(path, 3)?;
    let (label_dims, classes) = idx(&labels_path, 1)?;
    let [n, h, w] = [dims[0], dims[1], dims[2]];
    if label_dims[0] != n {
        let problem = format!("it has {} labels for {n} images", label_dims[0]);
        return Err(Error::bad_file(&labels_path, "MNIST file", problem));
    }
    let (height, width) = (h + 4, w + 4);
    let mut padded = vec![0; n * height * width];
    for (out, image) in padded.chunks_mut((height * width).max(1)).zip(images.chunks((h * w).max(1))) {
        for (y, row) in image.chunks(w.max(1)).enumerate() {
            out[(y + 2) * width + 2..][..w].copy_from_slice(row);
        }
    }
    Ok(Originals::Memory {
        images: padded,
        shape: [1, height, width],
        classes: classes.into_iter().map(u32::from).collect(),
    })
}

/// A gzipped idx file of bytes: its dimensions and contents.
fn idx(path: &Path, dimensions: usize) -> Result<(Vec<usize>, Vec<u8>)> {
    let bad = |problem: &str| Error::bad_file(path, "MNIST file", problem);
    let bytes = gunzip(path)?;
    let expected = [0, 0, 8, dimensions as u8];
    let header = bytes.get(..4 + 4 * dimensions).filter(|h| h.starts_with(&expected));
    let header = header.ok_or_else(|| bad("it does not begin as an idx file of bytes: download it again"))?;
    let dims: Vec<usize> =
        header[4..].chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    let size = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    let data = &bytes[header.len()..];
    if size != Some(data.len()) || data.is_empty() {
        return Err(bad("it is cut off, or longer than it says: download it again"));
    }
    Ok((dims, data.to_vec()))
}

fn gunzip(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut bytes = Vec::new();
    GzDecoder::new(BufReader::new(file))
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::bad_file(path, "gzip file", format!("{e}: download it again")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn write_gz(path: &Path, bytes: &[u8]) {
        let mut encoder = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap();
    }

    fn png(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, Pixels::new(2, 2, 1, vec![5; 4]).to_png()).unwrap();
    }

    fn order(path: &Path, rules: Rules) -> Vec<(String, Option<u32>)> {
        let Originals::Files { files, list, classes } = Originals::open(path, rules).unwrap() else {
            unreachable!()
        };
        list.iter().map(|&i| files.names()[i].clone()).zip(classes).collect()
    }

    #[test]
    fn the_rules_differ_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/x.png", "a-b/x.png", "top.png"] {
            png(&dir.path().join(name));
        }
        let named = |pairs: [(&str, u32); 3]| pairs.map(|(name, class)| (name.to_owned(), Some(class)));
        assert_eq!(order(dir.path(), Rules::Edm), named([("a/x.png", 1), ("a-b/x.png", 2), ("top.png", 0)]));
        assert_eq!(order(dir.path(), Rules::Edm2), named([("a-b/x.png", 2), ("a/x.png", 1), ("top.png", 0)]));
    }

    #[test]
    fn one_folder_makes_no_classes_and_a_list_overrides_folders() {
        let dir = tempfile::tempdir().unwrap();
        png(&dir.path().join("a/x.png"));
        assert_eq!(order(dir.path(), Rules::Edm), [("a/x.png".to_owned(), None)]);
        png(&dir.path().join("b/y.png"));
        std::fs::write(dir.path().join("dataset.json"), br#"{"labels": [["b/y.png", 7]]}"#).unwrap();
        let expected = [("a/x.png".to_owned(), None), ("b/y.png".to_owned(), Some(7))];
        assert_eq!(order(dir.path(), Rules::Edm), expected);
    }

    #[test]
    fn mnist_is_padded_and_checked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train-images-idx3-ubyte.gz");
        let labels = dir.path().join("train-labels-idx1-ubyte.gz");
        let problem = || Originals::open(&path, Rules::Edm).err().unwrap().to_string();
        write_gz(&path, &[&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[1, 2, 3, 4]].concat());
        assert!(problem().contains("train-labels-idx1"));
        write_gz(&labels, &[0, 0, 8, 1, 0, 0, 0, 2, 9, 4]);
        let source = Originals::open(&path, Rules::Edm).unwrap();
        assert_eq!((source.len(), source.class(0), source.class(1)), (2, Some(9), Some(4)));
        let image = source.load(1).unwrap().pixels;
        assert_eq!((image.width, image.height, image.channels), (6, 5, 1));
        assert_eq!(image.data[2 * 6 + 2..][..2], [3, 4]);
        write_gz(&labels, &[0, 0, 8, 1, 0, 0, 0, 1, 9]);
        assert!(problem().contains("1 labels for 2 images"));
        write_gz(&path, &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1]);
        assert!(problem().contains("cut off"));
        write_gz(&path, b"nothing");
        assert!(problem().contains("does not begin"));
        std::fs::write(&path, b"no gzip").unwrap();
        assert!(problem().contains("not a usable gzip file"));
    }

    #[test]
    fn other_sources_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let problem = |path: &Path| Originals::open(path, Rules::Edm).err().unwrap().to_string();
        assert!(problem(dir.path()).contains("holds no images"));
        let path = dir.path().join("x.rar");
        std::fs::write(&path, b"").unwrap();
        assert!(problem(&path).contains("can be prepared"));
        assert!(problem(&dir.path().join("absent")).starts_with("cannot read `"));
        std::fs::write(dir.path().join("a.gif"), b"").unwrap();
        assert!(problem(dir.path()).contains("a.gif` is not a usable file of a dataset: it is of a format"));
    }
}
