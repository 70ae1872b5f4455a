//! A training's state as one set of named tensors: parts under prefixes, and the count of images.

use burn::tensor::TensorData;

use crate::{Error, Result, state_dict::StateDict};

/// Puts parts together: each tensor's name begins with its part's name and a slash; `nimg` stands beside them.
pub fn join<'a>(parts: impl IntoIterator<Item = (&'a str, StateDict)>, nimg: u64) -> StateDict {
    let named = |(part, state): (&'a str, StateDict)| {
        state.into_iter().map(move |(name, data)| (format!("{part}/{name}"), data))
    };
    let mut state: StateDict = parts.into_iter().flat_map(named).collect();
    state.insert("nimg".to_owned(), TensorData::new(vec![nimg as i64], [1]));
    state
}

/// One part of a state, without its prefix.
pub fn part(state: &StateDict, name: &str) -> StateDict {
    let prefix = format!("{name}/");
    let strip =
        |(name, data): (&String, &TensorData)| Some((name.strip_prefix(&prefix)?.to_owned(), data.clone()));
    state.iter().filter_map(strip).collect()
}

/// The count of images in a state; `origin` names the file in errors.
///
/// # Errors
/// There is none.
pub fn nimg(state: &StateDict, origin: &str) -> Result<u64> {
    let nimg = state.get("nimg").and_then(|data| data.iter::<i64>().next());
    let missing = || Error::MissingTensor { origin: origin.to_owned(), tensor: "nimg".to_owned() };
    Ok(nimg.ok_or_else(missing)? as u64)
}
