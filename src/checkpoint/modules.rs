//! The modules of a pickled network: their tensors and attributes, within what a file of its size may cost.

use std::borrow::Cow;

use burn::tensor::TensorData;

use super::wrapped::{self, stripped};
use crate::{
    Error, Result,
    formats::pickle::{Object, Pickle, TensorView, Value},
    state_dict::StateDict,
    terminal,
};

/// Modules nest five or six levels.
const DEEPEST: usize = 32;
/// Modules of one network; the largest published has about a thousand.
const MODULES: usize = 100_000;
/// Entries of all dicts that are looked through.
const ENTRIES: usize = 4_000_000;
/// Names of tensors are shorter.
const LONGEST_NAME: usize = 1024;
/// A hostile file could describe the same storage as many tensors: the copies must stay in proportion.
const COPIES: u64 = 4;
/// A small file with expanded tensors may take so many bytes for all that.
const LEAST_BYTES: u64 = 16 << 20;
/// How much of the texts that stand for bytes is decoded, for all tensors together.
const DECODED: u64 = 8 << 30;

/// An object of a class whose source travels in the pickle.
pub(super) struct Persistent<'a> {
    /// The class.
    pub(super) class_name: Cow<'a, str>,
    pickle: &'a Pickle,
    state: Value,
}

impl<'a> Persistent<'a> {
    /// The dict in `_reconstruct_persistent_obj({type, version, module_src, class_name, state})`
    fn meta(pickle: &Pickle, value: Value) -> Option<Value> {
        if pickle.callee(value)? != ("torch_utils.persistence", "_reconstruct_persistent_obj") {
            return None;
        }
        pickle.items(pickle.instance(value)?.args)?.first().copied()
    }

    /// What such a call would have made.
    pub(super) fn of(pickle: &'a Pickle, value: Value) -> Option<Self> {
        let meta = Self::meta(pickle, value)?;
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
    decoded: u64,
    entries: usize,
    modules: usize,
    /// What was last said to be left out of its names.
    left_out: String,
}

impl Allowance {
    pub(super) fn new(pickle: &Pickle) -> Self {
        let bytes = pickle.source().len().saturating_mul(COPIES).max(LEAST_BYTES);
        Self { bytes, decoded: DECODED, entries: ENTRIES, modules: MODULES, left_out: String::new() }
    }

    /// Copies a tensor out of the file.
    pub(super) fn read(&mut self, pickle: &Pickle, view: &TensorView) -> Result<TensorData> {
        let left = self.bytes.checked_sub(view.byte_len().max(view.stretch()));
        self.bytes = left.ok_or_else(|| pickle.bad("its tensors are far larger than the file"))?;
        let left = self.decoded.checked_sub(view.decoding());
        self.decoded =
            left.ok_or_else(|| pickle.bad("its tensors share texts that stand for bytes too often"))?;
        view.read(pickle.source())
    }

    /// Pays for looking through a dict.
    pub(super) fn dict(&mut self, pickle: &Pickle, value: Value) -> Result<()> {
        let left = self.entries.checked_sub(pickle.looked_through(value) + 1);
        self.entries = left.ok_or_else(|| pickle.bad("its dicts are far larger than a network's"))?;
        Ok(())
    }
}

/// The tensors of a tree of modules.
pub(super) struct Collected<'a> {
    pub(super) pickle: &'a Pickle,
    pub(super) allowance: &'a mut Allowance,
    /// Parameters and buffers, in the order of `state_dict()`.
    pub(super) tensors: StateDict,
    /// Names of the parameters, in the order of `parameters()`.
    pub(super) parameters: Vec<String>,
}

impl<'a> Collected<'a> {
    pub(super) fn new(pickle: &'a Pickle, allowance: &'a mut Allowance) -> Self {
        Self { pickle, allowance, tensors: StateDict::new(), parameters: Vec::new() }
    }

    /// A module's parameters, then its buffers, then its children.
    pub(super) fn module(&mut self, value: Value, prefix: &str, depth: usize) -> Result<()> {
        self.enter(prefix, depth)?;
        let state = self.attributes(value)?.ok_or_else(|| self.no_module(prefix))?;
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

    /// Pays for looking into a module.
    pub(super) fn enter(&mut self, prefix: &str, depth: usize) -> Result<()> {
        if depth > DEEPEST || self.allowance.modules == 0 || prefix.len() > LONGEST_NAME {
            return Err(self.pickle.bad("modules nest too deeply or are too many"));
        }
        self.allowance.modules -= 1;
        Ok(())
    }

    /// A module's dict of attributes: inside the description of a persistent object, or its plain state.
    fn attributes(&mut self, value: Value) -> Result<Option<Value>> {
        if let Some(meta) = Persistent::meta(self.pickle, value) {
            self.allowance.dict(self.pickle, meta)?;
        }
        if let Some(persistent) = Persistent::of(self.pickle, value) {
            return Ok(Some(persistent.state));
        }
        let instance = self.pickle.instance(value).filter(|_| is_module(self.pickle, value));
        Ok(instance.and_then(|instance| instance.state))
    }

    pub(super) fn no_module(&self, prefix: &str) -> Error {
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
        self.insert(name, &view)?;
        Ok(true)
    }

    /// Copies a tensor out of the file.
    pub(super) fn insert(&mut self, name: String, view: &TensorView) -> Result<()> {
        let data = self.allowance.read(self.pickle, view)?;
        self.tensors.insert(name, data);
        Ok(())
    }
}

/// Whether a value is a module of one of torch's own classes.
pub(super) fn is_module(pickle: &Pickle, value: Value) -> bool {
    pickle.class(value).is_some_and(|(module, _)| module.starts_with("torch.nn.modules."))
}

/// A dict of tensors, as `state_dict()` makes it.
pub(super) fn read_state_dict(pickle: &Pickle, value: Value, allowance: &mut Allowance) -> Result<StateDict> {
    allowance.dict(pickle, value)?;
    let fields = pickle.fields(value).ok_or_else(|| pickle.bad("what should be a state dict is none"))?;
    let mut collected = Collected::new(pickle, allowance);
    for (name, value) in fields {
        collected.tensor(value, name.into_owned())?;
    }
    let (state, left_out) = stripped(collected.tensors);
    // Of a file's networks, all are wrapped alike.
    if !left_out.is_empty() && allowance.left_out != left_out {
        wrapped::say(&left_out, &format!("`{}`", terminal::path(pickle.path())));
        allowance.left_out = left_out;
    }
    Ok(state)
}
