//! `sida inspect`: what a file holds, without running anything in it.

use std::path::Path;

use crate::{
    Error, Result,
    checkpoint::{ReferenceSnapshot, ReferenceTrainingState},
    data::{DatasetKind, DatasetOptions, ImageDataset},
    formats::safetensors,
    state_dict::StateDict,
    terminal::{self, name},
};

/// Tensors that are listed one by one; of more, the first and the last.
const LISTED: usize = 40;

/// Prints what a network pickle, a training state, a safetensors file, a dataset or a finished stage's folder holds.
pub(super) fn inspect(path: &Path) -> Result<()> {
    if !path.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such file or folder");
        return Err(Error::Io { action: "read", path: path.to_path_buf(), source });
    }
    if path.join("artifact.json").is_file() {
        return stage(path);
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "safetensors" => weights(path),
        "pkl" => snapshot(path),
        "pt" | "pth" => training_state(path),
        "zip" | "json" | "" => dataset(path),
        _ if path.is_dir() => dataset(path),
        _ => Err(Error::Usage(format!(
            "`{}`: inspect knows .pkl, .pt, .safetensors, datasets (.zip, a folder, dataset.json) and folders of finished stages",
            terminal::path(path)
        ))),
    }
}

/// A finished stage's folder: what it made, and the weights if these are among it.
fn stage(dir: &Path) -> Result<()> {
    let path = dir.join("artifact.json");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let bad = |e: serde_json::Error| Error::bad_file(&path, "description of a finished stage", e.to_string());
    let file: serde_json::Value = serde_json::from_str(&text).map_err(bad)?;
    say!("{}: finished stage\n{:#}", terminal::path(dir), file["artifact"]);
    match file["artifact"]["network"]["weights"].as_str() {
        Some(file) => weights(&dir.join(file)),
        None => Ok(()),
    }
}

fn weights(path: &Path) -> Result<()> {
    let (state, metadata) = safetensors::read(path)?;
    say!("{}: safetensors", terminal::path(path));
    for (key, value) in &metadata {
        say!("  {}: {}", name(key), name(value));
    }
    tensors(&state);
    Ok(())
}

fn snapshot(path: &Path) -> Result<()> {
    let snapshot = ReferenceSnapshot::open(path)?;
    say!(
        "{}: network pickle, keys {}",
        terminal::path(path),
        name(&snapshot.top_keys().collect::<Vec<_>>().join(", "))
    );
    let network = snapshot.ema()?;
    let family = network.family().unwrap_or("unknown family");
    say!("  ema: {} ({family})", name(&network.class_name));
    for (key, value) in &network.init_kwargs {
        say!("    {}: {}", name(key), name(&value.to_string()));
    }
    match network.config() {
        Ok(config) => {
            let yaml = serde_saphyr::to_string(&config).map_err(|e| Error::Unusable(e.to_string()))?;
            say!("  as a pipeline writes it:\n    {}", yaml.trim_end().replace('\n', "\n    "));
        }
        Err(error) => say!("  its settings cannot be used here: {error}"),
    }
    if let Some(encoder) = snapshot.encoder()? {
        say!("  encoder: {}", name(&encoder.class_name));
    }
    tensors(&network.state_dict);
    Ok(())
}

fn training_state(path: &Path) -> Result<()> {
    let state = ReferenceTrainingState::open(path)?;
    say!(
        "{}: training state ({:?}), keys {}",
        terminal::path(path),
        state.style,
        name(&state.top_keys.join(", "))
    );
    if let Some(kimg) = state.resume_kimg {
        say!("  at {kimg} kimg, by its name");
    }
    let parts = [
        ("fake score network", &state.fake_score, Some(&state.fake_score_optimizer)),
        ("generator", &state.generator, Some(&state.generator_optimizer)),
        ("generator's EMA", &state.generator_ema, None),
    ];
    for (part, network, optimizer) in parts {
        say!("  {part}: {} tensors, {} parameters", network.state_dict.len(), count(&network.state_dict));
        if let Some(optimizer) = optimizer {
            say!("    Adam has stepped {} of its tensors", optimizer.state.len());
        }
    }
    Ok(())
}

fn dataset(path: &Path) -> Result<()> {
    let dataset =
        ImageDataset::open(path, &DatasetOptions { use_labels: true, ..DatasetOptions::default() })?;
    let [c, h, w] = dataset.shape();
    let what = match dataset.kind() {
        DatasetKind::Images => format!("{} images, {w}x{h}, {c} channel{}", dataset.len(), plural(c)),
        DatasetKind::RawLatents => {
            format!("{} latents, {w}x{h}, mean and std of {} channels", dataset.len(), c / 2)
        }
        DatasetKind::LabelsOnly => format!("{} labels without images", dataset.len()),
    };
    say!("{}: dataset, {what}", terminal::path(path));
    match dataset.classes() {
        None => say!("  no labels"),
        Some(classes) => {
            let mut counts = vec![0usize; dataset.label_dim()];
            classes.iter().for_each(|class| counts[*class as usize] += 1);
            let shown: Vec<String> = counts.iter().take(20).map(ToString::to_string).collect();
            let more = if counts.len() > 20 { ", ..." } else { "" };
            say!("  {} classes with {}{more} samples", counts.len(), shown.join(", "));
        }
    }
    say!("  identity {}", dataset.identity());
    Ok(())
}

fn tensors(state: &StateDict) {
    say!("  {} tensors, {} values", state.len(), count(state));
    let skipped = state.len().saturating_sub(LISTED);
    for (i, (tensor, data)) in state.iter().enumerate() {
        if skipped > 0 && i == LISTED / 2 {
            say!("    ... {skipped} more ...");
        }
        if skipped == 0 || i < LISTED / 2 || i >= state.len() - LISTED / 2 {
            say!("    {} {:?} {:?}", name(tensor), data.dtype(), data.shape().as_slice());
        }
    }
}

fn count(state: &StateDict) -> usize {
    state.values().map(burn::tensor::TensorData::num_elements).sum()
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
