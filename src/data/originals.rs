//! `Originals`: where dataset preparation takes its images from, in which order, with which classes.

use std::{io::Read as _, path::Path};

use crate::{
    Error, Result,
    data::{
        cifar,
        class_order::of_folders,
        decode::{Decoded, EASY_FILE, LONG_HEAD, Mode, check_head, decode},
        files::{Files, LABELS, extension},
        idx, missing_labels,
        pictures::{self, Counted, Pictures, no_images},
        pixels::Pixels,
        prepare::PrepareOptions,
        transform::Rules,
    },
    formats::{FileBytes, Kind, Recognised, Span, lmdb},
};

/// Images to prepare.
pub(in crate::data) struct Originals {
    images: Images,
    /// The class of every image.
    pub(in crate::data) classes: Option<Vec<u32>>,
    /// What the classes are called.
    pub(in crate::data) class_names: Option<Vec<String>>,
    /// Pictures that are left out because their formats are not read.
    pub(in crate::data) unread: Counted,
    /// What else is left out, and what was decided on the way, in words.
    pub(in crate::data) remarks: Vec<String>,
}

enum Images {
    /// A folder or a zip: numbers of its files in order.
    Files { files: Files, list: Vec<usize> },
    /// LSUN's database: where the files of its images lie in it, in the order of their keys.
    Database { database: FileBytes, images: Vec<Span> },
    /// Images of one size that one file holds, `[n, channels, height, width]`, and how many black pixels to add on every
    /// side.
    Memory { images: Vec<u8>, shape: [usize; 3], border: usize },
}

impl Originals {
    /// Opens a folder, a zip, CIFAR's archives, MNIST's images, or LSUN's database; what a file is, its contents say.
    pub(in crate::data) fn open(path: &Path, options: &PrepareOptions) -> Result<Self> {
        if std::fs::metadata(path).map_err(Error::io("read", path))?.is_dir() {
            let data = path.join("data.mdb");
            let database = if data.is_file() { Some(FileBytes::open(&data)?) } else { None };
            if let Some(database) = database
                && lmdb::is_one(&database)?
            {
                return Self::from_database(database, options);
            }
            return Self::from_files(Files::open(path)?, options);
        }
        let bytes = FileBytes::open(path)?;
        if lmdb::is_one(&bytes)? {
            return Self::from_database(bytes, options);
        }
        let found = bytes.recognised()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        match found.as_ref().map(|found| found.kind) {
            Some(Kind::Zip) if extension(&name) == "npz" => Err(bytes.bad(
                "source of images",
                "it is a file of numpy arrays: images in its array `arr_0` are a dataset as they are, `source: { npz: { path: ... } }`",
            )),
            Some(Kind::Zip) => Self::from_files(Files::open(path)?, options),
            Some(Kind::Tar) => cifar(path),
            Some(Kind::Packed("gzip")) => gzip(path, options),
            None if bytes.starts_with(&idx::MAGIC)? => mnist(path, options),
            _ if extension(&name) == "zip" => Self::from_files(Files::open(path)?, options),
            _ => Err(bytes.bad("source of images", strange(&name, found.as_ref()))),
        }
    }

    fn from_files(files: Files, options: &PrepareOptions) -> Result<Self> {
        let pictures = Pictures::of(&files);
        let unread = if options.skip_unreadable { pictures.unread(&files) } else { Counted::default() };
        if !options.skip_unreadable {
            pictures.refuse_unread(&files, ", or write `skip_unreadable: true`")?;
        }
        let mut list = pictures.read.clone();
        if list.is_empty() {
            return Err(no_images(&files));
        }
        if options.rules == Rules::Edm && !files.is_zip() {
            list.sort_by(|&a, &b| files.names()[a].split('/').cmp(files.names()[b].split('/')));
        }
        let names: Vec<&str> = list.iter().map(|&i| files.names()[i].as_str()).collect();
        let mut remarks: Vec<String> = pictures.left_out(&files).into_iter().collect();
        // Folders are classes, and somebody thinks that a list says otherwise.
        let list_aside = missing_labels::elsewhere(&files).filter(|_| options.use_labels);
        remarks.extend(list_aside.map(|list| format!("classes are those of folders: {list}")));
        let (classes, class_names) = match classes(&files, &names, &pictures, options) {
            Ok(classes) => classes,
            Err(error) if options.use_labels => return Err(error),
            Err(error) => {
                remarks.push(format!("no classes are kept, which `use_labels` does not ask for: {error}"));
                (None, None)
            }
        };
        Ok(Self { images: Images::Files { files, list }, classes, class_names, unread, remarks })
    }

