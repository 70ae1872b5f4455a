//! CIFAR-10 and CIFAR-100 as their authors publish them, for Python (pickles) or for C (bytes): a tar, packed or not.

use std::{io::Read, path::Path};

use burn::tensor::DType;

use super::{files::extension, idx::unpacked, pictures};
use crate::{
    Error, Result,
    formats::{
        FileBytes,
        pickle::{Pickle, Value},
    },
};

/// `[channels, height, width]`.
pub(in crate::data) const SHAPE: [usize; 3] = [3, 32, 32];
const IMAGE: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
/// All of an archive, unpacked: they have 170 to 190 MB.
const MAX_BYTES: u64 = 400 << 20;
const FORMAT: &str = "CIFAR archive";

/// One of the archives. What there is to test with is left alone.
struct Edition {
    archive: &'static str,
    /// Files with images to train with, in order.
    parts: &'static [&'static str],
    /// How a part gives the class of an image.
    class: Class,
    classes: u32,
}

enum Class {
    /// In the list of this name of a pickle, beside `data`.
    Field(&'static str),
    /// In the last of so many bytes before each image.
    Byte(usize),
}

const EDITIONS: [Edition; 4] = [
    Edition {
        archive: "cifar-10-python.tar.gz",
        parts: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        class: Class::Field("labels"),
        classes: 10,
    },
    Edition {
        archive: "cifar-10-binary.tar.gz",
        parts: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        class: Class::Byte(1),
        classes: 10,
    },
    Edition {
        archive: "cifar-100-python.tar.gz",
        parts: &["train"],
        class: Class::Field("fine_labels"),
        classes: 100,
    },
    Edition {
        archive: "cifar-100-binary.tar.gz",
        parts: &["train.bin"],
        class: Class::Byte(2),
        classes: 100,
    },
];

/// Images `[n, 3, 32, 32]` and the class of each.
type Images = (Vec<u8>, Vec<u32>);

/// The images to train with, in order, with their (of CIFAR-100, fine) classes.
pub(in crate::data) fn read(path: &Path) -> Result<Images> {
    let damaged =
        |e: std::io::Error| Error::bad_file(path, FORMAT, format!("it is damaged ({e}): download it again"));
    let mut archive = tar::Archive::new(unpacked(path)?.take(MAX_BYTES));
    let mut edition: Option<&Edition> = None;
    let (mut parts, mut others): (Vec<Option<Images>>, Vec<String>) = (Vec::new(), Vec::new());
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = match entry {
            // It is larger than CIFAR, or damaged, and another archive in any case.
            Err(_) if edition.is_none() && !others.is_empty() => break,
            entry => entry.map_err(damaged)?,
        };
        let name = entry.path().map_err(damaged)?.to_string_lossy().into_owned();
        let file = name.rsplit('/').next().unwrap_or_default();
        // Names such as `train` say little: CIFAR-100's lie in a folder of its name.
        let known = EDITIONS.iter().find(|known| {
            known.parts.contains(&file) && (known.classes == 10 || name.to_lowercase().contains("cifar"))
        });
        let Some(known) =
            known.filter(|known| edition.is_none_or(|edition| edition.archive == known.archive))
        else {
            if pictures::is_image(&name) {
                return Err(of_images(path, &name));
            }
            others.extend((others.len() < 3 && entry.header().entry_type().is_file()).then_some(name));
            continue;
        };
        edition = Some(known);
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        parts.resize_with(known.parts.len(), || None);
        let part = known.parts.iter().position(|&part| part == file).unwrap_or_default();
        parts[part] = Some(known.part(path, file, bytes)?);
    }
    let Some(edition) = edition else { return Err(neither(path, &others)) };
    let (mut images, mut classes) = (Vec::new(), Vec::new());
    for (part, name) in parts.into_iter().zip(edition.parts) {
        let Some(part) = part else {
            let problem = format!("it has no {name}: download {} again", edition.archive);
            return Err(Error::bad_file(path, FORMAT, problem));
        };
        images.extend(part.0);
        classes.extend(part.1);
    }
    Ok((images, classes))
}

fn of_images(path: &Path, first: &str) -> Error {
    let problem =
        format!("it is a tar archive of images, `{first}` the first: unpack it, and name the folder");
    Error::bad_file(path, "source of images", problem)
}

fn neither(path: &Path, files: &[String]) -> Error {
    let is_matlab = files.iter().any(|name| extension(name) == "mat");
    let problem = match files {
        _ if is_matlab => "it is for MATLAB: download the archive for Python, cifar-10-python.tar.gz or cifar-100-python.tar.gz".to_owned(),
        [] => "it is a tar archive with no files in it: download it again".to_owned(),
        [first, ..] => format!(
            "it is a tar archive, but neither CIFAR's nor one of images: its first file is `{first}`. Unpack it, and name the folder of the images"
        ),
    };
    Error::bad_file(path, "source of images", problem)
}

