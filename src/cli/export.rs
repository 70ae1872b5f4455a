//! `sida export`: weights under the reference's names, with the network's settings as metadata.

use std::path::Path;

use serde_json::{Value, json};

use super::{contents::Contents, inspect::LONGEST, output};
use crate::{
    Error, Result,
    checkpoint::{ReferenceNetwork, ScriptModule, TorchFile, unwrapped},
    formats::{
        json_words, read_small,
        safetensors::{self, Metadata},
    },
    nn::NetworkConfig,
    stages::{Artifact, network_file},
    state_dict::{StateDict, first_not_finite},
    terminal,
};

/// Exports the network of a finished stage's folder, of a network pickle or of a safetensors file.
///
/// # Errors
/// `Usage` for a path that leads nowhere; whatever the files have against them.
pub(super) fn export(from: &Path, to: &Path, json: bool) -> Result<()> {
    output::exists(from)?;
    output::can_hold(to)?;
    let (state, config) = if from.is_dir() { of_stage(from)? } else { of_file(from)? };
    if let Some((tensor, value)) = first_not_finite(&state) {
        let (origin, tensor) = (format!("`{}`", terminal::path(from)), tensor.to_owned());
        return Err(Error::NotFinite { origin, tensor, value });
    }
    let mut metadata = Metadata::new();
    if let Some(config) = config {
        let config = serde_json::to_string(&config).expect("settings are plain data");
        metadata.insert(network_file::CONFIG_KEY.to_owned(), config);
    }
    metadata.insert("source".to_owned(), from.display().to_string());
    safetensors::write(to, &state, &metadata)?;
    let values: usize = state.values().map(burn::tensor::TensorData::num_elements).sum();
    if json {
        output::json(&json!({ "file": output::path(to), "tensors": state.len(), "values": values }));
    } else {
        say!("{}: {} tensors, {values} values", terminal::path(to), state.len());
    }
    Ok(())
}

fn of_stage(dir: &Path) -> Result<(StateDict, Option<NetworkConfig>)> {
    let path = dir.join("artifact.json");
    let text = read_small(&path, "description of a finished stage", LONGEST).map_err(|_| {
        let dir = terminal::path(dir);
        let advice = "name a folder such as runs/quickstart/sid-0d8e9129";
        Error::Usage(format!("`{dir}` is no folder of a finished stage: it has no `artifact.json`; {advice}"))
    })?;
    let bad = |problem: String| Error::bad_file(&path, "description of a finished stage", problem);
    let mut file: Value = serde_json::from_slice(&text).map_err(|e| bad(json_words(&e)))?;
    let artifact = file.get_mut("artifact").map(Value::take).unwrap_or_default();
    match serde_json::from_value(artifact).map_err(|e| bad(json_words(&e)))? {
        Artifact::Network(network) => {
            let (state, _) = safetensors::read(&dir.join(&network.weights))?;
            Ok((state, Some(network.network)))
        }
        _ => {
            Err(bad("this stage makes no network: name the folder of load_teacher, train_teacher or distill"
                .into()))
        }
    }
}

fn of_file(path: &Path) -> Result<(StateDict, Option<NetworkConfig>)> {
    let origin = format!("`{}`", terminal::path(path));
    match Contents::of(path)? {
        Contents::Safetensors(source) => {
            let (state, metadata) = safetensors::read_source(&source)?;
            let config = network_file::settings(&metadata, path)?;
            Ok((unwrapped(state, &origin), config))
        }
        Contents::Torch(source) => match TorchFile::read(source)? {
            TorchFile::Snapshot(snapshot) => {
                let network = snapshot.ema()?;
                let config = network.config()?;
                Ok((network.state_dict, Some(config)))
            }
            TorchFile::TrainingState(state) => {
                tracing::info!("{origin} is a training state: its generator's moving average is exported");
                let generator = state.generator_ema;
                let config = generator.network.as_ref().map(ReferenceNetwork::config).transpose()?;
                Ok((generator.state_dict, config))
            }
            TorchFile::StateDict(state) | TorchFile::Script(ScriptModule { state_dict: state, .. }) => {
                Ok((state, None))
            }
        },
        Contents::Dataset | Contents::Unknown(_) => Err(Error::Usage(format!(
            "{origin}: export takes a finished stage's folder, a .pkl, .pt, .pth or .safetensors file"
        ))),
    }
}
