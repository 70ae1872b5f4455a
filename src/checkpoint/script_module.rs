//! `ScriptModule`: the tensors of a TorchScript archive, as `torch.jit.save` writes it.

use std::path::Path;

use super::modules::{Allowance, Collected};
use crate::{
    Result,
    formats::{
        FileBytes,
        pickle::{Pickle, Value},
    },
    state_dict::StateDict,
};

/// A module of TorchScript, scripted or traced, without its code.
#[derive(Debug)]
pub struct ScriptModule {
    /// Class of the outermost module, such as `__torch__.Net`.
    pub class_name: String,
    /// Every tensor that is an attribute of a module, under the dotted names of `state_dict()`. Which of them are
    /// parameters only the code says. What modules keep besides (numbers, texts, lists) is left out.
    pub state_dict: StateDict,
}

impl ScriptModule {
    /// Reads an archive; `None` for a torch file of something else.
    ///
    /// # Errors
    /// `ForbiddenGlobal` for anything that is not data; `BadFile` for damage.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        Self::read(FileBytes::open(path)?)
    }

    /// The same from bytes in memory.
    ///
    /// # Errors
    /// As of `open`.
    pub fn read(source: FileBytes) -> Result<Option<Self>> {
        Self::of(&Pickle::read(source, "torch file")?)
    }

    /// What a pickle holds, if that is a module of TorchScript.
    pub(super) fn of(pickle: &Pickle) -> Result<Option<Self>> {
        let Some((class_name, _)) = pickle.script_module(pickle.root()) else { return Ok(None) };
        let mut allowance = Allowance::new(pickle);
        let mut collected = Collected::new(pickle, &mut allowance);
        collected.script_module(pickle.root(), "", 0)?;
        Ok(Some(Self { class_name, state_dict: collected.tensors }))
    }
}

impl Collected<'_> {
    /// A module's tensors and those of the modules in it, in the order of its attributes.
    fn script_module(&mut self, value: Value, prefix: &str, depth: usize) -> Result<()> {
        self.enter(prefix, depth)?;
        let attributes = self.pickle.script_module(value).map_or(Value::None, |(_, attributes)| attributes);
        self.allowance.dict(self.pickle, attributes)?;
        for (name, value) in self.pickle.fields(attributes).ok_or_else(|| self.no_module(prefix))? {
            let name = format!("{prefix}{name}");
            if self.pickle.script_module(value).is_some() {
                self.script_module(value, &format!("{name}."), depth + 1)?;
            } else if let Some(view) = self.pickle.tensor(value)? {
                self.insert(name, &view)?;
            }
        }
        Ok(())
    }
}
