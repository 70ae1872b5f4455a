//! `TorchFile`: whatever torch or pickle wrote, by what is in it. What a file is called says little.

use std::path::Path;

use super::{
    modules::{Allowance, Collected, Persistent, is_module, read_state_dict},
    reference_snapshot::ReferenceSnapshot,
    reference_training_state::ReferenceTrainingState,
    script_module::ScriptModule,
    wrapped,
};
use crate::{
    Result,
    formats::{
        FileBytes,
        pickle::{Pickle, Value},
    },
    state_dict::StateDict,
};

/// What a file of torch or pickle holds.
#[derive(Debug)]
pub enum TorchFile {
    /// A network with its settings, as EDM and those after it publish it.
    Snapshot(ReferenceSnapshot),
    /// Networks and optimizers in the middle of a distillation.
    TrainingState(Box<ReferenceTrainingState>),
    /// A module of TorchScript.
    Script(ScriptModule),
    /// Named tensors and nothing that says which network's: `torch.save(network.state_dict(), ...)`, or a module of torch's
    /// own classes.
    StateDict(StateDict),
}

impl TorchFile {
    /// Opens a pickle, a legacy torch file or a torch zip.
    ///
    /// # Errors
    /// `ForbiddenGlobal` for anything that is not data; `BadFile` for damage, and for what holds no weights.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::read(FileBytes::open(path)?)
    }

    /// The same from bytes in memory.
    ///
    /// # Errors
    /// As of `open`.
    pub fn read(source: FileBytes) -> Result<Self> {
        let pickle = Pickle::read(source, "torch file")?;
        if let Some(module) = ScriptModule::of(&pickle)? {
            return Ok(Self::Script(module));
        }
        let root = pickle.root();
        let is_network = |value| Persistent::of(&pickle, wrapped::within(&pickle, value)).is_some();
        let known = |key: &str| pickle.get(root, key);
        if is_network(root) || known("ema").is_some_and(is_network) {
            return ReferenceSnapshot::of(pickle).map(Self::Snapshot);
        }
        let module = wrapped::within(&pickle, root);
        if is_module(&pickle, module) {
            let mut allowance = Allowance::new(&pickle);
            let mut collected = Collected::new(&pickle, &mut allowance);
            collected.module(module, "", 0)?;
            return Ok(Self::StateDict(collected.tensors));
        }
        if known("fake_score").or_else(|| known("fake_score_state")).is_some() {
            return ReferenceTrainingState::of(&pickle).map(Box::new).map(Self::TrainingState);
        }
        let state = state_dict(&pickle)?;
        read_state_dict(&pickle, state, &mut Allowance::new(&pickle)).map(Self::StateDict)
    }
}

/// Where the named tensors are: at the top, or in the only dict of such.
fn state_dict(pickle: &Pickle) -> Result<Value> {
    let root = pickle.root();
    let fields = pickle.fields(root).ok_or_else(|| pickle.bad("it holds no dict of weights"))?;
    if is_state_dict(pickle, root) {
        return Ok(root);
    }
    let mut found = Vec::new();
    let mut allowance = Allowance::new(pickle);
    for &(_, value) in &fields {
        allowance.dict(pickle, value)?;
        if is_state_dict(pickle, value) {
            found.push(value);
        }
    }
    if let [value] = found[..] {
        return Ok(value);
    }
    let keys: Vec<String> = fields.iter().take(SHOWN).map(|(key, _)| format!("`{key}`")).collect();
    let more = if fields.len() > SHOWN { ", ..." } else { "" };
    Err(pickle.bad(format!(
        "it has no network under `ema`, is no training state and no state dict; it holds {}{more}",
        if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
    )))
}

/// Keys of a dict that are named.
const SHOWN: usize = 10;

/// Whether all of a dict's values are tensors. Those that cannot be read are tensors for all that.
fn is_state_dict(pickle: &Pickle, value: Value) -> bool {
    let is_tensor = |value| !matches!(pickle.tensor(value), Ok(None));
    pickle
        .fields(value)
        .is_some_and(|fields| !fields.is_empty() && fields.iter().all(|(_, value)| is_tensor(*value)))
}
