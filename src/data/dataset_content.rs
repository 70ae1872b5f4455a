//! `Content`: which files make up a dataset, checked and loaded.

use rayon::prelude::*;

use crate::{
    Error, Result,
    data::{
        decode as image_files,
        files::{Files, LABELS},
        image_dataset::DatasetKind,
        latents,
        pictures::{Pictures, no_images},
        pixels::Pixels,
    },
    formats::NpzImages,
};

/// Where the images are.
#[derive(Debug)]
pub(in crate::data) enum Store {
    /// Decoded, `[n, c, h, w]`.
    Memory(Vec<u8>),
    /// In their files; the list gives each image's number among these.
    Images(Files, Vec<usize>),
    /// In one array.
    Npz(NpzImages),
    /// Latents, as `Images`.
    RawLatents(Files, Vec<usize>),
    /// There are none.
    Nothing,
}

/// The files that make up a dataset.
pub(in crate::data) struct Content {
    pub(in crate::data) kind: DatasetKind,
    /// Numbers of the images or latents; nothing where there are only labels.
    pub(in crate::data) list: Vec<usize>,
    /// What is there besides, in words.
    pub(in crate::data) left_out: Option<String>,
}

impl Content {
    pub(in crate::data) fn of(files: &Files) -> Result<Self> {
        let pictures = Pictures::of(files);
        pictures.refuse_unread(files, "")?;
        let left_out = pictures.left_out(files);
        let (images, latents) = (pictures.read, files.with_extension("npy"));
        let (kind, list) = match (images.first(), latents.first()) {
            (Some(_), Some(&latent)) => {
                return Err(files.bad(latent, "holds latents, but there are images too: keep them apart"));
            }
            (Some(_), None) => (DatasetKind::Images, images),
            (None, Some(_)) => (DatasetKind::RawLatents, latents),
            (None, None) if files.find(LABELS).is_some() => (DatasetKind::LabelsOnly, Vec::new()),
            (None, None) => return Err(no_images(files)),
        };
        // Latents are counted as what is no image.
        let left_out = left_out.filter(|_| kind != DatasetKind::RawLatents);
        Ok(Self { kind, list, left_out })
    }

    /// Decodes all images if they fit, else looks at their headers; all must have one shape.
    pub(in crate::data) fn load(self, files: Files, cache_bytes: u64) -> Result<([usize; 3], Store)> {
        let Self { kind, list, .. } = self;
        match kind {
            DatasetKind::LabelsOnly => Ok(([0; 3], Store::Nothing)),
            DatasetKind::RawLatents => {
                let shape = latent_shape(&files, list[0])?;
                // All of it, where that takes no longer than images may: a NaN is better met now than in a training.
                let is_small = (4 * shape.iter().product::<usize>() as u64)
                    .checked_mul(list.len() as u64)
                    .is_some_and(|bytes| bytes <= cache_bytes);
                list.par_iter().try_for_each(|&index| {
                    if is_small {
                        return latent(&files, index, shape).map(drop);
                    }
                    same(&files, index, latent_shape(&files, index)?, shape)
                })?;
                Ok((shape, Store::RawLatents(files, list)))
            }
            DatasetKind::Images => {
                let first = decode_any(&files, list[0])?;
                let shape = [first.channels, first.height, first.width];
                if first.height != first.width {
                    let problem = format!("is {} x {} pixels", first.width, first.height);
                    let advice = "but networks work on squares: prepare the dataset with a crop";
                    return Err(files.bad(list[0], format!("{problem}, {advice}")));
                }
                let size = shape.iter().product::<usize>();
                if (size as u64).saturating_mul(list.len() as u64) > cache_bytes {
                    list.par_iter().try_for_each(|&index| look(&files, index, shape))?;
                    return Ok((shape, Store::Images(files, list)));
                }
                let mut images = vec![0; size * list.len()];
                images.par_chunks_mut(size).zip(&list).try_for_each(|(image, &index)| {
                    image.copy_from_slice(&decode(&files, index, shape)?);
                    Ok::<_, Error>(())
                })?;
                Ok((shape, Store::Memory(images)))
            }
        }
    }
}

/// Checks an image without decoding it, where its header says enough.
fn look(files: &Files, index: usize, shape: [usize; 3]) -> Result<()> {
    match image_files::shape(&files.peek(index, image_files::HEAD)?) {
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
    image_files::decode(&files.picture(index)?).and_then(image_files::Decoded::into_edm).map_err(bad)
}

fn latent_shape(files: &Files, index: usize) -> Result<[usize; 3]> {
    let head = files.peek(index, latents::HEADER_BYTES)?;
    let size = files.size(index)?;
    let shape = latents::npy_shape(&head).and_then(|shape| latents::check_file(shape, size).map(|()| shape));
    shape.map_err(|problem| files.bad(index, problem))
}

/// One latent, which must have the given shape.
pub(in crate::data) fn latent(files: &Files, index: usize, expected: [usize; 3]) -> Result<Vec<f32>> {
    same(files, index, latent_shape(files, index)?, expected)?;
    let read = latents::npy_read(files.read(index)?);
    Ok(read.map_err(|problem| files.bad(index, problem))?.1)
}

/// Complains about a file of another shape than the first one has.
fn same(files: &Files, index: usize, found: [usize; 3], expected: [usize; 3]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let words =
        |[c, h, w]: [usize; 3]| format!("{w} x {h} with {c} channel{}", if c == 1 { "" } else { "s" });
    let problem = format!("is {}, but the first image is {}", words(found), words(expected));
    let advice = "all must be alike; prepare the dataset with a crop and a size";
    Err(files.bad(index, format!("{problem}: {advice}")))
}