    /// LSUN's images have no classes, and are all RGB.
    fn from_database(database: FileBytes, options: &PrepareOptions) -> Result<Self> {
        let images = lmdb::values(&database, options.max_images.unwrap_or(usize::MAX))?;
        if images.is_empty() {
            return Err(database.bad("source of images", "it holds nothing"));
        }
        if options.use_labels {
            return Err(database.bad("source of images", "a database has no classes: leave `use_labels` out"));
        }
        let (unread, remarks) = (Counted::default(), Vec::new());
        let images = Images::Database { database, images };
        Ok(Self { images, classes: None, class_names: None, unread, remarks })
    }

    /// Number of images.
    pub(in crate::data) fn len(&self) -> usize {
        match &self.images {
            Images::Files { list, .. } => list.len(),
            Images::Database { images, .. } => images.len(),
            Images::Memory { images, shape, .. } => images.len() / shape.iter().product::<usize>().max(1),
        }
    }

    /// Reads and decodes one image.
    pub(in crate::data) fn load(&self, index: usize) -> Result<Decoded> {
        match &self.images {
            Images::Files { files, list, .. } => {
                decode(&files.picture(list[index])?).map_err(|problem| files.bad(list[index], problem))
            }
            Images::Database { database, images } => {
                let bad = |problem: String| self.bad(index, &problem);
                let Span { start, len } = images[index];
                if len > EASY_FILE {
                    let head = database.read(Span { start, len: len.min(LONG_HEAD) })?;
                    check_head(&head, len).map_err(bad)?;
                }
                let pixels = decode(&database.read(images[index])?).map_err(bad)?.pixels;
                Ok(Decoded { pixels: pixels.into_rgb(), mode: Mode::Rgb })
            }
            Images::Memory { images, shape, border } => {
                let size = shape.iter().product::<usize>();
                let pixels = Pixels::from_chw(&images[index * size..][..size], *shape);
                let mode = if shape[0] == 1 { Mode::Gray } else { Mode::Rgb };
                Ok(Decoded { pixels: framed(pixels, *border), mode })
            }
        }
    }

    /// An error about one image.
    pub(in crate::data) fn bad(&self, index: usize, problem: &str) -> Error {
        match &self.images {
            Images::Files { files, list, .. } => files.bad(list[index], problem),
            Images::Database { database, .. } => {
                database.bad("source of images", format!("image {index} {problem}"))
            }
            Images::Memory { .. } => Error::Unusable(format!("image {index} of the source {problem}")),
        }
    }
}

/// Classes and their names: from a list, else from the folders.
type Classes = (Option<Vec<u32>>, Option<Vec<String>>);

fn classes(files: &Files, names: &[&str], pictures: &Pictures, options: &PrepareOptions) -> Result<Classes> {
    if let Some(labels) = files.labels()?.filter(|labels| !labels.is_empty()) {
        let is_left_out = |name: &str| options.skip_unreadable && pictures.is_foreign(name);
        let classes =
            labels.assign(names, is_left_out).map_err(|problem| files.bad_named(LABELS, problem))?;
        return Ok((Some(classes), labels.class_names));
    }
    match of_folders(names, options.class_order) {
        Some((classes, class_names)) => Ok((Some(classes), Some(class_names))),
        None if options.use_labels => Err(missing_labels::no_classes(files, names)),
        None => Ok((None, None)),
    }
}

