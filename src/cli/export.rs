//! `sida export`: weights under the reference's names, with the network's settings as metadata.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::output;
use crate::{
    Error, Result,
    checkpoint::ReferenceSnapshot,
    formats::safetensors::{self, Metadata},
    nn::NetworkConfig,
    stages::{Artifact, network_file},
    state_dict::StateDict,
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
    let mut metadata = Metadata::new();
    if let Some(config) = config {
        let config = serde_json::to_string(&config).expect("settings are plain data");
        metadata.insert(network_file::CONFIG_KEY.to_owned(), config);
    }
    metadata.insert("source".to_owned(), from.display().to_string());
    safetensors::write(to, &state, &metadata)?;
    let values: usize = state.values().map(burn::tensor::TensorData::num_elements).sum();
    if json {
        output::json(&json!({ "file": to, "tensors": state.len(), "values": values }));
    } else {
        say!("{}: {} tensors, {values} values", terminal::path(to), state.len());
    }
    Ok(())
}

fn of_stage(dir: &Path) -> Result<(StateDict, Option<NetworkConfig>)> {
    let path = dir.join("artifact.json");
    let text = std::fs::read_to_string(&path).map_err(|_| {
        let dir = terminal::path(dir);
        let advice = "name a folder such as runs/quickstart/sid-0d8e9129";
        Error::Usage(format!("`{dir}` is no folder of a finished stage: it has no `artifact.json`; {advice}"))
    })?;
    let bad = |problem: String| Error::bad_file(&path, "description of a finished stage", problem);
    let mut file: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let artifact = file.get_mut("artifact").map(Value::take).unwrap_or_default();
    match serde_json::from_value(artifact).map_err(|e| bad(e.to_string()))? {
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
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "pkl" => {
            let network = ReferenceSnapshot::open(path)?.ema()?;
            let config = network.config()?;
            Ok((network.state_dict, Some(config)))
        }
        "safetensors" => {
            let (state, metadata) = safetensors::read(path)?;
            let config = network_file::settings(&metadata, &PathBuf::from(path))?;
            Ok((state, config))
        }
        _ => Err(Error::Usage(format!(
            "`{}`: export takes a finished stage's folder, a .pkl or a .safetensors file",
            terminal::path(path)
        ))),
    }
}
