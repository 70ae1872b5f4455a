//! A state dict on disk: `.safetensors`, or torch's `.pt` and `.pth`, which may hold a module of TorchScript.

use std::path::Path;

use super::{script_module::ScriptModule, torch_file::TorchFile, wrapped::unwrapped};
use crate::{
    Error, Result,
    formats::{FileBytes, Kind, safetensors},
    state_dict::StateDict,
    terminal,
};

/// Reads named tensors, whatever the file is called.
///
/// # Errors
/// `Io`, `BadFile` where it holds anything but tensors, `ForbiddenGlobal` where it asks for code.
pub fn read_state_dict_file(path: &Path) -> Result<StateDict> {
    let source = FileBytes::open(path)?;
    let named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
    if named || source.recognised()?.is_some_and(|found| found.kind == Kind::Safetensors) {
        return Ok(unwrapped(safetensors::read_source(&source)?.0, &format!("`{}`", terminal::path(path))));
    }
    match TorchFile::read(source)? {
        TorchFile::StateDict(state) | TorchFile::Script(ScriptModule { state_dict: state, .. }) => Ok(state),
        TorchFile::Snapshot(_) | TorchFile::TrainingState(_) => {
            Err(Error::bad_file(path, "file of weights", "it holds networks for images"))
        }
    }
}
