//! `sida inspect`: what a file holds, without running anything in it.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{contents::Contents, output};
use crate::{
    Error, Result,
    checkpoint::{ReferenceSnapshot, ReferenceTrainingState, ScriptModule, TorchFile, TrainingStateStyle},
    data::{DatasetKind, DatasetOptions, ImageDataset},
    formats::{FileBytes, json_words, read_small, safetensors, type_name},
    state_dict::StateDict,
    terminal::{self, name},
};

/// Tensors that are listed one by one; of more, the first and the last.
const LISTED: usize = 40;

/// What messages call an `artifact.json`, and the most that is read of one.
const STAGE: &str = "description of a finished stage";
pub(super) const LONGEST: u64 = 16 << 20;

/// What a file holds, for people and for programs.
struct Shown {
    lines: Vec<String>,
    value: Value,
}

/// Prints what a network pickle, a training state, a module of TorchScript, a safetensors file, a dataset or a finished stage's folder holds.
///
/// # Errors
/// `Usage` for a path that leads nowhere or to something else; whatever the file has against it.
pub(super) fn inspect(path: &Path, json: bool) -> Result<()> {
    output::exists(path)?;
    let mut shown = if path.join("artifact.json").is_file() {
        stage(path)?
    } else if path.is_dir() {
        dataset(path)?
    } else {
        file(path)?
    };
    if json {
        shown.value["file"] = output::path(path);
        output::json(&shown.value);
    } else {
        say!("{}: {}", terminal::path(path), shown.lines.join("\n"));
    }
    Ok(())
}

/// A file, by what is in it.
fn file(path: &Path) -> Result<Shown> {
    match Contents::of(path)? {
        Contents::Safetensors(source) => weights(&source),
        Contents::Dataset => dataset(path),
        Contents::Torch(source) => match TorchFile::read(source)? {
            TorchFile::Snapshot(found) => snapshot(&found),
            TorchFile::TrainingState(state) => Ok(training_state(&state)),
            TorchFile::Script(module) => Ok(script_module(&module)),
            TorchFile::StateDict(state) => Ok(state_dict(&state)),
        },
        Contents::Unknown(found) => {
            let is = found.map(|found| format!(" is {found};")).unwrap_or_default();
            Err(Error::Usage(format!(
                "`{}`{is} inspect knows .pkl, .pt, .pth, .safetensors, datasets (.zip, a folder, .npz, dataset.json) and folders of finished stages",
                terminal::path(path)
            )))
        }
    }
}

/// A finished stage's folder: what it made, and the weights if these are among it.
fn stage(dir: &Path) -> Result<Shown> {
    let path = dir.join("artifact.json");
    let text = read_small(&path, STAGE, LONGEST)?;
    let bad = |e: serde_json::Error| Error::bad_file(&path, STAGE, json_words(&e));
    let file: Value = serde_json::from_slice(&text).map_err(bad)?;
    let artifact = &file["artifact"];
    let mut lines = vec![format!("finished stage\n{artifact:#}")];
    let mut value = json!({ "kind": "finished stage", "artifact": artifact });
    if let Some(file) = artifact["network"]["weights"].as_str() {
        let path = dir.join(file);
        let weights = weights(&FileBytes::open(&path)?)?;
        lines.push(format!("{}: {}", terminal::path(&path), weights.lines.join("\n")));
        value["weights"] = weights.value;
    }
    Ok(Shown { lines, value })
}

fn weights(source: &FileBytes) -> Result<Shown> {
    let (state, metadata) = safetensors::read_source(source)?;
    let mut lines = vec!["safetensors".to_owned()];
    lines.extend(metadata.iter().map(|(key, value)| format!("  {}: {}", name(key), name(value))));
    lines.extend(tensors(&state));
    let value = json!({ "kind": "safetensors", "metadata": metadata, "tensors": described(&state) });
    Ok(Shown { lines, value })
}

fn snapshot(snapshot: &ReferenceSnapshot) -> Result<Shown> {
    let keys: Vec<&str> = snapshot.top_keys().collect();
    let network = snapshot.ema()?;
    let family = network.family();
    let mut lines = vec![
        format!("network pickle, keys {}", name(&keys.join(", "))),
        format!("  ema: {} ({})", name(&network.class_name), family.unwrap_or("unknown family")),
    ];
    let mut arguments = Map::new();
    for (key, value) in &network.init_kwargs {
        lines.push(format!("    {}: {}", name(key), name(&value.to_string())));
        arguments.insert(key.clone(), value.to_string().into());
    }
    let mut value = json!({
        "kind": "network pickle",
        "keys": keys,
        "class": network.class_name,
        "family": family,
        "arguments": arguments,
        "tensors": described(&network.state_dict),
    });
    match network.config() {
        Ok(config) => {
            let yaml = serde_saphyr::to_string(&config).map_err(|e| Error::Unusable(e.to_string()))?;
            let yaml = yaml.trim_end().replace('\n', "\n    ");
            lines.push(format!("  as a pipeline writes it:\n    {yaml}"));
            value["network"] = json!(config);
        }
        Err(error) => lines.push(format!("  its settings cannot be used here: {error}")),
    }
    if let Some(encoder) = snapshot.encoder()? {
        lines.push(format!("  encoder: {}", name(&encoder.class_name)));
        value["encoder"] = json!(encoder.class_name);
    }
    lines.extend(tensors(&network.state_dict));
    Ok(Shown { lines, value })
}

