//! Reads safetensors; a header that lies gets no memory for its lies.

use std::path::Path;

use indexmap::IndexMap;
use safetensors::tensor::{Metadata as Checked, TensorInfo};
use serde_json::Value;

use super::{
    super::{
        elements,
        file_bytes::{FileBytes, Span},
    },
    FORMAT, METADATA, Metadata,
};
use crate::{Result, state_dict::StateDict};

/// The format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// Reads all tensors, in the order of the header, and the metadata.
///
/// # Errors
/// `Io`, or `BadFile` for a header that lies about its data, or a type of number that is not known here.
pub fn read(path: &Path) -> Result<(StateDict, Metadata)> {
    read_source(&FileBytes::open(path)?)
}

/// The same from an open source.
///
/// # Errors
/// As of `read`.
pub fn read_source(source: &FileBytes) -> Result<(StateDict, Metadata)> {
    let (infos, metadata, data) = read_header(source)?;
    let mut tensors = StateDict::with_capacity(infos.len());
    for (name, TensorInfo { dtype, shape, data_offsets: (start, end) }) in infos {
        let unknown =
            || source.bad(FORMAT, format!("tensor `{name}` is of type `{dtype}`, which is not known here"));
        let kind = elements::of_safetensors(dtype).ok_or_else(unknown)?;
        let bytes = source.read(Span { start: data.start + start as u64, len: (end - start) as u64 })?;
        let made = elements::tensor(bytes, &shape, kind);
        let made = made.ok_or_else(|| source.bad(FORMAT, format!("tensor `{name}` is malformed")))?;
        tensors.insert(name, made);
    }
    Ok((tensors, metadata))
}

/// Eight bytes of length, then JSON, then the data: every shape fits its place, and the places fill the data.
fn read_header(source: &FileBytes) -> Result<(IndexMap<String, TensorInfo>, Metadata, Span)> {
    let bad = |problem: String| source.bad(FORMAT, problem);
    let short = || bad("it is truncated: it ends inside its header".to_owned());
    let len = source.read(source.span(0, 8).ok_or_else(short)?)?;
    let len = len.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
    if len > LONGEST_HEADER {
        return Err(bad(format!("a header of {len} bytes: it is damaged, or something else")));
    }
    let header = source.read(source.span(8, len).ok_or_else(short)?)?;
    let data = Span { start: 8 + len, len: source.len() - 8 - len };
    // Names are unique in what was parsed; a name that came twice leaves bytes that belong to no tensor.
    let mut parsed: IndexMap<String, Value> =
        serde_json::from_slice(&header).map_err(|e| bad(format!("its header is not JSON: {e}")))?;
    let malformed = |name: &str, e| bad(format!("header entry `{name}`: {e}"));
    let metadata = parsed.shift_remove(METADATA).map(serde_json::from_value).transpose();
    let metadata = metadata.map_err(|e| malformed(METADATA, e))?.unwrap_or_default();
    let infos = parsed.into_iter().map(|(name, info)| match serde_json::from_value::<TensorInfo>(info) {
        Ok(info) => Ok((name, info)),
        Err(e) => Err(malformed(&name, e)),
    });
    let infos: IndexMap<String, TensorInfo> = infos.collect::<Result<_>>()?;
    let mut placed: Vec<(String, TensorInfo)> = infos.clone().into_iter().collect();
    placed.sort_by_key(|(_, info)| info.data_offsets);
    let placed = Checked::new(None, placed).map_err(|e| bad(format!("its header is malformed: {e}")))?;
    if placed.data_len() as u64 != data.len {
        let (wanted, there) = (placed.data_len(), data.len);
        let problem = format!("its tensors should take {wanted} bytes, but {there} are there");
        return Err(bad(format!("{problem}: truncated or malformed")));
    }
    Ok((infos, metadata, data))
}
