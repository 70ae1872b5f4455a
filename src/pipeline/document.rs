//! `Document`: a YAML file as a tree of values, each of which knows its place in the file.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use indexmap::IndexSet;
use serde_json::Value;

use super::{
    node::{self, SyntaxError},
    number,
    origin::Origin,
    reader::{Reader, Slip, Spans},
    text::{Span, Text},
};

/// Larger than any pipeline; a dataset given by mistake is not read as YAML.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// In a longer line nobody looks for what is written there, for each of its values.
const LONG: usize = 10_000;

/// A YAML file as a tree of values, each of which knows its place in the file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// How the user calls the file.
    pub(super) name: String,
    /// Its text.
    pub(super) text: Arc<Text>,
    /// Its values.
    pub(super) value: Value,
    places: Arc<Spans>,
    /// Values that do not come from the file, by their pointers; of several at one pointer the last counts.
    origins: Vec<(String, Origin)>,
    /// The last origin of every pointer.
    last_origins: HashMap<String, usize>,
    /// What is wrong with how it is written: keys that stand twice in one mapping, merges of what is no mapping.
    pub(super) slips: Vec<Slip>,
}

impl Document {
    /// Reads YAML. Keys that stand twice are noted; the first one counts. A number that cannot be kept as it is written is
    /// the text that stands there.
    pub(super) fn read(name: &str, text: Arc<Text>) -> Result<Self, SyntaxError> {
        let root = node::read(&text)?;
        let mut reader = Reader { text: &text, slips: Vec::new(), looked_at: 0 };
        let (value, places) = reader.place(root, None);
        let slips = reader.slips;
        let (origins, last_origins) = (Vec::new(), HashMap::new());
        Ok(Self {
            name: name.to_owned(),
            text,
            value,
            places: Arc::new(places),
            origins,
            last_origins,
            slips,
        })
    }

    /// A word or number as it is written, in one line of the file itself; nothing for others.
    pub(super) fn written(&self, pointer: &str) -> Option<String> {
        match self.nearest(pointer) {
            (place, true) if self.origin(pointer).is_none() => {
                let is_short = self.text.line(place.value.line).is_some_and(|line| line.len() <= LONG);
                is_short.then(|| number::written(&self.text, place.value)).flatten()
            }
            _ => None,
        }
    }

    /// Whether values were set from outside, so that the text no longer says all.
    pub(super) fn is_overlaid(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Notes that the value at `pointer` comes from elsewhere.
    pub(super) fn set_origin(&mut self, pointer: String, origin: Origin) {
        self.last_origins.insert(pointer.clone(), self.origins.len());
        self.origins.push((pointer, origin));
    }

    /// Who changed what: by the first two parts of the paths, such as `stages.sid`; and by nothing, all of them.
    pub(super) fn changes(&self) -> HashMap<String, IndexSet<String>> {
        let mut changes: HashMap<String, IndexSet<String>> = HashMap::new();
        for (pointer, origin) in &self.origins {
            for part in [stage_of(pointer), ""] {
                changes.entry(dotted(part)).or_default().insert(origin.to_string());
            }
        }
        changes
    }

    /// Where a value comes from that does not stand in the file, and the rest of `pointer` below what came from there.
    pub(super) fn origin<'a>(&self, pointer: &'a str) -> Option<(&Origin, &'a str)> {
        let above = pointer.match_indices('/').map(|(at, _)| at).chain([pointer.len()]);
        let known = above.filter_map(|end| Some((*self.last_origins.get(&pointer[..end])?, end)));
        let (last, end) = known.max()?;
        Some((&self.origins[last].1, &pointer[end..]))
    }

    /// Where a value is; where nothing is at `pointer`, where its nearest ancestor is.
    pub(super) fn value_span(&self, pointer: &str) -> Span {
        match self.nearest(pointer) {
            (place, true) => place.value,
            (place, false) => place.key.unwrap_or(place.value),
        }
    }

    /// Where a key is; a list's entry has none, so where it begins.
    pub(super) fn key_span(&self, pointer: &str) -> Span {
        let (place, _) = self.nearest(pointer);
        place.key.unwrap_or(place.value)
    }

    /// What is at a pointer, or nearest above it, and whether that is it.
    fn nearest(&self, pointer: &str) -> (&Spans, bool) {
        let mut at = &*self.places;
        for part in pointer.split('/').skip(1) {
            match at.inside.get(&*unescape(part)) {
                Some(inside) => at = inside,
                None => return (at, false),
            }
        }
        (at, true)
    }
}

/// The part of a pointer that leads to a stage: `/stages/sid` of `/stages/sid/distill/lr`.
pub(super) fn stage_of(pointer: &str) -> &str {
    pointer.match_indices('/').nth(2).map_or(pointer, |(end, _)| &pointer[..end])
}

/// A key as it stands in a JSON pointer.
pub(super) fn escape(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1").into() } else { key.into() }
}

/// A part of a JSON pointer as it stands in the file.
pub(super) fn unescape(part: &str) -> Cow<'_, str> {
    if part.contains('~') { part.replace("~1", "/").replace("~0", "~").into() } else { part.into() }
}

/// A pointer as people write it: `stages.sid.distill.lr`.
pub(super) fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').split('/').map(unescape).collect::<Vec<_>>().join(".")
}

/// A document of a text that is known to be YAML.
#[cfg(test)]
pub(super) fn document(name: &str, text: &str) -> Document {
    Document::read(name, Arc::new(Text::new(text.to_owned()))).expect("YAML")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_places() {
        let text = "a: 1\nb:\n  c: [x, 2.5, 'y']\n  d: { e: true }\n";
        let document = document("t.yaml", text);
        assert_eq!(
            document.value,
            serde_json::json!({"a": 1, "b": {"c": ["x", 2.5, "y"], "d": {"e": true}}})
        );
        assert_eq!(document.value_span("/b/c/1"), Span { line: 3, column: 10, length: 3 });
        assert_eq!(document.key_span("/b/d/e"), Span { line: 4, column: 8, length: 1 });
        assert_eq!(document.value_span("/b/d/e"), Span { line: 4, column: 11, length: 4 });
        assert_eq!(document.key_span("/b/d/absent/deep").line, 4);
        assert_eq!(document.value_span("/b/c/9"), Span { line: 3, column: 3, length: 1 });
    }

    #[test]
    fn deep_nesting_is_refused_not_survived_by_luck() {
        let read = |text: String| Document::read("t.yaml", Arc::new(Text::new(text)));
        assert!(!read("[".repeat(100_000)).unwrap_err().problem.is_empty());
        assert!(read(format!("{}1{}", "[".repeat(200), "]".repeat(200))).is_err());
    }

    #[test]
    fn no_and_on_are_words() {
        let document = document("t.yaml", "a: no\nb: on\nc: true\n");
        assert_eq!(document.value, serde_json::json!({"a": "no", "b": "on", "c": true}));
    }
}
