//! `Document`: a YAML file as a tree of values, each of which knows its place in the file.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use indexmap::IndexSet;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::{
    node::{self, Node, SyntaxError},
    origin::Origin,
    text::{Span, Text},
};

/// Larger than any pipeline; a dataset given by mistake is not read as YAML.
pub(super) const MAX_BYTES: u64 = 4 << 20;

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
    /// Keys that stand twice in one mapping, and where the first one is.
    pub(super) duplicates: Vec<(Span, String, Span)>,
}

/// Where a key and its value are, and what is in the value.
#[derive(Debug)]
struct Spans {
    key: Option<Span>,
    value: Span,
    inside: HashMap<String, Spans>,
}

impl Document {
    /// Reads YAML. Keys that stand twice are noted; the first one counts.
    pub(super) fn read(name: &str, text: Arc<Text>) -> Result<Self, SyntaxError> {
        let root: Spanned<Node> = node::read(&text)?;
        let mut duplicates = Vec::new();
        let (value, places) = place(root, None, &mut duplicates);
        let (origins, last_origins) = (Vec::new(), HashMap::new());
        Ok(Self {
            name: name.to_owned(),
            text,
            value,
            places: Arc::new(places),
            origins,
            last_origins,
            duplicates,
        })
    }

    /// The same text as a type.
    pub(super) fn typed<T: for<'de> Deserialize<'de>>(&self) -> Result<T, SyntaxError> {
        node::read(&self.text)
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

/// A value, and where it and everything in it is.
fn place(
    node: Spanned<Node>,
    key: Option<Span>,
    duplicates: &mut Vec<(Span, String, Span)>,
) -> (Value, Spans) {
    let mut inside = HashMap::new();
    let value = match node.value {
        Node::Null => Value::Null,
        Node::Bool(value) => Value::Bool(value),
        Node::Number(number) => Value::Number(number),
        Node::Text(text) => Value::String(text),
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (i, item) in items.into_iter().enumerate() {
                let (value, place) = place(item, None, duplicates);
                list.push(value);
                inside.insert(i.to_string(), place);
            }
            Value::Array(list)
        }
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let at = node::span(key.referenced);
                match inside.entry(key.value) {
                    Entry::Occupied(first) => {
                        let first_at = first.get().key.unwrap_or(Span::START);
                        duplicates.push((at, first.key().clone(), first_at));
                    }
                    Entry::Vacant(entry) => {
                        let (value, place) = place(value, Some(at), duplicates);
                        map.insert(entry.key().clone(), value);
                        entry.insert(place);
                    }
                }
            }
            Value::Object(map)
        }
    };
    (value, Spans { key, value: node::span(node.referenced), inside })
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
    fn a_key_that_stands_twice_is_noted() {
        let document = document("t.yaml", "a: 1\nb: 2\na: 3\n");
        let (at, key, first) = &document.duplicates[0];
        assert_eq!((at.line, key.as_str(), first.line), (3, "a", 1));
        assert_eq!(document.value["a"], 1);
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
