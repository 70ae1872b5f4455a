//! `Content`: which files make up a dataset, checked and loaded.

use rayon::prelude::*;

use crate::{
    Error, Result,
    data::{
        files::Files,
        image_dataset::DatasetKind,
        latents,
        pixels::{self, Pixels},
    },
};

/// Extensions that are read.
pub(in crate::data) const IMAGE_EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "bmp", "webp"];
/// Extensions that Python's imaging library reads, and we do not: better refused than silently left out.
pub(in crate::data) const FOREIGN_EXTENSIONS: [&str; 12] =
    ["gif", "tif", "tiff", "tga", "ppm", "pgm", "pbm", "pnm", "jp2", "jfif", "avif", "ico"];

/// Where the images are.
#[derive(Debug)]
pub(in crate::data) enum Store {
    /// Decoded, `[n, c, h, w]`.
    Memory(Vec<u8>),
    /// In their files; the list gives each image's number in `files`.
    Files(Files, Vec<usize>),
    /// There are none.
    Nothing,
}

/// The files that make up a dataset, by their numbers.
pub(in crate::data) enum Content {
    Images(Vec<usize>),
    RawLatents(Vec<usize>),
    LabelsOnly,
}

impl Content {
    pub(in crate::data) fn of(files: &Files) -> Result<Self> {
        let with = |wanted: &[&str]| -> Vec<usize> {
            let names = files.names().iter().enumerate();
            names.filter(|(_, name)| wanted.contains(&&*extension(name))).map(|(i, _)| i).collect()
        };
        let (images, latents) = (with(&IMAGE_EXTENSIONS), with(&["npy"]));
        if let Some(&foreign) = with(&FOREIGN_EXTENSIONS).first() {
            return Err(files.bad(foreign, "is of a format that is not read: convert it to PNG or remove it"));
        }
        match (images.first(), latents.first()) {
            (Some(_), Some(&latent)) => {
                Err(files.bad(latent, "holds latents, but there are images too: keep them apart"))
            }
            (Some(_), None) => Ok(Self::Images(images)),
            (None, Some(_)) => Ok(Self::RawLatents(latents)),
            (None, None) if files.find("dataset.json").is_some() => Ok(Self::LabelsOnly),
            (None, None) => {
                Err(files.bad_whole("it holds no images: PNG, JPEG, BMP and WebP are looked for".to_owned()))
            }
        }
    }

    fn list(&self) -> &[usize] {
        match self {
            Self::Images(list) | Self::RawLatents(list) => list,
            Self::LabelsOnly => &[],
        }
    }

    /// The same for a folder and a zip of it, stored or deflated.
    pub(in crate::data) fn identity(&self, files: &Files) -> Result<blake3::Hash> {
        let json = files.find("dataset.json");
        let all: Vec<usize> = self.list().iter().copied().chain(json).collect();
        let prints = all.par_iter().map(|&index| files.fingerprint(index)).collect::<Result<Vec<_>>>()?;
        let mut hash = blake3::Hasher::new();
        for (index, (size, crc)) in all.into_iter().zip(prints) {
            let name = files.names()[index].as_bytes();
            hash.update(&(name.len() as u64).to_le_bytes()).update(name);
            hash.update(&size.to_le_bytes()).update(&crc.to_le_bytes());
        }
        Ok(hash.finalize())
    }

    /// Decodes all images if they fit, else looks at their headers; all must have one shape.
    pub(in crate::data) fn load(
        self,
        files: Files,
        cache_bytes: u64,
    ) -> Result<(DatasetKind, [usize; 3], Store)> {
        match self {
            Self::LabelsOnly => Ok((DatasetKind::LabelsOnly, [0; 3], Store::Nothing)),
            Self::RawLatents(list) => {
                let shape = latent_shape(&files, list[0])?;
                list.par_iter()
                    .try_for_each(|&index| same(&files, index, latent_shape(&files, index)?, shape))?;
                Ok((DatasetKind::RawLatents, shape, Store::Files(files, list)))
            }
            Self::Images(list) => {
                let first = decode_any(&files, list[0])?;
                let shape = [first.channels, first.height, first.width];
                if first.height != first.width {
                    let problem = format!("is {} x {} pixels", first.width, first.height);
                    return Err(files.bad(
                        list[0],
                        format!("{problem}, but networks work on squares: prepare the dataset with a crop"),
                    ));
                }
                let size = shape.iter().product::<usize>();
                if (size as u64).saturating_mul(list.len() as u64) > cache_bytes {
                    list.par_iter().try_for_each(|&index| look(&files, index, shape))?;
                    return Ok((DatasetKind::Images, shape, Store::Files(files, list)));
                }
                let mut images = vec![0; size * list.len()];
                images.par_chunks_mut(size).zip(&list).try_for_each(|(image, &index)| {
                    image.copy_from_slice(&decode(&files, index, shape)?);
                    Ok::<_, Error>(())
                })?;
                Ok((DatasetKind::Images, shape, Store::Memory(images)))
            }
        }
    }
}

/// Lowercase extension.
pub(in crate::data) fn extension(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// Checks an image without decoding it, where its header says enough.
fn look(files: &Files, index: usize, shape: [usize; 3]) -> Result<()> {
    match pixels::png_shape(&files.peek(index, 26)?) {
        Some(found) => same(files, index, found, shape),
        None => decode(files, index, shape).map(drop),
    }
}

/// One image as `[c, h, w]`, which must have the given shape.
pub(in crate::data) fn decode(files: &Files, index: usize, shape: [usize; 3]) -> Result<Vec<u8>> {
    let pixels = decode_any(files, index)?;
    same(files, index, [pixels.channels, pixels.height, pixels.width], shape)?;
    Ok(pixels.to_chw())
}

fn decode_any(files: &Files, index: usize) -> Result<Pixels> {
    let bad = |problem: String| files.bad(index, problem);
    let decoded = pixels::decode(&files.read(index)?).map_err(bad)?;
    let pixels = if decoded.palette { decoded.pixels.into_rgb() } else { decoded.pixels };
    if pixels.channels == 2 || pixels.channels == 4 {
        return Err(bad(
            "has an alpha channel: prepare the dataset with the edm2 rules, which drop it".into()
        ));
    }
    Ok(pixels)
}

fn latent_shape(files: &Files, index: usize) -> Result<[usize; 3]> {
    let head = files.peek(index, latents::HEADER_BYTES)?;
    latents::npy_shape(&head).map_err(|problem| files.bad(index, problem))
}

fn same(files: &Files, index: usize, found: [usize; 3], expected: [usize; 3]) -> Result<()> {
    if found == expected { Ok(()) } else { Err(mixed(files, index, found, expected)) }
}

pub(in crate::data) fn mixed(files: &Files, index: usize, found: [usize; 3], expected: [usize; 3]) -> Error {
    let words =
        |[c, h, w]: [usize; 3]| format!("{w} x {h} with {c} channel{}", if c == 1 { "" } else { "s" });
    files.bad(
        index,
        format!(
            "is {}, but the first image is {}: all must be alike; prepare the dataset with a crop and a size",
            words(found),
            words(expected)
        ),
    )
}
