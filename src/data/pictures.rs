//! `Pictures`: which files of a folder or zip are images, which are pictures that cannot be read, and what else there is.

use super::files::{Files, LABELS, extension};
use crate::{
    Error, Result,
    formats::{Kind, Recognised},
};

/// Endings of the images that are read, whatever a file with one of them turns out to hold.
const READ: [&str; 10] = ["png", "apng", "jpg", "jpeg", "jpe", "jfif", "mpo", "bmp", "dib", "webp"];

/// Endings of pictures that Python's imaging library reads, on its own or with a plugin, or a camera writes, and that are
/// not read here.
const FOREIGN: [&str; 67] = [
    "arw", "avif", "avifs", "blp", "bw", "cr2", "cr3", "cur", "dcx", "dds", "dng", "emf", "eps", "fit",
    "fits", "flc", "fli", "ftc", "ftu", "gbr", "gif", "heic", "heics", "heif", "heifs", "hif", "icb", "icns",
    "ico", "iim", "im", "j2c", "j2k", "jp2", "jpc", "jpf", "jpx", "jxl", "msp", "nef", "orf", "pbm", "pcd",
    "pcx", "pfm", "pgm", "pnm", "ppm", "ps", "psd", "pxr", "qoi", "raf", "ras", "rgb", "rgba", "rw2", "sgi",
    "svg", "tga", "tif", "tiff", "vda", "vst", "wmf", "xbm", "xpm",
];

/// How many there are of something, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: String,
}

impl Counted {
    /// Counts one.
    pub(in crate::data) fn add(&mut self, one: &str) {
        if self.count == 0 {
            one.clone_into(&mut self.first);
        }
        self.count += 1;
    }

    /// `2 other files, ``a`` the first`, if there are any.
    fn words(&self, one: &str, many: &str) -> Option<String> {
        let Self { count, first } = self;
        match count {
            0 => None,
            1 => Some(format!("1 {one}, `{first}`")),
            _ => Some(format!("{count} {many}, `{first}` the first")),
        }
    }
}

/// What a folder or zip holds, by its names.
#[derive(Debug, Default)]
pub(in crate::data) struct Pictures {
    /// Numbers of the images that are read, in the order of their names.
    pub(in crate::data) read: Vec<usize>,
    /// Names of pictures of other formats, and of those that are links to nowhere.
    foreign: Vec<String>,
    others: Counted,
}

impl Pictures {
    pub(in crate::data) fn of(files: &Files) -> Self {
        let mut found = Self::default();
        for (index, name) in files.names().iter().enumerate() {
            match extension(name).as_str() {
                ending if READ.contains(&ending) => found.read.push(index),
                ending if is_foreign(ending) => found.foreign.push(name.clone()),
                _ if name == LABELS => {}
                _ => found.others.add(name),
            }
        }
        for name in files.broken() {
            match extension(name).as_str() {
                ending if READ.contains(&ending) || is_foreign(ending) => found.foreign.push(name.clone()),
                _ => found.others.add(name),
            }
        }
        found.foreign.sort_unstable();
        found
    }

    /// Whether a picture of this name is there and not read.
    pub(in crate::data) fn is_foreign(&self, name: &str) -> bool {
        self.foreign.binary_search_by(|foreign| foreign.as_str().cmp(name)).is_ok()
    }

    /// Pictures that are not read, with the first and what it is.
    pub(in crate::data) fn unread(&self, files: &Files) -> Counted {
        let first = self.foreign.first().map(|name| format!("`{name}` {}", foreign_words(files, name)));
        Counted { count: self.foreign.len(), first: first.unwrap_or_default() }
    }

    /// Better refused than silently left out. `or` is what else may be done.
    pub(in crate::data) fn refuse_unread(&self, files: &Files, or: &str) -> Result<()> {
        let Some(first) = self.foreign.first() else { return Ok(()) };
        let all = match self.foreign.len() {
            1 => String::new(),
            count => format!(", the first of {count} such pictures"),
        };
        let advice = match files.find(first) {
            Some(_) => "convert what is not PNG, JPEG, BMP or WebP to PNG, or remove it",
            None => "mend it, or remove it",
        };
        Err(files.bad_named(first, format!("{}{all}: {advice}{or}", foreign_words(files, first))))
    }

