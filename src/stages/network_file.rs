//! Networks on disk: safetensors with the reference's names, and the settings beside them as metadata.

use std::{
    io,
    path::{Path, PathBuf},
};

use burn::{
    module::Module,
    tensor::{DType, Device},
};

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::{Context, Finished},
    download::Wanted,
    work,
};
use crate::{
    Error, Result,
    diffusion::{Codec, Encoder, Precision, StabilityVae},
    formats::{
        AtomicFile, json_words, regular_file,
        safetensors::{self, Metadata},
    },
    kernels::{self, WeightOrder},
    nn::{Network, NetworkConfig},
    stage_name::StageName,
    terminal,
};

/// The metadata key under which a network's settings are kept.
pub(crate) const CONFIG_KEY: &str = "sida.network";

/// Writes a network with its settings.
pub(super) fn save(path: &Path, network: &Network) -> Result<()> {
    let config = serde_json::to_string(network.config()).expect("settings are plain data");
    safetensors::write(path, &network.state_dict(), &Metadata::from([(CONFIG_KEY.to_owned(), config)]))
}

/// The network settings in a file's metadata; `None` where it has none.
///
/// # Errors
/// They cannot be read.
pub(crate) fn settings(metadata: &Metadata, path: &Path) -> Result<Option<NetworkConfig>> {
    let bad = |e: serde_json::Error| {
        Error::bad_file(path, "network file", format!("its network settings: {}", json_words(&e)))
    };
    metadata.get(CONFIG_KEY).map(|text| serde_json::from_str(text)).transpose().map_err(bad)
}

/// A finished stage's network: what it says, and where its files are.
pub(super) fn artifact<'a>(
    context: &'a Context<'_>,
    name: &StageName,
) -> Result<(&'a Finished, &'a NetworkArtifact)> {
    let finished = context.input(name)?;
    match &finished.artifact {
        Artifact::Network(network) => Ok((finished, network)),
        _ => Err(Error::Unusable(format!("stage `{name}` makes no network"))),
    }
}

/// A finished stage's network on the stage's device, without a tape.
pub(super) fn load(context: &Context<'_>, name: &StageName, precision: Precision) -> Result<Network> {
    let (finished, artifact) = artifact(context, name)?;
    let path: PathBuf = finished.dir.join(&artifact.weights);
    let (state, _) = safetensors::read(&path)?;
    let network = artifact.network.load(&state, &format!("`{}`", terminal::path(&path)), &context.device)?;
    Ok(network.with_compute(compute(precision, &context.device)?).valid())
}

/// The type of activations.
///
/// # Errors
/// The device does not compute in it.
pub(super) fn compute(precision: Precision, device: &Device) -> Result<DType> {
    let dtype = precision.dtype();
    if device.supports_dtype(dtype) {
        return Ok(dtype);
    }
    let name = match precision {
        Precision::Fp32 => "fp32",
        Precision::Bf16 => "bf16",
        Precision::Fp16 => "fp16",
    };
    Err(Error::Unusable(format!(
        "`precision: {name}`: this device does not compute in it; `sida run --device` chooses another, and `precision: fp32` \
         is computed on every device"
    )))
}

/// The same for a training of such a network.
///
/// # Errors
/// As `trains_in`; and where the device has no place for all parameters at once.
pub(super) fn compute_training(
    precision: Precision,
    network: &NetworkConfig,
    device: &Device,
) -> Result<DType> {
    fits(work::parameters(network).unwrap_or(0), kernels::largest_tensor(device))?;
    trains_in(precision, device)
}

/// The same for any training.
///
/// # Errors
/// As `compute`; and in fp16 on a GPU where kernels are chosen by trying them: Burn's trials fail there
/// (tracel-ai/burn#4949).
pub(super) fn trains_in(precision: Precision, device: &Device) -> Result<DType> {
    let tries = cfg!(feature = "autotune") && WeightOrder::of(device) == WeightOrder::ChannelsLast;
    if precision == Precision::Fp16 && tries {
        return Err(Error::Unusable(
            "`precision: fp16`: on a GPU this sida tries which kernels are fastest (feature `autotune`), and Burn's fail in \
             fp16 trainings; set `precision: bf16`, or build without `autotune`"
                .to_owned(),
        ));
    }
    compute(precision, device)
}

/// A network that learns has its parameters in one tensor, in f32.
fn fits(parameters: u64, largest: Option<u64>) -> Result<()> {
    let bytes = 4 * parameters;
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    match largest {
        Some(largest) if bytes > largest => Err(Error::Unusable(format!(
            "the parameters of the network that is trained are one tensor of {:.2} GB, and this device takes {:.2} GB at once; \
             `sida run --device` chooses another: a card by `cuda` takes a quarter of its memory, a CPU all",
            gigabytes(bytes),
            gigabytes(largest)
        ))),
        _ => Ok(()),
    }
}

/// The file with the weights of an autoencoder.
pub(super) fn autoencoder(settings: &StabilityVae) -> Wanted<'_> {
    let accepts = |path: &Path| safetensors::read(path).map(drop);
    Wanted::new("encoder/stability_vae/weights", &settings.weights, accepts)
}

/// What a network's images are, ready for use.
pub(super) fn codec(context: &Context<'_>, encoder: &Encoder) -> Result<Codec> {
    match encoder {
        Encoder::Rgb => Ok(Codec::Rgb),
        Encoder::StabilityVae(settings) => {
            let path = context.fetch(&autoencoder(settings))?;
            let (weights, _) = safetensors::read(&path)?;
            Codec::stability_vae(settings, &weights, &format!("`{}`", terminal::path(&path)), &context.device)
        }
    }
}

/// Copies a file, whole or not at all.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut file = regular_file(from).map_err(|why| why.about(from, "file"))?;
    let mut copy = AtomicFile::create(to)?;
    io::copy(&mut file, &mut copy).map_err(Error::io("copy", from))?;
    copy.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_to_fit_into_a_tensor_of_the_device() {
        let gib = 1 << 30;
        assert!(fits(gib / 2, Some(2 * gib)).is_ok() && fits(u64::MAX / 4, None).is_ok());
        let error = fits(gib / 2 + 1, Some(2 * gib)).unwrap_err();
        assert!(error.to_string().contains("2.15 GB at once"), "{error}");
    }

    #[test]
    fn a_cpu_takes_any_network() {
        let network: NetworkConfig = serde_json::from_value(serde_json::json!({ "edm2": {
            "img_resolution": 64, "img_channels": 4, "label_dim": 1000, "model_channels": 448
        } }))
        .unwrap();
        assert!(work::parameters(&network).unwrap() > 1 << 30, "the largest of EDM2");
        assert!(compute_training(Precision::Fp32, &network, &Device::flex()).is_ok());
    }
}
