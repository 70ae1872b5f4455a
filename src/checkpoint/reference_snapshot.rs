//! `ReferenceSnapshot`: a network pickle of EDM, EDM2, SiD or SiDA.

use std::{borrow::Cow, path::Path};

use serde_json::{Map, Value as Json};

use super::{
    modules::{Allowance, Persistent},
    reference_network::ReferenceNetwork,
    wrapped,
};
use crate::{
    Result,
    formats::{
        FileBytes,
        pickle::{Pickle, Value},
    },
};

const FORMAT: &str = "network pickle";
/// The key of the network with averaged weights.
const EMA: &str = "ema";

/// `network-snapshot-*.pkl`, `edm-*.pkl`, `edm2-*.pkl`: a dict of a network and what belongs to it.
#[derive(Debug)]
pub struct ReferenceSnapshot {
    pickle: Pickle,
    keys: Vec<(String, Value)>,
}

/// What turns pixels into the network's latents and back, as a snapshot describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceEncoder {
    /// `StabilityVAEEncoder` or `StandardRGBEncoder`.
    pub class_name: String,
    /// Keyword constructor arguments.
    pub init_kwargs: Map<String, Json>,
    /// Name of the autoencoder on the Hugging Face hub.
    pub vae_name: Option<String>,
    /// Factor of every latent channel.
    pub scale: Vec<f32>,
    /// Offset of every latent channel.
    pub bias: Vec<f32>,
}

impl ReferenceSnapshot {
    /// Opens a snapshot. Tensors stay in the file until a network is asked for.
    ///
    /// # Errors
    /// `ForbiddenGlobal` for anything that is not data; `BadFile` for damage, or for a pickle of something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::read(FileBytes::open(path)?)
    }

    /// The same from bytes in memory.
    ///
    /// # Errors
    /// As of `open`.
    pub fn read(source: FileBytes) -> Result<Self> {
        Self::of(Pickle::read(source, FORMAT)?)
    }

    /// A pickle of a dict, or of a network and nothing else, which is the one to sample from then.
    pub(super) fn of(pickle: Pickle) -> Result<Self> {
        let root = pickle.root();
        let keys = match pickle.fields(root) {
            Some(keys) => keys.into_iter().map(|(name, value)| (name.into_owned(), value)).collect(),
            None if Persistent::of(&pickle, wrapped::within(&pickle, root)).is_some() => {
                vec![(EMA.to_owned(), root)]
            }
            None => return Err(pickle.bad("it does not hold a dict")),
        };
        Ok(Self { pickle, keys })
    }

    /// Keys of the outer dict, in order.
    pub fn top_keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(name, _)| name.as_str())
    }

    /// The pickle itself.
    pub fn pickle(&self) -> &Pickle {
        &self.pickle
    }

    /// The network whose weights are averaged: the one that everybody samples from. See `ReferenceNetwork::config`
    /// for its settings and the check of its shapes.
    ///
    /// # Errors
    /// `BadFile` where there is none, or none that can be read.
    pub fn ema(&self) -> Result<ReferenceNetwork> {
        let value = self.value(EMA).ok_or_else(|| self.pickle.bad("it has no network under `ema`"))?;
        ReferenceNetwork::read(&self.pickle, value, &mut Allowance::new(&self.pickle))
    }

    /// The encoder of EDM2's snapshots; `None` where there is none.
    ///
    /// # Errors
    /// `BadFile` for malformed arguments or arrays.
    pub fn encoder(&self) -> Result<Option<ReferenceEncoder>> {
        let object = self.value("encoder").and_then(|value| Persistent::of(&self.pickle, value));
        let Some(object) = object else { return Ok(None) };
        let kwargs = object.get("_init_kwargs").map(|value| self.pickle.json(value)).transpose()?;
        let floats = |name| -> Result<Vec<f32>> {
            let array = object.get(name).map(|value| self.pickle.array(value)).transpose()?.flatten();
            Ok(array.and_then(|array| array.convert::<f32>().try_into_vec().ok()).unwrap_or_default())
        };
        Ok(Some(ReferenceEncoder {
            class_name: object.class_name.to_string(),
            init_kwargs: kwargs.and_then(|kwargs| kwargs.as_object().cloned()).unwrap_or_default(),
            vae_name: object.get("vae_name").and_then(|name| self.pickle.text(name)).map(Cow::into_owned),
            scale: floats("scale")?,
            bias: floats("bias")?,
        }))
    }

    fn value(&self, key: &str) -> Option<Value> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}
