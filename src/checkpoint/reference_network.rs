//! `ReferenceNetwork`: a network as EDM, EDM2, SiD and SiDA pickle it, with its source code left alone.

use std::borrow::Cow;

use burn::tensor::TensorData;
use serde_json::{Map, Value as Json};

use crate::{
    Error, Result,
    formats::pickle::{Object, Pickle, TensorView, Value},
    nn::NetworkConfig,
    state_dict::StateDict,
    terminal,
};

/// Modules nest five or six levels.
const DEEPEST: usize = 32;
/// Modules of one network; the largest published has about a thousand.
const MODULES: usize = 100_000;
/// Entries of all dicts that are looked through.
const ENTRIES: usize = 20_000_000;
/// Names of tensors are shorter.
const LONGEST_NAME: usize = 1024;
/// A hostile file could describe the same storage as many tensors: the copies must stay in proportion.
const COPIES: u64 = 4;

/// Which project wrote a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFamily {
    /// NVIDIA's EDM, and SiD, which keeps its networks.
    Edm,
    /// NVIDIA's EDM2.
    Edm2,
    /// SiDA on EDM's networks.
    Sida,
    /// SiDA on EDM2's networks.
    SidaEdm2,
}

impl SourceFamily {
    /// From the class of a preconditioned network.
    pub fn of_class(class_name: &str) -> Option<Self> {
        Some(match class_name {
            "EDMPrecond" | "VPPrecond" | "VEPrecond" | "iDDPMPrecond" => Self::Edm,
            "Precond" => Self::Edm2,
            "EDMPrecond_EncoderDecoder" => Self::Sida,
            _ if class_name.starts_with("EDM_2_Precond") => Self::SidaEdm2,
            _ => return None,
        })
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edm => "EDM",
            Self::Edm2 => "EDM2",
            Self::Sida => "SiDA",
            Self::SidaEdm2 => "SiDA-EDM2",
        }
    }
}

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

    /// Which project wrote it; `None` for a class that no project is known for.
    pub fn family(&self) -> Option<SourceFamily> {
        SourceFamily::of_class(&self.class_name)
    }

    /// Our settings for it, checked against the shapes of all its tensors.
    ///
    /// # Errors
    /// An unknown class or argument; `ShapeMismatch`, `MissingTensor`, `UnexpectedTensor`.
    pub fn config(&self) -> Result<NetworkConfig> {
        let keywords = self.keywords()?;
        if !is_plausible(&keywords) {
            return Err(Error::Unusable(format!(
                "{}: no network has such constructor arguments",
                self.origin
            )));
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

/// An object of a class whose source travels in the pickle.
pub(super) struct Persistent<'a> {
    /// The class.
    pub(super) class_name: Cow<'a, str>,
    pickle: &'a Pickle,
    state: Value,
}

impl<'a> Persistent<'a> {
    /// `_reconstruct_persistent_obj({type, version, module_src, class_name, state})`
    pub(super) fn of(pickle: &'a Pickle, value: Value) -> Option<Self> {
        if pickle.callee(value)? != ("torch_utils.persistence", "_reconstruct_persistent_obj") {
            return None;
        }
        let meta = *pickle.items(pickle.instance(value)?.args)?.first()?;
        let class_name = pickle.text(pickle.get(meta, "class_name")?)?;
        Some(Self { class_name, pickle, state: pickle.get(meta, "state")? })
    }

    /// An attribute.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        self.pickle.get(self.state, name)
    }
}

/// What the contents of one file may still cost. Objects of a pickle may be mentioned again and again, so that
/// a small file could describe more work and more tensors than there is room for.
pub(super) struct Allowance {
    bytes: u64,
    entries: usize,
    modules: usize,
}

impl Allowance {
    pub(super) fn new(pickle: &Pickle) -> Self {
        Self { bytes: pickle.source().len().saturating_mul(COPIES), entries: ENTRIES, modules: MODULES }
    }

    /// Copies a tensor out of the file.
    pub(super) fn read(&mut self, pickle: &Pickle, view: &TensorView) -> Result<TensorData> {
        let left = self.bytes.checked_sub(view.byte_len());
        self.bytes = left.ok_or_else(|| pickle.bad("its tensors are far larger than the file"))?;
        view.read(pickle.source())
    }

