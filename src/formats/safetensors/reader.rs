//! Reads safetensors; a header that lies gets no memory for its lies.

use std::{fmt, path::Path};

use indexmap::IndexMap;
use safetensors::Dtype;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use super::{
    super::{
        elements,
        file_bytes::{FileBytes, Span},
        json_words,
        recognised::Kind,
    },
    FORMAT, METADATA, Metadata,
};
use crate::{Result, state_dict::StateDict};

/// The headers of the largest networks have some hundred kilobytes; the format's own limit is 100 MB.
const LONGEST_HEADER: u64 = 16 << 20;
/// The most dimensions that numpy and torch know.
const DIMENSIONS: usize = 64;

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
    let (infos, metadata, data) =
        read_header(source).map_err(|error| source.explained(FORMAT, &[Kind::Safetensors], error))?;
    let mut tensors = StateDict::with_capacity(infos.len());
    for (name, Info { dtype, shape, data_offsets: (start, end) }) in infos {
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
fn read_header(source: &FileBytes) -> Result<(IndexMap<String, Info>, Metadata, Span)> {
    let bad = |problem: String| source.bad(FORMAT, problem);
    let short = || bad("it is truncated: it ends inside its header: copy or download it again".to_owned());
    let len = source.read(source.span(0, 8).ok_or_else(short)?)?;
    let len = len.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
    if len > LONGEST_HEADER {
        let problem = format!("it begins with a header of {len} bytes, and {LONGEST_HEADER} is the limit");
        return Err(bad(format!("{problem}: it is damaged, or something else")));
    }
    let header = source.read(source.span(8, len).ok_or_else(short)?)?;
    let data = Span { start: 8 + len, len: source.len() - 8 - len };
    let header: Header = serde_json::from_slice(&header)
        .map_err(|e| bad(format!("its header is malformed: {}", json_words(&e))))?;
    let mut places: Vec<(usize, &str, &Info)> =
        header.tensors.iter().map(|(name, info)| (info.data_offsets.0, name.as_str(), info)).collect();
    places.sort_by_key(|(start, _, info)| (*start, info.data_offsets.1));
    let mut end = 0;
    for (_, name, info) in places {
        if info.data_offsets.0 != end || !fits(info) {
            return Err(bad(format!("tensor `{name}` does not fit its place: its header is malformed")));
        }
        end = info.data_offsets.1;
    }
    if end as u64 != data.len {
        let problem = format!("its tensors should take {end} bytes, but {} are there", data.len);
        return Err(bad(format!("{problem}: truncated or malformed; copy or download it again")));
    }
    Ok((header.tensors, header.metadata, data))
}

/// Whether a tensor's place is as long as its shape and type say.
fn fits(info: &Info) -> bool {
    let count = info.shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
    let bits = count.and_then(|count| count.checked_mul(info.dtype.bitsize()));
    let (start, end) = info.data_offsets;
    bits.is_some() && bits == end.checked_sub(start).and_then(|n| n.checked_mul(8))
}

/// A tensor as the header describes it.
#[derive(Deserialize)]
struct Info {
    dtype: Dtype,
    #[serde(deserialize_with = "extents")]
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// A shape, no longer than any is.
fn extents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    struct Extents;
    impl<'de> Visitor<'de> for Extents {
        type Value = Vec<usize>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a shape")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<usize>, A::Error> {
            let mut shape = Vec::new();
            while let Some(extent) = seq.next_element()? {
                if shape.len() == DIMENSIONS {
                    return Err(A::Error::custom(format!("a shape of more than {DIMENSIONS} dimensions")));
                }
                shape.push(extent);
            }
            Ok(shape)
        }
    }
    deserializer.deserialize_seq(Extents)
}

/// What the JSON says. It is never held as a tree of values, which would be many times as long.
struct Header {
    tensors: IndexMap<String, Info>,
    metadata: Metadata,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header { tensors: IndexMap::new(), metadata: Metadata::new() };
        while let Some(name) = map.next_key::<String>()? {
            let of = |e: A::Error| A::Error::custom(format!("entry `{name}`: {e}"));
            if name == METADATA {
                header.metadata = map.next_value().map_err(of)?;
            } else if header.tensors.contains_key(&name) {
                return Err(of(A::Error::custom("it is there twice")));
            } else {
                let info = map.next_value().map_err(of)?;
                header.tensors.insert(name, info);
            }
        }
        Ok(header)
    }
}