fn cifar(path: &Path) -> Result<Originals> {
    let (images, classes) = cifar::read(path)?;
    Ok(in_memory(images, cifar::SHAPE, 0, Some(classes)))
}

/// MNIST, to which EDM's tool adds two black pixels on every side.
fn mnist(path: &Path, options: &PrepareOptions) -> Result<Originals> {
    let found = idx::read(path, options.use_labels)?;
    Ok(in_memory(found.images, [1, found.height, found.width], 2, found.classes))
}

fn in_memory(images: Vec<u8>, shape: [usize; 3], border: usize, classes: Option<Vec<u32>>) -> Originals {
    let (unread, remarks) = (Counted::default(), Vec::new());
    Originals {
        images: Images::Memory { images, shape, border },
        classes,
        class_names: None,
        unread,
        remarks,
    }
}

/// What is packed with gzip.
fn gzip(path: &Path, options: &PrepareOptions) -> Result<Originals> {
    let mut head = Vec::new();
    let read = idx::unpacked(path)?.take(Recognised::HEAD as u64).read_to_end(&mut head);
    let found = Recognised::of(&head);
    match found.as_ref().map(|found| found.kind) {
        Some(Kind::Tar) => cifar(path),
        None if head.starts_with(&idx::MAGIC) => mnist(path, options),
        _ if read.is_err() => cifar(path),
        _ => {
            let inside =
                found.map_or_else(|| "something else than images".to_owned(), |found| found.to_string());
            let problem = format!("it is packed with gzip and holds {inside}; {READ_HERE}");
            Err(Error::bad_file(path, "source of images", problem))
        }
    }
}

/// What can be prepared.
const READ_HERE: &str = "a folder, a .zip, CIFAR's archives for Python or C, MNIST's images-idx3-ubyte, or LSUN's data.mdb can be prepared";

/// A file that holds no images in a way that is read.
fn strange(name: &str, found: Option<&Recognised>) -> String {
    let by_name = pictures::known_by_name(name).map(|what| format!("{what}: {}", pictures::TO_IMAGES));
    let what = match (found, by_name) {
        // Zeros and letters may begin anything.
        (Some(found), Some(by_name)) if matches!(found.kind, Kind::Zeros | Kind::Text) => by_name,
        (Some(found), _) => pictures::recognised(found),
        (None, Some(by_name)) => by_name,
        (None, None) => "of a kind that is not known here".to_owned(),
    };
    format!("it is {what}; {READ_HERE}")
}