fn script_module(module: &ScriptModule) -> Shown {
    let state = &module.state_dict;
    let mut lines =
        vec![format!("TorchScript, module {}; its code was not looked at", name(&module.class_name))];
    lines.extend(tensors(state));
    let value = json!({ "kind": "TorchScript", "class": module.class_name, "tensors": described(state) });
    Shown { lines, value }
}

fn state_dict(state: &StateDict) -> Shown {
    let mut lines = vec!["state dict: named tensors, and nothing that says which network's".to_owned()];
    lines.extend(tensors(state));
    Shown { lines, value: json!({ "kind": "state dict", "tensors": described(state) }) }
}

fn training_state(state: &ReferenceTrainingState) -> Shown {
    let style = match state.style {
        TrainingStateStyle::State => "state dicts",
        TrainingStateStyle::StateFp16 => "state dicts in float16",
        TrainingStateStyle::Modules => "whole networks",
    };
    let mut lines = vec![format!("training state ({style}), keys {}", name(&state.top_keys.join(", ")))];
    if let Some(kimg) = state.resume_kimg {
        lines.push(format!("  at {kimg} kimg, by its name"));
    }
    let parts = [
        ("fake score network", &state.fake_score, Some(&state.fake_score_optimizer)),
        ("generator", &state.generator, Some(&state.generator_optimizer)),
        ("generator's EMA", &state.generator_ema, None),
    ];
    let mut networks = Map::new();
    for (part, network, optimizer) in parts {
        let state = &network.state_dict;
        lines.push(format!("  {part}: {} tensors, {} parameters", state.len(), count(state)));
        let stepped = optimizer.map(|optimizer| optimizer.state.len());
        lines.extend(stepped.map(|stepped| format!("    Adam has stepped {stepped} of its tensors")));
        let value = json!({ "tensors": state.len(), "parameters": count(state), "stepped_by_adam": stepped });
        networks.insert(part.to_owned(), value);
    }
    let value = json!({
        "kind": "training state",
        "style": style,
        "keys": state.top_keys,
        "kimg": state.resume_kimg,
        "networks": networks,
    });
    Shown { lines, value }
}

fn dataset(path: &Path) -> Result<Shown> {
    let options = DatasetOptions { use_labels: true, ..DatasetOptions::default() };
    let dataset = ImageDataset::open(path, &options)?;
    let ([c, h, w], len) = (dataset.shape(), dataset.len());
    let (of, what) = match dataset.kind() {
        DatasetKind::Images => ("images", format!("{len} images, {w}x{h}, {c} channel{}", plural(c))),
        DatasetKind::RawLatents => {
            ("latents", format!("{len} latents, {w}x{h}, mean and std of {} channels", c / 2))
        }
        DatasetKind::LabelsOnly => ("labels", format!("{len} labels without images")),
    };
    let counts = dataset.classes().map(|classes| {
        let mut counts = vec![0usize; dataset.label_dim()];
        classes.iter().for_each(|class| counts[*class as usize] += 1);
        counts
    });
    let labels = counts.as_ref().map_or("  no labels".to_owned(), |counts| {
        let shown: Vec<String> = counts.iter().take(20).map(ToString::to_string).collect();
        let more = if counts.len() > 20 { ", ..." } else { "" };
        format!("  {} classes with {}{more} samples", counts.len(), shown.join(", "))
    });
    let identity = dataset.identity();
    let lines = vec![format!("dataset, {what}"), labels, format!("  identity {identity}")];
    let value = json!({
        "kind": "dataset",
        "of": of,
        "samples": len,
        "shape": [c, h, w],
        "samples_by_class": counts,
        "identity": identity,
    });
    Ok(Shown { lines, value })
}

fn tensors(state: &StateDict) -> Vec<String> {
    let mut lines = vec![format!("  {} tensors, {} values", state.len(), count(state))];
    let skipped = state.len().saturating_sub(LISTED);
    for (i, (tensor, data)) in state.iter().enumerate() {
        if skipped > 0 && i == LISTED / 2 {
            lines.push(format!("    ... {skipped} more ..."));
        }
        if skipped == 0 || i < LISTED / 2 || i >= state.len() - LISTED / 2 {
            lines.push(format!(
                "    {} {} {:?}",
                name(tensor),
                type_name(data.dtype()),
                data.shape().as_slice()
            ));
        }
    }
    lines
}

/// All tensors, for programs.
fn described(state: &StateDict) -> Value {
    let tensor = |(name, data): (&String, &burn::tensor::TensorData)| json!({ "name": name, "type": type_name(data.dtype()), "shape": data.shape().as_slice() });
    state.iter().map(tensor).collect()
}

fn count(state: &StateDict) -> usize {
    state.values().map(burn::tensor::TensorData::num_elements).sum()
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