    /// What is there besides, in words.
    pub(in crate::data) fn left_out(&self, files: &Files) -> Option<String> {
        let parts = [
            self.others.words("other file", "other files"),
            files.hidden().words("hidden file or folder", "hidden files and folders"),
            files
                .again()
                .words("link to a folder that is there already", "links to folders that are there already"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("left out: {}", parts.join("; ")))
    }
}

/// Whether a file of this name is an image that is read.
pub(in crate::data) fn is_image(name: &str) -> bool {
    READ.contains(&extension(name).as_str())
}

fn is_foreign(ending: &str) -> bool {
    FOREIGN.contains(&ending)
}

fn foreign_words(files: &Files, name: &str) -> String {
    if files.find(name).is_none() {
        return "leads nowhere, or is no regular file".to_owned();
    }
    format!("is of a format that is not read (`.{}`)", extension(name))
}

/// There should be images, and are none: what there is instead.
pub(in crate::data) fn no_images(files: &Files) -> Error {
    let looked = "PNG, JPEG, BMP and WebP are looked for";
    let Some(first) = (0..files.names().len()).find(|&i| files.names()[i] != LABELS) else {
        let hidden = files.hidden().words("hidden file or folder", "hidden files and folders");
        let hidden = hidden.map(|hidden| format!("; it holds {hidden}")).unwrap_or_default();
        return files.bad_whole(format!("it holds no images: {looked}{hidden}"));
    };
    let name = &files.names()[first];
    let found = found_instead(files, first);
    files.bad_whole(format!("it holds no images: {looked}, and `{name}` is {found}"))
}

fn found_instead(files: &Files, index: usize) -> String {
    let name = files.names()[index].rsplit('/').next().unwrap_or_default().to_lowercase();
    if name.starts_with("data_batch_")
        || (name == "train" && files.names().iter().any(|n| n.ends_with("meta")))
    {
        return "of CIFAR's archive: name the archive itself, as it was downloaded".to_owned();
    }
    let by_name = known_by_name(&name).map(|what| format!("{what}: {TO_IMAGES}"));
    let head = files.peek(index, Recognised::HEAD as u64).unwrap_or_default();
    by_name.unwrap_or_else(|| match Recognised::of(&head) {
        Some(found) => recognised(&found),
        None => format!("something else: {TO_IMAGES}"),
    })
}

/// What to do with what holds images in a way of its own.
pub(in crate::data) const TO_IMAGES: &str =
    "write the images in it as PNG files into a folder, one folder for each class";

/// What has images in it, and is recognised by its name alone.
pub(in crate::data) fn known_by_name(name: &str) -> Option<&'static str> {
    let name = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    Some(match extension(&name).as_str() {
        "mdb" => "an LMDB database (as LSUN's)",
        "tfrecord" | "tfrecords" => "a TFRecord file",
        _ if name.contains(".tfrecord") => "a TFRecord file",
        "parquet" => "a Parquet file",
        "arrow" | "feather" => "an Arrow file",
        "mat" => "a MATLAB file",
        "beton" => "an FFCV file",
        "rec" => "a RecordIO file",
        "lmdb" => "an LMDB database",
        "h5" | "hdf5" | "hdf" => "an HDF5 file",
        "mp4" | "mov" | "avi" | "mkv" | "webm" | "mpg" | "mpeg" => "a film",
        _ => return None,
    })
}

/// What a file is that should have been images, and what to do.
pub(in crate::data) fn recognised(found: &Recognised) -> String {
    match found.kind {
        Kind::Image(_) => format!("{found}: name the folder that it lies in"),
        Kind::Npy | Kind::Pickle | Kind::Safetensors | Kind::Other(_) => format!("{found}: {TO_IMAGES}"),
        Kind::Zip => format!("{found}: unpack it"),
        Kind::Packed("gzip") | Kind::Tar => {
            format!(
                "{found}, and name the folder; CIFAR's archives and MNIST's files are for `convert`, as they are"
            )
        }
        Kind::Packed(_) => format!("{found}, and name the folder"),
        _ => found.to_string(),
    }
}
