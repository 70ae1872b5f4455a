//! `Mistake`: something wrong in a file, with its place, the line and a caret.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    document::{Document, Span, dotted},
    origin::Origin,
};
use crate::{
    Error, secret,
    terminal::{self, name},
};

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mistake {
    /// How the user calls the file.
    pub file: String,
    /// Counts from 1.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
    /// Characters that the carets underline.
    #[serde(skip)]
    length: usize,
    /// The dotted path of the value, empty for syntax errors.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Where the value comes from when it is not in the file: `--set ...`.
    pub origin: Option<String>,
    /// The line of the file.
    #[serde(skip)]
    source: Option<String>,
}

impl Mistake {
    /// At a value of a document, in whichever file that value stands.
    pub(super) fn at_value(document: &Document, pointer: &str, message: impl Into<String>) -> Self {
        Self::at(document, pointer, message.into(), Document::value_span)
    }

    /// At a key of a document, in whichever file that key stands.
    pub(super) fn at_key(document: &Document, pointer: &str, message: impl Into<String>) -> Self {
        Self::at(document, pointer, message.into(), Document::key_span)
    }

    fn at(document: &Document, pointer: &str, message: String, span: fn(&Document, &str) -> Span) -> Self {
        let path = dotted(pointer);
        match document.origin(pointer) {
            None => {
                let span = span(document, pointer);
                Self { path, ..Self::in_text(&document.name, &document.text, span, message) }
            }
            Some((Origin::Typed(origin), _)) => Self { path, ..Self::typed(origin, message) },
            Some((Origin::Written(place), rest)) => {
                let there = format!("{}{rest}", place.value);
                // An axis says its values away from its paths.
                let beside = place.path == place.value;
                let message = if beside { message } else { format!("in `{path}`: {message}") };
                Self { path, ..Self::at(&place.document, &there, message, span) }
            }
        }
    }

    /// At a path to which a value cannot be put.
    pub(super) fn at_path(origin: &Origin, message: String) -> Self {
        match origin {
            Origin::Typed(origin) => Self::typed(origin, message),
            Origin::Written(place) => Self::at_key(&place.document, &place.path, message),
        }
    }

    fn typed(origin: &str, message: String) -> Self {
        let start = Span { line: 1, column: 1, length: 1 };
        Self { origin: Some(origin.to_owned()), ..Self::in_text("the command line", "", start, message) }
    }

    /// At a place of a text that could not be read as a document.
    pub(super) fn in_text(name: &str, text: &str, span: Span, message: impl Into<String>) -> Self {
        let source = text.lines().nth(span.line - 1).map(str::to_owned);
        let width = source.as_deref().unwrap_or_default().trim_end().chars().count();
        let length = span.length.min((width + 1).saturating_sub(span.column)).max(1);
        Self {
            file: name.to_owned(),
            line: span.line,
            column: span.column,
            length,
            path: String::new(),
            message: message.into(),
            help: None,
            origin: None,
            source,
        }
    }

    /// With advice.
    #[must_use]
    pub(super) fn help(mut self, help: Option<impl Into<String>>) -> Self {
        self.help = help.map(Into::into);
        self
    }

    /// For a terminal: place and sentence, then the line with carets and the advice.
    pub fn render(&self) -> String {
        let mut text = match &self.origin {
            Some(origin) => format!("{}: {}: {}\n", name(&self.file), name(origin), name(&self.message)),
            None => format!("{}:{}:{}: {}\n", name(&self.file), self.line, self.column, name(&self.message)),
        };
        let help = name(self.help.as_deref().unwrap_or_default());
        match &self.source {
            Some(source) => {
                let source = shown(source);
                let number = self.line.to_string();
                let margin = " ".repeat(number.len());
                // A tab keeps its width only if it stays a tab.
                let pad: String = source
                    .chars()
                    .take(self.column - 1)
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                let carets = "^".repeat(self.length);
                let _ = writeln!(text, " {margin} |\n {number} | {}", source.trim_end());
                let _ = writeln!(text, "{}", format!(" {margin} | {pad}{carets} {help}").trim_end());
            }
            _ if help.is_empty() => {}
            _ => {
                let _ = writeln!(text, "  {help}");
            }
        }
        text
    }
}

/// A line of the file as wide as it is: what a terminal would obey is a sign, and credentials are covered.
fn shown(source: &str) -> String {
    let covered = secret::covered(source);
    covered.chars().map(|c| if c != '\t' && terminal::is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// All mistakes of a file as one error, in the order of their places.
pub fn as_error(mut mistakes: Vec<Mistake>) -> Error {
    mistakes.sort();
    mistakes.dedup();
    let count = mistakes.len();
    let mut rendered: String = mistakes.iter().map(|mistake| mistake.render() + "\n").collect();
    let mut files: Vec<_> = mistakes.iter().map(|mistake| name(&mistake.file)).collect();
    files.dedup();
    let _ =
        write!(rendered, "{count} mistake{} in {}", if count == 1 { "" } else { "s" }, files.join(" and "));
    Error::Mistakes { count, rendered }
}
