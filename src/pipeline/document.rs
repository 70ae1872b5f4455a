//! `Document`: a YAML file as a tree of values, each of which knows its place in the file.

use std::{collections::HashMap, fmt};

use indexmap::IndexSet;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Options, Spanned, options::DuplicateKeyPolicy};

use super::origin::Origin;

/// Nesting deeper than any pipeline; the parser's stack is ours.
const MAX_DEPTH: usize = 64;
/// Larger than any pipeline; a dataset given by mistake is not read as YAML.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// A YAML file as a tree of values, each of which knows its place in the file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// How the user calls the file.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
    /// Its values.
    pub(super) value: Value,
    places: HashMap<String, Place>,
    /// Values that do not come from the file, by the start of their pointers.
    origins: Vec<(String, Origin)>,
    /// Keys that stand twice in one mapping, and where the first one is.
    pub(super) duplicates: Vec<(Span, String, Span)>,
}

/// Where a key and its value are.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: Option<Span>,
    value: Span,
}

/// A stretch of one line. Lines and columns count characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

/// Why a text is not YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) span: Span,
    pub(super) problem: String,
}

impl Document {
    /// Reads YAML. Keys that stand twice are noted; the first one counts.
    pub(super) fn read(name: &str, text: String) -> Result<Self, SyntaxError> {
        let root: Spanned<Node> =
            serde_saphyr::from_str_with_options(&text, options()).map_err(|error| syntax_error(&error))?;
        let mut document = Self {
            name: name.to_owned(),
            text: String::new(),
            value: Value::Null,
            places: HashMap::new(),
            origins: Vec::new(),
            duplicates: Vec::new(),
        };
        document.value = document.place(root, None, String::new());
        document.text = text;
        Ok(document)
    }

    /// The same options for every reading of the same text.
    pub(super) fn typed<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, SyntaxError> {
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| syntax_error(&error))
    }

    /// Whether values were set from outside, so that the text no longer says all.
    pub(super) fn is_overlaid(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Notes that the value at `pointer` comes from elsewhere.
    pub(super) fn set_origin(&mut self, pointer: String, origin: Origin) {
        self.origins.push((pointer, origin));
    }

    /// Who changed the stage in which a dotted path leads; who changed anything, where nobody changed that stage.
    pub(super) fn changed_by(&self, path: &str) -> IndexSet<String> {
        let stage = |path: &str| path.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
        let here = |pointer: &str| stage(&dotted(pointer)) == stage(path);
        let by = |near: bool| {
            let origins = self.origins.iter().filter(|(pointer, _)| !near || here(pointer));
            origins.map(|(_, origin)| origin.to_string()).collect::<IndexSet<_>>()
        };
        Some(by(true)).filter(|near| !near.is_empty()).unwrap_or_else(|| by(false))
    }

    /// Where a value comes from that does not stand in the file, and the rest of `pointer` below what came from there.
    pub(super) fn origin<'a>(&self, pointer: &'a str) -> Option<(&Origin, &'a str)> {
        self.origins.iter().rev().find_map(|(set, origin)| {
            let rest = pointer.strip_prefix(set.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((origin, rest))
        })
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

    fn nearest(&self, pointer: &str) -> (Place, bool) {
        let mut at = pointer;
        loop {
            if let Some(place) = self.places.get(at) {
                return (*place, at.len() == pointer.len());
            }
            at = at.rfind('/').map_or("", |end| &at[..end]);
            if at.is_empty() && !self.places.contains_key("") {
                let start = Span { line: 1, column: 1, length: 1 };
                return (Place { key: None, value: start }, false);
            }
        }
    }

    fn place(&mut self, node: Spanned<Node>, key: Option<Span>, pointer: String) -> Value {
        let value = span(node.referenced);
        self.places.insert(pointer.clone(), Place { key, value });
        match node.value {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Number(number) => Value::Number(number),
            Node::Text(text) => Value::String(text),
            Node::List(items) => {
                let item = |(i, item)| self.place(item, None, format!("{pointer}/{i}"));
                Value::Array(items.into_iter().enumerate().map(item).collect())
            }
            Node::Map(entries) => {
                let mut map = Map::new();
                let mut firsts: HashMap<String, Span> = HashMap::new();
                for (key, value) in entries {
                    let at = span(key.referenced);
                    if let Some(first) = firsts.get(&key.value) {
                        self.duplicates.push((at, key.value, *first));
                        continue;
                    }
                    firsts.insert(key.value.clone(), at);
                    let child = format!("{pointer}/{}", escape(&key.value));
                    let value = self.place(value, Some(at), child);
                    map.insert(key.value, value);
                }
                Value::Object(map)
            }
        }
    }
}

/// A key as it stands in a JSON pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A part of a JSON pointer as it stands in the file.
pub(super) fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// A pointer as people write it: `stages.sid.distill.lr`.
pub(super) fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').split('/').map(unescape).collect::<Vec<_>>().join(".")
}

fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
    }
}

fn span(location: Location) -> Span {
    Span {
        line: usize::try_from(location.line()).unwrap_or(1).max(1),
        column: usize::try_from(location.column()).unwrap_or(1).max(1),
        length: usize::try_from(location.span().len()).unwrap_or(1).max(1),
    }
}

fn syntax_error(error: &serde_saphyr::Error) -> SyntaxError {
    let location = error.location();
    let plain = error.without_snippet().to_string();
    // The message repeats the position at its end or start; the caret says it better.
    let first = plain.lines().next().unwrap_or("not readable as YAML");
    let problem = first.split(" at line ").next().unwrap_or(first).split(": ").last().unwrap_or(first);
    let mut span = location.map_or(Span { line: 1, column: 1, length: 1 }, span);
    span.length = span.length.min(1);
    SyntaxError { span, problem: problem.trim().to_owned() }
}

/// YAML before it means anything.
#[derive(Debug)]
enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Node, E> {
        Err(E::custom(format!("{value} is too large a number")))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Node, E> {
        Err(E::custom(format!("{value} is too large a number")))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("a number has to be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let _level = Level::enter().ok_or_else(|| A::Error::custom("nested too deeply"))?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let _level = Level::enter().ok_or_else(|| A::Error::custom("nested too deeply"))?;
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

thread_local! {
    static DEPTH: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// One level of nesting, for as long as it lives.
struct Level;

impl Level {
    fn enter() -> Option<Self> {
        DEPTH.with(|depth| {
            (depth.get() < MAX_DEPTH).then(|| {
                depth.set(depth.get() + 1);
                Self
            })
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_places() {
        let text = "a: 1\nb:\n  c: [x, 2.5, 'y']\n  d: { e: true }\n";
        let document = Document::read("t.yaml", text.into()).unwrap();
        assert_eq!(
            document.value,
            serde_json::json!({"a": 1, "b": {"c": ["x", 2.5, "y"], "d": {"e": true}}})
        );
        assert_eq!(document.value_span("/b/c/1"), Span { line: 3, column: 10, length: 3 });
        assert_eq!(document.key_span("/b/d/e"), Span { line: 4, column: 8, length: 1 });
        assert_eq!(document.value_span("/b/d/e"), Span { line: 4, column: 11, length: 4 });
        assert_eq!(document.key_span("/b/d/absent/deep").line, 4);
    }

    #[test]
    fn a_key_that_stands_twice_is_noted() {
        let document = Document::read("t.yaml", "a: 1\nb: 2\na: 3\n".into()).unwrap();
        let (at, key, first) = &document.duplicates[0];
        assert_eq!((at.line, key.as_str(), first.line), (3, "a", 1));
        assert_eq!(document.value["a"], 1);
    }

    #[test]
    fn deep_nesting_is_refused_not_survived_by_luck() {
        let error = Document::read("t.yaml", "[".repeat(100_000)).unwrap_err();
        assert!(!error.problem.is_empty());
        let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert!(Document::read("t.yaml", nested).is_err());
    }

    #[test]
    fn no_and_on_are_words() {
        let document = Document::read("t.yaml", "a: no\nb: on\nc: true\n".into()).unwrap();
        assert_eq!(document.value, serde_json::json!({"a": "no", "b": "on", "c": true}));
    }
}
