//! A state dict on disk: `.safetensors`, or torch's `.pt` and `.pth`, which may hold a module of TorchScript.

use std::path::Path;

use super::{
    modules::{Allowance, read_state_dict},
    script_module::ScriptModule,
};
use crate::{
    Result,
    formats::{FileBytes, pickle::Pickle, safetensors},
    state_dict::StateDict,
};

/// Reads named tensors; a `.safetensors` file is known by its name, a torch file by its first bytes.
///
/// # Errors
/// `Io`, `BadFile` where it holds anything but tensors, `ForbiddenGlobal` where it asks for code.
pub fn read_state_dict_file(path: &Path) -> Result<StateDict> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
        return Ok(safetensors::read(path)?.0);
    }
    let pickle = Pickle::read(FileBytes::open(path)?, "file of weights")?;
    if let Some(module) = ScriptModule::of(&pickle)? {
        return Ok(module.state_dict);
    }
    let root = pickle.root();
    read_state_dict(&pickle, root, &mut Allowance::new(&pickle))
}