    /// Pays for looking through a dict.
    pub(super) fn dict(&mut self, pickle: &Pickle, value: Value) -> Result<()> {
        let len = pickle.entries(value).map_or(0, |entries| entries.len());
        let left = self.entries.checked_sub(len + 1);
        self.entries = left.ok_or_else(|| pickle.bad("its dicts are far larger than a network's"))?;
        Ok(())
    }
}

/// The tensors of a tree of modules.
struct Collected<'a> {
    pickle: &'a Pickle,
    allowance: &'a mut Allowance,
    tensors: StateDict,
    parameters: Vec<String>,
}

impl<'a> Collected<'a> {
    fn new(pickle: &'a Pickle, allowance: &'a mut Allowance) -> Self {
        Self { pickle, allowance, tensors: StateDict::new(), parameters: Vec::new() }
    }

    /// A module's parameters, then its buffers, then its children.
    fn module(&mut self, value: Value, prefix: &str, depth: usize) -> Result<()> {
        if depth > DEEPEST || self.allowance.modules == 0 || prefix.len() > LONGEST_NAME {
            return Err(self.pickle.bad("modules nest too deeply or are too many"));
        }
        self.allowance.modules -= 1;
        let state = self.attributes(value).ok_or_else(|| self.no_module(prefix))?;
        self.allowance.dict(self.pickle, state)?;
        for (name, value) in self.dict(state, "_parameters", prefix)? {
            if self.tensor(value, format!("{prefix}{name}"))? {
                self.parameters.push(format!("{prefix}{name}"));
            }
        }
        let transient = self.names(state, "_non_persistent_buffers_set");
        for (name, value) in self.dict(state, "_buffers", prefix)? {
            if !transient.contains(&name) {
                self.tensor(value, format!("{prefix}{name}"))?;
            }
        }
        for (name, value) in self.dict(state, "_modules", prefix)? {
            if value != Value::None {
                self.module(value, &format!("{prefix}{name}."), depth + 1)?;
            }
        }
        Ok(())
    }

    /// A module's dict of attributes: inside the description of a persistent object, or its plain state.
    fn attributes(&self, value: Value) -> Option<Value> {
        if let Some(persistent) = Persistent::of(self.pickle, value) {
            return Some(persistent.state);
        }
        let (module, _) = self.pickle.callee(value)?;
        if !module.starts_with("torch.nn.modules.") {
            return None;
        }
        self.pickle.instance(value)?.state
    }

    fn no_module(&self, prefix: &str) -> Error {
        self.pickle.bad(format!("`{}` is not a network module", prefix.trim_end_matches('.')))
    }

    fn dict(&mut self, state: Value, name: &str, prefix: &str) -> Result<Vec<(Cow<'a, str>, Value)>> {
        let dict = self.pickle.get(state, name).ok_or_else(|| self.no_module(prefix))?;
        self.allowance.dict(self.pickle, dict)?;
        self.pickle.fields(dict).ok_or_else(|| self.no_module(prefix))
    }

    /// The first texts of a set; modules have two or three.
    fn names(&self, state: Value, name: &str) -> Vec<Cow<'a, str>> {
        let Some(set) = self.pickle.get(state, name) else { return Vec::new() };
        let items = match self.pickle.object(set) {
            Some(Object::Set(items)) => Some(items.as_slice()),
            Some(Object::Instance(set)) => {
                let list = self.pickle.items(set.args).and_then(|args| args.first().copied());
                list.and_then(|list| self.pickle.items(list))
            }
            _ => None,
        };
        items.unwrap_or_default().iter().take(64).filter_map(|&item| self.pickle.text(item)).collect()
    }

    /// Reads a tensor; `false` for None, which stands for a parameter that the module does without.
    fn tensor(&mut self, value: Value, name: String) -> Result<bool> {
        if value == Value::None {
            return Ok(false);
        }
        let view = self.pickle.tensor(value)?;
        let view = view.ok_or_else(|| self.pickle.bad(format!("`{name}` is not a tensor")))?;
        let data = self.allowance.read(self.pickle, &view)?;
        self.tensors.insert(name, data);
        Ok(true)
    }
}

/// A dict of tensors, as `state_dict()` makes it.
pub(super) fn read_state_dict(pickle: &Pickle, value: Value, allowance: &mut Allowance) -> Result<StateDict> {
    allowance.dict(pickle, value)?;
    let fields = pickle.fields(value).ok_or_else(|| pickle.bad("what should be a state dict is none"))?;
    let mut collected = Collected::new(pickle, allowance);
    for (name, value) in fields {
        collected.tensor(value, name.into_owned())?;
    }
    Ok(collected.tensors)
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
