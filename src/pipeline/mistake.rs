//! `Mistake`: something wrong in a file, with its place, the line and a caret.

use std::fmt::Write as _;

use serde::Serialize;

use super::document::{Document, Span, dotted};
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
    /// At a place of a document.
    pub(super) fn new(document: &Document, span: Span, pointer: &str, message: impl Into<String>) -> Self {
        Self {
            origin: document.origin(pointer).map(str::to_owned),
            path: dotted(pointer),
            ..Self::in_text(&document.name, &document.text, span, message)
        }
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
            Some(source) if self.origin.is_none() => {
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
    let file = mistakes.first().map_or_else(String::new, |mistake| name(&mistake.file).into_owned());
    let _ = write!(rendered, "{count} mistake{} in {file}", if count == 1 { "" } else { "s" });
    Error::Mistakes { count, rendered }
}
