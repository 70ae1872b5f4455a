//! `Text`: what a file holds, line by line.

/// A file's text, any line of which is found at once.
#[derive(Clone, Debug)]
pub(super) struct Text {
    text: String,
    /// Where lines begin, in bytes.
    lines: Vec<usize>,
}

/// A stretch of one line. Lines and columns count characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

impl Span {
    /// Where a file begins.
    pub(super) const START: Self = Self { line: 1, column: 1, length: 1 };
}

impl Text {
    /// The lines of a text, which end as YAML has it: with `\n`, `\r\n` or `\r`.
    pub(super) fn new(text: String) -> Self {
        let bytes = text.as_bytes();
        let ends = |i: &usize| bytes[*i] == b'\n' || (bytes[*i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
        let lines = std::iter::once(0).chain((0..bytes.len()).filter(ends).map(|i| i + 1)).collect();
        Self { text, lines }
    }

    /// All of it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// A line without its end, counting from 1; `None` behind the last.
    pub(super) fn line(&self, number: usize) -> Option<&str> {
        let start = *self.lines.get(number.checked_sub(1)?)?;
        let end = self.lines.get(number).copied().unwrap_or(self.text.len());
        (start < self.text.len()).then(|| self.text[start..end].trim_end_matches(['\n', '\r']))
    }

    /// The tab that indents a line.
    pub(super) fn indenting_tab(&self, number: usize) -> Option<Span> {
        let indent = self.line(number)?.chars().take_while(|c| c.is_whitespace());
        let column = indent.take_while(|c| *c != '\t').count() + 1;
        let is_tab = self.line(number)?.chars().nth(column - 1) == Some('\t');
        is_tab.then_some(Span { line: number, column, length: 1 })
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_yaml_has_it() {
        let text = Text::new("a\r\n\n \tb\rc\n".to_owned());
        let lines: Vec<_> = (0..=6).map(|i| text.line(i)).collect();
        assert_eq!(lines, [None, Some("a"), Some(""), Some(" \tb"), Some("c"), None, None]);
        assert_eq!(text.indenting_tab(3), Some(Span { line: 3, column: 2, length: 1 }));
        assert_eq!(text.indenting_tab(1), None);
        assert_eq!(Text::new(String::new()).line(1), None);
    }
}
