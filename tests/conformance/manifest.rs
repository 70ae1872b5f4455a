//! Kind `manifest` of the fixtures' README.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use sida::nn::Entry;

use crate::{case::Case, network::Net, vae::Autoencoder};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    networks: Vec<Released>,
}

/// One released architecture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Released {
    preset: String,
    net: Option<Net>,
    autoencoder: Option<Autoencoder>,
    num_params: usize,
    num_tensors: usize,
    state_dict_sha256: Option<String>,
    param_order_sha256: Option<String>,
    state_dict: Option<Vec<(String, Vec<usize>, String)>>,
    param_order: Option<Vec<String>>,
}

pub fn run(case: &mut Case) -> Result<(), String> {
    let config: Config = case.config()?;
    if config.networks.is_empty() {
        return Err("no networks are listed".to_owned());
    }
    for released in config.networks {
        for problem in judge(&released).unwrap_or_else(|problem| vec![problem]) {
            case.expect(false, || format!("{}: {problem}", released.preset));
        }
    }
    Ok(())
}

fn judge(released: &Released) -> Result<Vec<String>, String> {
    let entries: Vec<Entry> = match (&released.net, &released.autoencoder) {
        (Some(net), None) => net.config()?.shapes().map_err(|e| e.to_string())?,
        (None, Some(autoencoder)) => autoencoder.clone().config()?.shapes(),
        _ => return Err("is neither a network nor an autoencoder".to_owned()),
    };
    let parameters: Vec<&Entry> = entries.iter().filter(|e| e.is_parameter()).collect();
    let names: Vec<&str> = parameters.iter().map(|e| e.name.as_str()).collect();
    let mut problems = Vec::new();
    let mut same = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            problems.push(format!("{what} is {ours}, recorded {theirs}"));
        }
    };
    let numbers: usize = parameters.iter().map(|e| e.shape.iter().product::<usize>()).sum();
    same("the number of parameters", numbers.to_string(), released.num_params.to_string());
    same("the number of tensors", entries.len().to_string(), released.num_tensors.to_string());
    if let Some(recorded) = &released.state_dict {
        for (ours, (name, shape, dtype)) in entries.iter().zip(recorded) {
            let ours = format!("{} {:?} float32", ours.name, ours.shape);
            same("a tensor", ours, format!("{name} {shape:?} {dtype}"));
        }
    }
    if let Some(recorded) = &released.param_order {
        same("the order of parameters", names.join(" "), recorded.join(" "));
    }
    if let Some(recorded) = &released.state_dict_sha256 {
        let lines: Vec<String> = entries.iter().map(|e| format!("{} {}", e.name, by_x(&e.shape))).collect();
        same("the hash of the state dict", sha256(&(lines.join("\n") + "\n")), recorded.clone());
    }
    if let Some(recorded) = &released.param_order_sha256 {
        same("the hash of the order of parameters", sha256(&names.join("\n")), recorded.clone());
    }
    Ok(problems)
}

fn by_x(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

fn sha256(text: &str) -> String {
    let bytes: Vec<String> = Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    bytes.concat()
}
