//! `ReferenceNetwork`: a network as EDM, EDM2, SiD and SiDA pickle it, with its source code left alone.

use serde_json::{Map, Value as Json};

use super::{
    modules::{Allowance, Collected, Persistent},
    wrapped,
};
use crate::{
    Error, Result,
    formats::pickle::{Pickle, Value},
    nn::NetworkConfig,
    state_dict::StateDict,
    terminal,
};

/// A network read from the reference's files.
#[derive(Clone, Debug)]
pub struct ReferenceNetwork {
    /// The file, for messages.
    pub origin: String,
    /// Class of the preconditioned network.
    pub class_name: String,
    /// Positional constructor arguments.
    pub init_args: Vec<Json>,
    /// Keyword constructor arguments; infinity is `"inf"`.
    pub init_kwargs: Map<String, Json>,
    /// Parameters and buffers, in the order of the reference's `state_dict()`.
    pub state_dict: StateDict,
    /// Names of the parameters, in the order of `parameters()`: the index order of optimizer states.
    pub parameters: Vec<String>,
}

impl ReferenceNetwork {
    /// Reads a pickled network.
    pub(super) fn read(pickle: &Pickle, value: Value, allowance: &mut Allowance) -> Result<Self> {
        let bad = |what: &str| pickle.bad(format!("a network without its {what}"));
        let value = wrapped::within(pickle, value);
        let object =
            Persistent::of(pickle, value).ok_or_else(|| pickle.bad("what should be a network is none"))?;
        let args = object.get("_init_args").ok_or_else(|| bad("`_init_args`"))?;
        let kwargs = object.get("_init_kwargs").ok_or_else(|| bad("`_init_kwargs`"))?;
        let (Json::Array(init_args), Json::Object(init_kwargs)) = (pickle.json(args)?, pickle.json(kwargs)?)
        else {
            return Err(bad("constructor arguments"));
        };
        let mut collected = Collected::new(pickle, allowance);
        collected.module(value, "", 0)?;
        Ok(Self {
            origin: terminal::path(pickle.path()),
            class_name: object.class_name.into_owned(),
            init_args,
            init_kwargs,
            state_dict: collected.tensors,
            parameters: collected.parameters,
        })
    }

    /// The project that wrote it, as people write it; `None` for a class that no project is known for. SiD keeps
    /// EDM's networks.
    pub fn family(&self) -> Option<&'static str> {
        Some(match self.class_name.as_str() {
            "EDMPrecond" | "VPPrecond" | "VEPrecond" | "iDDPMPrecond" => "EDM",
            "Precond" => "EDM2",
            "EDMPrecond_EncoderDecoder" => "SiDA",
            class if class.starts_with("EDM_2_Precond") => "SiDA-EDM2",
            _ => return None,
        })
    }

    /// Our settings for it, checked against the shapes of all its tensors.
    ///
    /// # Errors
    /// An unknown class or argument; `ShapeMismatch`, `MissingTensor`, `UnexpectedTensor`.
    pub fn config(&self) -> Result<NetworkConfig> {
        let keywords = self.keywords()?;
        if !is_plausible(&keywords) {
            let problem = format!("{}: no network has such constructor arguments", self.origin);
            return Err(Error::Unusable(problem));
        }
        let config = NetworkConfig::from_reference(&self.class_name, &keywords, &self.origin)?;
        check_shapes(&self.state_dict, &config, &self.origin)?;
        Ok(config)
    }

    /// All constructor arguments by name. Every class begins with the same three.
    fn keywords(&self) -> Result<Map<String, Json>> {
        const POSITIONS: [&str; 3] = ["img_resolution", "img_channels", "label_dim"];
        if self.init_args.len() > POSITIONS.len() {
            let problem = format!("{}: too many positional constructor arguments", self.origin);
            return Err(Error::Unusable(problem));
        }
        let mut keywords = self.init_kwargs.clone();
        for (name, value) in POSITIONS.iter().zip(&self.init_args) {
            keywords.insert((*name).to_owned(), value.clone());
        }
        Ok(keywords)
    }
}

/// Compares names and shapes of weights with what the settings imply. Buffers that follow from the settings
/// may be absent.
///
/// # Errors
/// `ShapeMismatch`, `MissingTensor` or `UnexpectedTensor`, whichever is met first in order of registration.
pub fn check_shapes(weights: &StateDict, config: &NetworkConfig, origin: &str) -> Result<()> {
    let entries = config.shapes()?;
    let origin = || origin.to_owned();
    for entry in &entries {
        match weights.get(&entry.name) {
            None if entry.is_parameter() => {
                return Err(Error::MissingTensor { origin: origin(), tensor: entry.name.clone() });
            }
            None => {}
            Some(found) if found.shape().as_slice() == entry.shape => {}
            Some(found) => {
                return Err(Error::ShapeMismatch {
                    origin: origin(),
                    tensor: entry.name.clone(),
                    found: found.shape().to_vec(),
                    expected: entry.shape.clone(),
                });
            }
        }
    }
    let known: std::collections::HashSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    match weights.keys().find(|name| !known.contains(name.as_str())) {
        Some(tensor) => Err(Error::UnexpectedTensor { origin: origin(), tensor: tensor.clone() }),
        None => Ok(()),
    }
}

/// Refuses settings no network has, before anybody makes tables of their size.
fn is_plausible(keywords: &Map<String, Json>) -> bool {
    keywords.iter().all(|(name, value)| match value {
        Json::Number(number) => plausible_number(name, number.as_f64()),
        Json::Array(items) => {
            items.len() <= 64 && items.iter().all(|item| plausible_number(name, item.as_f64()))
        }
        _ => true,
    })
}

fn plausible_number(name: &str, number: Option<f64>) -> bool {
    let most = match name {
        "channel_mult" | "channel_mult_emb" | "channel_mult_noise" | "num_blocks" => 256.0,
        "model_channels" | "logvar_channels" | "channels_per_head" | "img_channels" => 16_384.0,
        _ => 1e9,
    };
    number.is_none_or(|number| number.abs() <= most)
}