impl Edition {
    /// Images and classes of one part.
    fn part(&self, path: &Path, name: &str, bytes: Vec<u8>) -> Result<Images> {
        let bad = |what: &str| {
            let problem = format!("{name} {what}: download {} again", self.archive);
            Error::bad_file(path, FORMAT, problem)
        };
        let (images, classes) = match self.class {
            Class::Byte(length) => {
                let records = bytes.chunks_exact(length + IMAGE);
                if !records.remainder().is_empty() || bytes.is_empty() {
                    return Err(bad("is cut off"));
                }
                let classes = records.clone().map(|record| u32::from(record[length - 1])).collect();
                (records.flat_map(|record| &record[length..]).copied().collect(), classes)
            }
            Class::Field(field) => {
                let source = FileBytes::memory(path.join(name), bytes);
                let pickle = Pickle::read(source, "CIFAR batch")?;
                let get = |name: &str| pickle.get(pickle.root(), name);
                let data = get("data").ok_or_else(|| bad("has no `data`"))?;
                let data = pickle.array(data)?.filter(|array| array.dtype() == DType::U8);
                let data = data.ok_or_else(|| bad("has `data` that are not an array of bytes"))?;
                let labels = get(field).and_then(|labels| pickle.items(labels));
                let labels = labels.ok_or_else(|| bad(&format!("has no list of `{field}`")))?;
                // What is no number is refused below, with what is too large.
                let class = |label: &Value| match label {
                    Value::Int(class) => u32::try_from(*class).unwrap_or(u32::MAX),
                    _ => u32::MAX,
                };
                let classes: Vec<u32> = labels.iter().map(class).collect();
                let shape = data.shape().to_vec();
                if shape != [classes.len(), IMAGE] {
                    return Err(bad(&format!("has {} labels for data of shape {shape:?}", classes.len())));
                }
                let images = data.try_into_vec::<u8>();
                (images.map_err(|_| bad("has `data` that are not an array of bytes"))?, classes)
            }
        };
        if classes.iter().any(|&class| class >= self.classes) {
            return Err(bad(&format!("has labels other than 0 to {}", self.classes - 1)));
        }
        Ok((images, classes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Result<Images> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.tar.gz");
        let mut tar = tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        read(&path)
    }

    fn problem(files: &[(&str, &[u8])]) -> String {
        archive(files).unwrap_err().to_string()
    }

    #[test]
    fn archives_for_c_are_read() {
        let record = |head: &[u8], value: u8| [head, &[value; IMAGE]].concat();
        let parts: Vec<(String, Vec<u8>)> = (1..=5)
            .rev()
            .map(|i| (format!("cifar-10-batches-bin/data_batch_{i}.bin"), record(&[i], 10 * i)))
            .collect();
        let files: Vec<(&str, &[u8])> = parts.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
        let (images, classes) = archive(&files).unwrap();
        assert_eq!((classes, images[4 * IMAGE]), (vec![1, 2, 3, 4, 5], 50));
        assert!(problem(&files[..4]).contains("it has no data_batch_1.bin: download cifar-10-binary.tar.gz"));
        let two = [record(&[3, 99], 7), record(&[3, 0], 8)].concat();
        let hundred = |bytes: &[u8]| {
            archive(&[("cifar-100-binary/train.bin", bytes), ("cifar-100-binary/test.bin", b"")])
        };
        assert_eq!(hundred(&two).unwrap().1, [99, 0]);
        assert!(hundred(&two[1..]).unwrap_err().to_string().contains("train.bin is cut off"));
        assert!(
            hundred(&record(&[3, 100], 7)).unwrap_err().to_string().contains("labels other than 0 to 99")
        );
    }

    #[test]
    fn other_archives_are_called_what_they_are() {
        for (files, said) in [
            (&[("a/1.png", &b"x"[..])][..], "a tar archive of images, `a/1.png` the first: unpack it"),
            (&[("README", b""), ("b.JPEG", b"")], "of images, `b.JPEG` the first"),
            (&[("cifar-100-matlab/train.mat", b"")], "it is for MATLAB"),
            (&[("notes/README", b"")], "its first file is `notes/README`"),
            (&[("stories/train", b"\x80\x02}.")], "neither CIFAR's nor"),
            (&[], "no files in it"),
        ] {
            assert!(problem(files).contains(said), "{}", problem(files));
        }
    }

    #[test]
    fn damaged_archives_are_refused() {
        // The dict {} in protocol 2.
        let empty = b"\x80\x02}.";
        assert!(problem(&[("x/data_batch_3", empty)]).contains("data_batch_3 has no `data`"));
        assert!(problem(&[("cifar-100-python/train", empty)]).contains("train has no `data`"));
        let evil = archive(&[("x/data_batch_2", b"cos\nsystem\n(S'true'\ntR.")]).unwrap_err();
        assert!(matches!(evil, Error::ForbiddenGlobal { .. }), "{evil}");
    }

    #[test]
    fn a_truncated_archive_is_refused() {
        let whole = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/dataset-04-cifar10-mini/cifar-10-python.tar.gz");
        let bytes = std::fs::read(whole).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cifar-10-python.tar.gz");
        for length in [0, 100, bytes.len() / 2] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("download"), "{length}: {error}");
        }
    }
}