/// An image with a black border.
fn framed(image: Pixels, border: usize) -> Pixels {
    if border == 0 {
        return image;
    }
    let (width, channels) = (image.width + 2 * border, image.channels);
    let mut data = vec![0; width * (image.height + 2 * border) * channels];
    for (y, row) in image.data.chunks_exact(image.width * channels).enumerate() {
        data[((y + border) * width + border) * channels..][..row.len()].copy_from_slice(row);
    }
    Pixels::new(width, image.height + 2 * border, channels, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, Pixels::new(2, 2, 1, vec![5; 4]).to_png()).unwrap();
    }

    fn open(path: &Path, rules: Rules) -> Result<Originals> {
        Originals::open(path, &PrepareOptions { rules, ..PrepareOptions::default() })
    }

    fn order(path: &Path, rules: Rules) -> Vec<(String, Option<u32>)> {
        let originals = open(path, rules).unwrap();
        let Images::Files { files, list } = &originals.images else { unreachable!() };
        let class = |i: usize| originals.classes.as_ref().map(|classes| classes[i]);
        list.iter().enumerate().map(|(i, &file)| (files.names()[file].clone(), class(i))).collect()
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
        let list = dir.path().join("dataset.json");
        std::fs::write(&list, br#"{"labels": [["b/y.png", 7], ["a/x.png", 2]]}"#).unwrap();
        let expected = [("a/x.png".to_owned(), Some(2)), ("b/y.png".to_owned(), Some(7))];
        assert_eq!(order(dir.path(), Rules::Edm), expected);
        // A list that does not fit matters where labels are used, and is remarked on elsewhere.
        std::fs::write(&list, br#"{"labels": [["b/y.png", 7]]}"#).unwrap();
        let originals = open(dir.path(), Rules::Edm).unwrap();
        assert!(originals.classes.is_none() && originals.remarks[0].contains("`a/x.png` the first"));
        let options = PrepareOptions { use_labels: true, ..PrepareOptions::default() };
        let error = Originals::open(dir.path(), &options).err().unwrap().to_string();
        assert!(error.contains("gives no class to 1 of 2 images, `a/x.png` the first"), "{error}");
    }

    #[test]
    fn mnist_is_padded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t10k-images-idx3-ubyte");
        let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        std::fs::write(&path, [&header[..], &[1, 2, 3, 4]].concat()).unwrap();
        std::fs::write(dir.path().join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 2, 9, 4]).unwrap();
        let source = open(&path, Rules::Edm).unwrap();
        assert_eq!((source.len(), source.classes.as_deref()), (2, Some(&[9, 4][..])));
        let image = source.load(1).unwrap().pixels;
        assert_eq!((image.width, image.height, image.channels), (6, 5, 1));
        assert_eq!(image.data[2 * 6 + 2..][..2], [3, 4]);
        assert_eq!(image.data.iter().filter(|&&value| value > 0).count(), 2);
    }

    #[test]
    fn other_sources_are_called_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let said = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let said = open(&path, Rules::Edm).err().unwrap().to_string();
            std::fs::remove_file(&path).unwrap();
            said
        };
        assert!(open(dir.path(), Rules::Edm).err().unwrap().to_string().contains("holds no images"));
        assert!(
            open(&dir.path().join("absent"), Rules::Edm)
                .err()
                .unwrap()
                .to_string()
                .starts_with("cannot read `")
        );
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x04\0\x43\xbe\xb7\xe8\x01\0\0\0";
        for (name, bytes, words) in [
            ("x.7z", &b"7z\xbc\xaf\x27\x1c"[..], "packed with 7-Zip"),
            ("renamed.zip", b"Rar!\x1a\x07", "packed with RAR"),
            ("page.zip", b"<!DOCTYPE html><title>Quota</title>", "an HTML page (`Quota`)"),
            ("lfs.zip", b"version https://git-lfs.github.com/spec/v1\nsize 5\n", "Git LFS pointer"),
            ("lfs.tar.gz", b"version https://git-lfs.github.com/spec/v1\nsize 5\n", "Git LFS pointer"),
            ("train.tfrecords", &[0; 50], "a TFRecord file"),
            ("train-00000-of-00010.tfrecord", b"\x01\x02", "a TFRecord file"),
            ("a.parquet", b"PAR1", "a Parquet file"),
            ("images.npy", b"\x93NUMPY\x01\0", "a numpy array (`.npy`): write the images in it as PNG"),
            ("images.npz", b"PK\x03\x04", "source: { npz:"),
            ("one.png", b"\x89PNG\r\n\x1a\n", "an image (PNG): name the folder"),
            ("a.bin", b"\x01\x02\x03", "of a kind that is not known here"),
            ("empty.zip", b"", "empty (0 bytes)"),
            ("a.txt.gz", gzip, "packed with gzip and holds text (`a`)"),
        ] {
            assert!(said(name, bytes).contains(words), "{name}: {}", said(name, bytes));
        }
        for (name, words) in [
            ("inner.zip", "and `inner.zip` is a zip: unpack it"),
            ("cifar-10-batches-py/data_batch_1", "name the archive itself"),
            ("data.mdb", "an LMDB database"),
            ("train.parquet", "a Parquet file: write the images in it as PNG"),
            ("notes.txt", "`notes.txt` is text"),
        ] {
            let set = tempfile::tempdir().unwrap();
            let path = set.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, if name.ends_with("zip") { &b"PK\x03\x04"[..] } else { b"x" }).unwrap();
            let said = open(set.path(), Rules::Edm).err().unwrap().to_string();
            assert!(said.contains("holds no images") && said.contains(words), "{said}");
        }
    }
}
