//! `Node`: YAML as it is read, before it means anything.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{
    Error, Location, Options, Spanned,
    budget::BudgetBreach as Breach,
    options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy},
};

use super::{
    number::is_invisible,
    text::{Span, Text},
    yaml_words::in_words,
};

/// Nesting deeper than any pipeline; the parser's stack is ours.
const MAX_DEPTH: usize = 64;
/// More values than any pipeline has, aliases resolved.
const MAX_VALUES: usize = 1_000_000;
/// Longer than any key, and as much as YAML takes without a `?` before it.
const MAX_KEY: usize = 1024;

/// YAML before it means anything.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    /// What is no finite number.
    Endless,
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

/// Why a text is not YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) span: Span,
    pub(super) problem: String,
    pub(super) help: Option<&'static str>,
}

/// Reads YAML. Merges (`<<`) are keys as others are, still.
pub(super) fn read(text: &Text) -> Result<Spanned<Node>, SyntaxError> {
    serde_saphyr::from_str_with_options(text.as_str(), options()).map_err(|error| syntax_error(&error, text))
}

fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        budget: serde_saphyr::budget! { max_nodes: MAX_VALUES, max_events: 2 * MAX_VALUES },
    }
}

pub(super) fn span(location: Location) -> Span {
    Span {
        line: usize::try_from(location.line()).unwrap_or(1).max(1),
        column: usize::try_from(location.column()).unwrap_or(1).max(1),
        length: usize::try_from(location.span().len()).unwrap_or(1).max(1),
    }
}

fn syntax_error(error: &Error, text: &Text) -> SyntaxError {
    let span = error.location().map_or(Span::START, |location| Span { length: 1, ..span(location) });
    let mut error = error;
    while let Error::WithSnippet { error: inner, .. } | Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    let plain = error.to_string();
    let first = plain.lines().next().unwrap_or("not readable as YAML");
    if let Some(span) = tab(text, span.line, first) {
        let problem = "a tab indents this line".to_owned();
        return SyntaxError { span, problem, help: Some("indent with spaces: YAML takes no tabs there") };
    }
    if let Some(found) = strange(text, span.line) {
        return found;
    }
    let (problem, help) = match error {
        Error::Budget { breach, .. } => (too_much(breach).to_owned(), None),
        Error::MultipleDocuments { .. } => {
            ("a second document begins here: a file holds one".to_owned(), None)
        }
        _ => in_words(first),
    };
    SyntaxError { span, problem, help }
}

/// A character that only looks like one that YAML knows, in the line that cannot be read, or before another one above it.
fn strange(text: &Text, line: usize) -> Option<SyntaxError> {
    let of_line = |number: usize, is_all: bool| {
        let line = text.line(number)?;
        let indents = |c: char| c.is_whitespace() || is_invisible(c);
        let mut looked_at = line.chars().enumerate().take_while(|(_, c)| is_all || indents(*c));
        let (at, found) = looked_at.find(|(_, c)| is_invisible(*c) || *c == '\u{ff1a}')?;
        let span = Span { line: number, column: at + 1, length: 1 };
        let number = u32::from(found);
        let (problem, help) = match found {
            '\u{ff1a}' => {
                ("this is another character than `:`".to_owned(), "write `:`, with a blank behind it")
            }
            _ => {
                (format!("an invisible character, U+{number:04X}, stands here"), "write a blank, or nothing")
            }
        };
        Some(SyntaxError { span, problem, help: Some(help) })
    };
    of_line(line, true).or_else(|| (1..line).rev().find_map(|above| of_line(above, false)))
}

/// The tab that is to blame. A value that a tab continues is said to be wrong where the value begins.
fn tab(text: &Text, line: usize, problem: &str) -> Option<Span> {
    let here = text.indenting_tab(line);
    let below = || (line + 1..=text.count()).find_map(|line| text.indenting_tab(line));
    here.or_else(|| problem.contains("found a tab").then(below).flatten())
}

fn too_much(breach: &Breach) -> &'static str {
    match breach {
        Breach::Nodes { .. } | Breach::Events { .. } => {
            "more than a million values are too many for a pipeline"
        }
        Breach::Depth { .. } => "nested too deeply",
        Breach::Aliases { .. }
        | Breach::Anchors { .. }
        | Breach::AliasAnchorRatio { .. }
        | Breach::RecordedAnchorEvents { .. }
        | Breach::RecordedAnchorBytes { .. } => "anchors and aliases repeat too many values",
        Breach::MergeKeys { .. } => "too many merges (`<<`)",
        _ => "too much for a pipeline",
    }
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

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Number(Number::from_f64(value as f64).expect("finite")))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Number(Number::from_f64(value as f64).expect("finite")))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Number::from_f64(value).map_or(Node::Endless, Node::Number))
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
        while let Some((key, value)) = map.next_entry::<Spanned<String>, _>()? {
            if key.value.chars().nth(MAX_KEY).is_some() {
                return Err(A::Error::custom(format!("a key has more than {MAX_KEY} characters")));
            }
            entries.push((key, value));
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
