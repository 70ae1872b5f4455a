//! Reads safetensors; a header that lies gets no memory for its lies.

use std::path::Path;

use burn::tensor::{DType, TensorData};
use indexmap::IndexMap;
use serde::Deserialize;

use super::{
    super::source::{Source, Span},
    FORMAT, Metadata, dtype,
};
use crate::{Result, state_dict::StateDict};

/// The format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;
const METADATA: &str = "__metadata__";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Reads all tensors, in the order of the header, and the metadata.
///
/// # Errors
/// `Io`, or `BadFile` for a header that lies about its data, or a type of number that is not known here.
pub fn read(path: &Path) -> Result<(StateDict, Metadata)> {
    read_source(&Source::open(path)?)
}

/// The same from an open source.
///
/// # Errors
/// As of `read`.
pub fn read_source(source: &Source) -> Result<(StateDict, Metadata)> {
    let (entries, metadata, data) = read_header(source)?;
    let mut tensors = StateDict::with_capacity(entries.len());
    let mut places = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let bad = |problem: &str| source.bad(FORMAT, format!("tensor `{name}` {problem}"));
        let kind = dtype::from_name(&entry.dtype);
        let kind =
            kind.ok_or_else(|| bad(&format!("is of type `{}`, which is not known here", entry.dtype)))?;
        let (start, end) = entry.data_offsets;
        let len = entry.shape.iter().try_fold(kind.size() as u64, |n, &d| n.checked_mul(d as u64));
        if len != end.checked_sub(start) || end > data.len {
            return Err(bad("has a shape that does not fit its place in the file"));
        }
        places.push((start, end));
        let mut bytes = source.read(Span { start: data.start + start, len: end - start })?;
        if matches!(kind, DType::Bool(_)) {
            bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
        }
        let made = TensorData::try_from_bytes_vec(bytes, entry.shape, kind);
        tensors.insert(name.clone(), made.map_err(|e| bad(&format!("is malformed: {e}")))?);
    }
    check_cover(source, places, data.len)?;
    Ok((tensors, metadata))
}

/// Tensors neither overlap nor leave bytes to nobody.
fn check_cover(source: &Source, mut places: Vec<(u64, u64)>, len: u64) -> Result<()> {
    places.sort_unstable();
    let end = places.iter().try_fold(0, |at, &(start, end)| (start == at).then_some(end));
    if end == Some(len) {
        return Ok(());
    }
    Err(source.bad(FORMAT, "its tensors overlap, or leave bytes that belong to none: truncated or malformed"))
}

/// Eight bytes of length, then JSON, then the data.
fn read_header(source: &Source) -> Result<(IndexMap<String, Entry>, Metadata, Span)> {
    let bad = |problem: String| source.bad(FORMAT, problem);
    let short = || bad("it is truncated: it ends inside its header".to_owned());
    let len = source.read(source.span(0, 8).ok_or_else(short)?)?;
    let len = len.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
    if len > LONGEST_HEADER {
        return Err(bad(format!("a header of {len} bytes: it is damaged, or something else")));
    }
    let header = source.read(source.span(8, len).ok_or_else(short)?)?;
    let data = Span { start: 8 + len, len: source.len() - 8 - len };
    let parsed: IndexMap<String, serde_json::Value> =
        serde_json::from_slice(&header).map_err(|e| bad(format!("its header is not JSON: {e}")))?;
    let (mut entries, mut metadata) = (IndexMap::with_capacity(parsed.len()), Metadata::new());
    // Names are unique in what was parsed; a name that came twice leaves bytes that belong to no tensor.
    for (name, value) in parsed {
        let malformed = |e: serde_json::Error| bad(format!("header entry `{name}`: {e}"));
        if name == METADATA {
            metadata = serde_json::from_value(value).map_err(malformed)?;
        } else {
            let entry: Entry = serde_json::from_value(value).map_err(malformed)?;
            entries.insert(name, entry);
        }
    }
    // Checked before any tensor is read: the sum of all lengths is then at most the file's.
    let sum = entries
        .values()
        .try_fold(0u64, |sum, e: &Entry| sum.checked_add(e.data_offsets.1.checked_sub(e.data_offsets.0)?));
    if sum != Some(data.len) {
        return Err(bad(format!(
            "its tensors should take {sum:?} bytes, but {} are there: truncated or malformed",
            data.len
        )));
    }
    Ok((entries, metadata, data))
}
