//! `Reader`: YAML as it is read becomes values that know their places. Merges are made here.

use std::collections::{HashMap, hash_map::Entry};

use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use super::{
    node::{self, Node},
    number,
    text::{Span, Text},
};

/// Something wrong with how a file is written, whatever it means.
#[derive(Clone, Debug)]
pub(super) struct Slip {
    pub(super) span: Span,
    pub(super) problem: String,
    pub(super) help: String,
}

/// Where a key and its value are, and what is in the value.
#[derive(Debug)]
pub(super) struct Spans {
    pub(super) key: Option<Span>,
    pub(super) value: Span,
    pub(super) inside: HashMap<String, Spans>,
}

/// The key that takes over what other mappings have.
const MERGE: &str = "<<";

/// As many bytes as are looked through in a moment.
const MOST_LOOKED_AT: usize = 500 << 20;

/// Turns nodes into values.
pub(super) struct Reader<'a> {
    pub(super) text: &'a Text,
    /// What is wrong with how it is written.
    pub(super) slips: Vec<Slip>,
    /// Bytes of lines that were looked through so far.
    pub(super) looked_at: usize,
}

impl Reader<'_> {
    /// A value, and where it and everything in it is.
    pub(super) fn place(&mut self, node: Spanned<Node>, key: Option<Span>) -> (Value, Spans) {
        let mut inside = HashMap::new();
        let defined = node::span(node.defined);
        let value = match node.value {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Number(number) => self.number(Some(number), defined),
            Node::Endless => self.number(None, defined),
            Node::Text(text) => Value::String(text),
            Node::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (i, item) in items.into_iter().enumerate() {
                    let (value, place) = self.place(item, None);
                    list.push(value);
                    inside.insert(i.to_string(), place);
                }
                Value::Array(list)
            }
            Node::Map(entries) => {
                let mut map = Map::new();
                let mut merged: Option<(Span, Value, Spans)> = None;
                for (key, value) in entries {
                    let at = node::span(key.referenced);
                    let is_merge = key.value == MERGE
                        && self.written(node::span(key.defined)).is_none_or(|written| written == MERGE);
                    if is_merge {
                        match &merged {
                            Some((first, ..)) => self.twice(at, MERGE, *first),
                            None => {
                                let (value, places) = self.place(value, Some(at));
                                merged = Some((at, value, places));
                            }
                        }
                        continue;
                    }
                    match inside.entry(key.value) {
                        Entry::Occupied(first) => {
                            let first_at = first.get().key.unwrap_or(Span::START);
                            self.twice(at, first.key(), first_at);
                        }
                        Entry::Vacant(entry) => {
                            let (value, place) = self.place(value, Some(at));
                            map.insert(entry.key().clone(), value);
                            entry.insert(place);
                        }
                    }
                }
                if let Some((_, value, places)) = merged {
                    self.merge(value, places, &mut map, &mut inside);
                }
                Value::Object(map)
            }
        };
        (value, Spans { key, value: node::span(node.referenced), inside })
    }

    /// What is written at a place; nothing once so much was looked through as no pipeline needs, which has no lines of megabytes.
    fn written(&mut self, at: Span) -> Option<String> {
        self.looked_at += self.text.line(at.line).map_or(0, str::len);
        (self.looked_at < MOST_LOOKED_AT).then(|| number::written(self.text, at)).flatten()
    }

    fn number(&mut self, number: Option<Number>, at: Span) -> Value {
        let value = number.as_ref().and_then(Number::as_f64).unwrap_or(f64::INFINITY);
        let written = self.written(at).unwrap_or_else(|| value.to_string());
        match number.filter(|_| number::is_kept(&written, value)) {
            Some(number) => Value::Number(number),
            None => Value::String(written),
        }
    }

    /// Takes over the keys of another mapping, or of several, that a mapping does not have itself; of two the first counts.
    fn merge(
        &mut self,
        value: Value,
        mut places: Spans,
        map: &mut Map<String, Value>,
        inside: &mut HashMap<String, Spans>,
    ) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    if let (Entry::Vacant(entry), Some(place)) =
                        (inside.entry(key.clone()), places.inside.remove(&key))
                    {
                        entry.insert(place);
                        map.insert(key, value);
                    }
                }
            }
            Value::Array(list) if list.iter().all(Value::is_object) => {
                for (i, value) in list.into_iter().enumerate() {
                    if let Some(places) = places.inside.remove(&i.to_string()) {
                        self.merge(value, places, map, inside);
                    }
                }
            }
            _ => self.slips.push(Slip {
                span: places.value,
                problem: format!("`{MERGE}` takes over the keys of a mapping, and this is none"),
                help: format!("write `{MERGE}: *name`, or `{MERGE}: [*one, *other]`"),
            }),
        }
    }

    fn twice(&mut self, span: Span, key: &str, first: Span) {
        let mut help = format!("the first is in line {}", first.line);
        if key == MERGE {
            help = format!("{help}: write `{MERGE}: [*one, *other]`");
        }
        self.slips.push(Slip { span, problem: format!("`{key}` stands twice"), help });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::document::document;

    fn said(text: &str) -> Vec<(usize, String)> {
        let document = document("t.yaml", text);
        document.slips.iter().map(|slip| (slip.span.line, slip.problem.clone())).collect()
    }

    #[test]
    fn a_key_that_stands_twice_is_noted() {
        assert_eq!(said("a: 1\nb: 2\na: 3\n"), [(3, "`a` stands twice".to_owned())]);
        assert_eq!(document("t.yaml", "a: 1\na: 3\n").value["a"], 1);
    }

    #[test]
    fn merges_take_over_what_is_not_written() {
        let text = "a: &a { x: 1, y: 2 }\nb: &b { y: 3, z: 4 }\n";
        let value = |more: &str| document("t.yaml", &format!("{text}c:\n{more}")).value["c"].clone();
        assert_eq!(value("  <<: *a\n  y: 9\n"), json!({ "x": 1, "y": 9 }));
        assert_eq!(value("  y: 9\n  <<: [*a, *b]\n"), json!({ "x": 1, "y": 9, "z": 4 }));
        assert_eq!(value("  <<: [{ y: 5 }, *a, *b]\n"), json!({ "x": 1, "y": 5, "z": 4 }));
        assert_eq!(value("  <<: { <<: *a, z: 7 }\n"), json!({ "x": 1, "y": 2, "z": 7 }));
        assert_eq!(value("  \"<<\": 1\n"), json!({ "<<": 1 }));
        assert_eq!(said(&format!("{text}c:\n  <<: *a\n  <<: *b\n")), [(5, "`<<` stands twice".to_owned())]);
        for wrong in ["3", "[1]", "[*a, 2]", "~"] {
            let said = said(&format!("{text}c:\n  <<: {wrong}\n"));
            assert!(said.len() == 1 && said[0].1.contains("takes over"), "{wrong}: {said:?}");
        }
    }

    #[test]
    fn a_number_that_cannot_be_kept_is_the_text_that_stands_there() {
        let text = "a: 1e-400\nb: &b 1e400\nc: *b\nd: 010\ne: [0b10, 0x10, 0o10]\nf: 1_000\ng: .inf\nh: 2e-310\ni: -0\n";
        let truth = json!({
            "a": "1e-400", "b": "1e400", "c": "1e400", "d": "010", "e": ["0b10", 16, 8], "f": "1_000", "g": ".inf",
            "h": "2e-310", "i": 0,
        });
        assert_eq!(document("t.yaml", text).value, truth);
    }
}
