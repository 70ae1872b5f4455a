//! `Mistake`: something wrong in a file, with its place, the line and a caret.

use std::{borrow::Cow, cmp::Ordering, fmt::Write as _, sync::Arc};

use serde::Serialize;

use super::{
    document::{Document, dotted},
    origin::Origin,
    text::{Span, Text},
};
use crate::{
    Error, secret,
    terminal::{self, name},
};

/// More mistakes than anybody reads.
const MAX_SHOWN: usize = 200;
/// Characters of a long line that are shown before and behind the place.
const AROUND: usize = 100;

/// Something wrong in a file.
#[derive(Clone, Debug, Serialize)]
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
    /// The file, where the line stands in one.
    #[serde(skip)]
    text: Option<Arc<Text>>,
}

impl Ord for Mistake {
    /// By place, then by words. Files are not compared by what they hold.
    fn cmp(&self, other: &Self) -> Ordering {
        let place = (&self.file, self.line, self.column, self.length);
        let words = (&self.path, &self.message, &self.help, &self.origin);
        place
            .cmp(&(&other.file, other.line, other.column, other.length))
            .then_with(|| words.cmp(&(&other.path, &other.message, &other.help, &other.origin)))
    }
}

impl PartialOrd for Mistake {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Mistake {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Mistake {}

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
        let nowhere = Arc::new(Text::new(String::new()));
        let origin = Some(origin.to_owned());
        Self { origin, ..Self::in_text("the command line", &nowhere, Span::START, message) }
    }

    /// At a place of a text that could not be read as a document.
    pub(super) fn in_text(name: &str, text: &Arc<Text>, span: Span, message: impl Into<String>) -> Self {
        Self {
            file: name.to_owned(),
            line: span.line,
            column: span.column,
            length: span.length,
            path: String::new(),
            message: message.into(),
            help: None,
            origin: None,
            text: text.line(span.line).is_some().then(|| Arc::clone(text)),
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
        match self.text.as_ref().and_then(|text| text.line(self.line)) {
            Some(line) => {
                let (shown, column) = excerpt(line.trim_end(), self.column);
                let number = self.line.to_string();
                let margin = " ".repeat(number.len());
                // A tab keeps its width only if it stays a tab.
                let pad: String =
                    shown.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                let width = shown.chars().count();
                let carets = "^".repeat(self.length.min((width + 1).saturating_sub(column)).max(1));
                let _ = writeln!(text, " {margin} |\n {number} | {shown}");
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

/// A line of the file, or what is around a column of a long one, and where that column is then: what a terminal would
/// obey is a sign, and credentials are covered.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let covered = if line.contains("://") { secret::covered(line) } else { Cow::Borrowed(line) };
    let show = |c: char| if c != '\t' && terminal::is_obeyed(c) { '\u{fffd}' } else { c };
    let from = if line.len() > 2 * AROUND { (column - 1).saturating_sub(AROUND) } else { 0 };
    let to = if line.len() > 2 * AROUND { column + AROUND } else { usize::MAX };
    let mut rest = covered.chars().map(show).skip(from);
    let mut shown = if from > 0 { "... ".to_owned() } else { String::new() };
    let before = shown.len();
    shown.extend(rest.by_ref().take(to - from));
    if rest.next().is_some() {
        shown += " ...";
    }
    (shown, column - from + before)
}

/// All mistakes of a file as one error, in the order of their places.
pub fn as_error(mut mistakes: Vec<Mistake>) -> Error {
    mistakes.sort();
    mistakes.dedup();
    let count = mistakes.len();
    let shown = mistakes.iter().take(MAX_SHOWN);
    let mut rendered: String = shown.map(|mistake| mistake.render() + "\n").collect();
    if count > MAX_SHOWN {
        let _ = writeln!(rendered, "... and {} more\n", count - MAX_SHOWN);
    }
    let mut files: Vec<_> = mistakes.iter().map(|mistake| name(&mistake.file)).collect();
    files.dedup();
    let _ =
        write!(rendered, "{count} mistake{} in {}", if count == 1 { "" } else { "s" }, files.join(" and "));
    let as_json = |mistake| serde_json::to_value(mistake).expect("a mistake is plain data");
    Error::Mistakes { mistakes: mistakes.iter().take(MAX_SHOWN).map(as_json).collect(), rendered }
}
