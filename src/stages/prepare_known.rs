//! Preparing a dataset that recipes name, outside of any pipeline: what its stage would not find.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{
    download::{Downloads, Wanted},
    network_file::autoencoder,
    prepare_dataset::prepared,
};
use crate::{
    Error, Result,
    data::{
        Known, Pixels, Prepared, can_prepare,
        known::{Form, Original},
    },
    diffusion::{Codec, StabilityVae},
    formats::{npy, safetensors},
    location::Location,
    terminal,
};

/// Images that the autoencoder sees at once.
const TOGETHER: usize = 8;

/// Prepares a dataset as the file `to`, from `from` or from what its address gives. `device` is asked for where latents are made.
///
/// # Errors
/// `Usage` where people have to get the original themselves; what downloads and the preparation can do.
pub fn prepare_known(
    known: &Known,
    from: Option<&Path>,
    to: &Path,
    downloads: &Downloads<'_>,
    device: impl FnOnce() -> Result<Device>,
) -> Result<Prepared> {
    let options = known.options();
    let original = match (from, &known.original) {
        (Some(path), _) => path.to_path_buf(),
        (None, Original::Address { url, sha256, .. }) => {
            let (location, rules) = (Location::new(*url), options.rules);
            let wanted = Wanted::new("from", &location, |path: &Path| can_prepare(path, rules));
            downloads.fetch(&wanted.with_sha256(Some(*sha256))).map_err(or_from)?
        }
        (None, Original::ByHand { called, .. }) => {
            return Err(Error::Usage(format!(
                "`{}` is made of `{called}`: get it at {} ({}), and give its path as `--from`",
                known.name, known.page, known.terms
            )));
        }
    };
    if known.form == Form::Pixels {
        return prepared(known.name, &original, to, &options, None);
    }
    let settings = StabilityVae::default();
    let weights = downloads.fetch(&autoencoder(&settings))?;
    let (dict, _) = safetensors::read(&weights)?;
    let device = device()?;
    let codec = Codec::stability_vae(&settings, &dict, &format!("`{}`", terminal::path(&weights)), &device)?;
    let encode = |images: &[Pixels]| latents(&codec, images, &device);
    prepared(known.name, &original, to, &options, Some(&encode))
}

/// What people can do where a download fails.
fn or_from(error: Error) -> Error {
    match error {
        Error::Download { url, problem } => {
            let problem = format!("{problem}; a copy from elsewhere is taken with `--from PATH`");
            Error::Download { url, problem }
        }
        error => error,
    }
}

/// Mean and standard deviation of the latents of each image, as EDM2's `encode` writes them: `.npy` of f32
/// `[2 latents, height / 8, width / 8]`.
fn latents(codec: &Codec, images: &[Pixels], device: &Device) -> Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for images in images.chunks(TOGETHER) {
        let Some(Pixels { width, height, channels, .. }) = images.first() else { continue };
        let values: Vec<f32> = images.iter().flat_map(Pixels::to_chw).map(f32::from).collect();
        let data = TensorData::new(values, [images.len(), *channels, *height, *width]);
        let raw: Tensor<4> = codec.encode_raw(Tensor::from_data(data, device)).cast(DType::F32);
        let [n, latents, height, width] = raw.dims();
        let values = raw.into_data().try_into_vec::<f32>().expect("f32 was asked for");
        if values.iter().any(|value| !value.is_finite()) {
            let advice = "other weights or another device may help";
            return Err(Error::NotImages { made_by: "what the autoencoder made", advice });
        }
        let head = npy::written("<f4", &[latents, height, width]);
        for image in values.chunks_exact(values.len() / n) {
            let bytes = image.iter().flat_map(|value| value.to_le_bytes());
            files.push(head.iter().copied().chain(bytes).collect());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{DatasetKind, DatasetOptions, ImageDataset, PrepareOptions, Rules},
        nn::VaeConfig,
    };

    /// Weights of a small autoencoder that are different everywhere.
    fn codec(device: &Device) -> Codec {
        let config = VaeConfig { block_out_channels: vec![32; 4], ..VaeConfig::default() };
        let value = |i: usize| ((i * 37 % 101) as f32 / 101.0 - 0.5) / 5.0;
        let dict = config.shapes().into_iter().map(|entry| {
            let count = entry.shape.iter().product::<usize>();
            (entry.name, TensorData::new((0..count).map(value).collect::<Vec<_>>(), entry.shape))
        });
        Codec::stability_vae(&StabilityVae::default(), &dict.collect(), "a test", device).unwrap()
    }

    #[test]
    fn latents_are_those_of_the_autoencoder_in_the_order_of_the_images() {
        let (dir, device) = (tempfile::tempdir().unwrap(), Device::flex());
        let codec = codec(&device);
        let shade =
            |i: usize| Pixels::new(16, 16, 3, (0..16 * 16 * 3).map(|p| (p * i % 251) as u8).collect());
        let images: Vec<Pixels> = (1..=TOGETHER + 2).map(shade).collect();
        for (i, image) in images.iter().enumerate() {
            std::fs::create_dir_all(dir.path().join("in/a")).unwrap();
            std::fs::write(dir.path().join(format!("in/a/{i:02}.png")), image.to_png()).unwrap();
        }
        let options = PrepareOptions { rules: Rules::Edm2, ..PrepareOptions::default() };
        let (from, to) = (dir.path().join("in"), dir.path().join("out.zip"));
        let encode = |images: &[Pixels]| latents(&codec, images, &device);
        prepared("a", &from, &to, &options, Some(&encode)).unwrap();
        let dataset = ImageDataset::open(&to, &DatasetOptions::default()).unwrap();
        assert_eq!((dataset.kind(), dataset.len()), (DatasetKind::RawLatents, TOGETHER + 2));
        let last = latents(&codec, &images[TOGETHER + 1..], &device).unwrap().remove(0);
        let mut zip = zip::ZipArchive::new(std::fs::File::open(&to).unwrap()).unwrap();
        let mut written = Vec::new();
        let name = format!("00000/img-mean-std-{:08}.npy", TOGETHER + 1);
        std::io::Read::read_to_end(&mut zip.by_name(&name).unwrap(), &mut written).unwrap();
        let values = |bytes: &[u8]| npy::parse(bytes.to_vec()).unwrap().try_into_vec::<f32>().unwrap();
        let (written, last) = (values(&written), values(&last));
        assert_eq!(written.len(), 8 * 2 * 2);
        assert!(written.iter().zip(&last).all(|(a, b)| (a - b).abs() < 1e-5));
        assert!(last.iter().any(|value| value.abs() > 1e-3));
    }
}
