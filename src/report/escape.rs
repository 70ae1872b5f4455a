//! Escaping: whatever a user wrote stays text in every format.

use std::borrow::Cow;

/// Control characters become spaces, and characters that would reorder or hide their neighbours vanish: no format
/// has a use for them, and a terminal obeys them.
pub(super) fn plain(text: &str) -> String {
    let ranges =
        ['\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}', '\u{feff}'..='\u{feff}'];
    let invisible = |c: char| ranges.iter().any(|range| range.contains(&c));
    let printable = |c: char| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c };
    text.chars().filter(|c| !invisible(*c)).map(printable).collect()
}

/// Text of Markdown, also within table cells.
pub(super) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = plain(text);
    let mut rest = text.trim().chars().peekable();
    while let Some(c) = rest.next() {
        // Signs that mean something only at the start of a line, or after a number there.
        let lists = match c {
            '+' | '-' | '=' => out.is_empty(),
            '.' => {
                rest.peek().is_none_or(|next| next.is_whitespace()) && out.chars().all(|c| c.is_ascii_digit())
            }
            _ => false,
        };
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ if lists || r"\`*_{}[]()#!|~$".contains(c) => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// Text of LaTeX.
pub(super) fn latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    for c in plain(text).chars() {
        // Signs that join to another one: `--` to a dash, two quotes to one, `?` and a quote to a turned question mark.
        let joins = match c {
            '-' | '\'' | ',' => before == Some(c),
            '`' => matches!(before, Some('`' | '?' | '!')),
            _ => false,
        };
        if joins {
            out.push_str("{}");
        }
        before = Some(c);
        out.push_str(match c {
            '\\' => r"\textbackslash{}",
            '{' => r"\{",
            '}' => r"\}",
            '$' => r"\$",
            '&' => r"\&",
            '#' => r"\#",
            '%' => r"\%",
            '_' => r"\_",
            '^' => r"\textasciicircum{}",
            '~' => r"\textasciitilde{}",
            '<' => r"\textless{}",
            '>' => r"\textgreater{}",
            '|' => r"\textbar{}",
            '"' => r"\textquotedbl{}",
            // Belong to the end of the row above, where they begin a row.
            '[' if out.is_empty() => "{[}",
            '*' if out.is_empty() => "{*}",
            _ => {
                out.push(c);
                continue;
            }
        });
    }
    out
}

/// A field of CSV (RFC 4180). A field that a spreadsheet would take for a formula gets an apostrophe before it.
pub(super) fn csv(text: &str) -> String {
    let text = plain(text);
    let formula = text.trim_start().starts_with(['=', '+', '-', '@']) && text.parse::<f64>().is_err();
    let text = if formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text.as_str()) };
    if text.contains(['"', ',', ';']) || text.starts_with(' ') || text.ends_with(' ') {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.into_owned()
}

/// The target of a link: everything but plain letters, digits and a few signs percent-encoded.
pub(super) fn link(path: &str) -> String {
    let keep = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
    path.bytes().map(|b| if keep(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The part of a name that an anchor within a page may have: what is no plain letter, digit or `-` becomes `_`.
pub(super) fn anchor(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    name.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_inert() {
        assert_eq!(markdown("a | b\n# c"), r"a \| b \# c");
        assert_eq!(markdown("[x](javascript:y) <b>"), r"\[x\]\(javascript:y\) &lt;b&gt;");
        assert_eq!(markdown("- no list"), r"\- no list");
        assert_eq!(markdown("1. no list"), r"1\. no list");
        assert_eq!(markdown("alpha = 1.2, SiD-A"), "alpha = 1.2, SiD-A");
    }

    #[test]
    fn latex_is_inert() {
        assert_eq!(latex(r"100% \input{x}_$1"), r"100\% \textbackslash{}input\{x\}\_\$1");
        assert_eq!(latex("a--b ~^"), r"a-{}-b \textasciitilde{}\textasciicircum{}");
    }

    #[test]
    fn latex_breaks_only_what_would_join() {
        assert_eq!(latex("CIFAR-10, one-step, it's a `word`"), "CIFAR-10, one-step, it's a `word`");
        assert_eq!(latex("a---b ``c'' ?`d !`e ?'"), "a-{}-{}-b `{}`c'{}' ?{}`d !{}`e ?'");
        assert_eq!(latex("a,,b, c"), "a,{},b, c");
        assert_eq!([latex("[x] [y]"), latex("*a*")], ["{[}x] [y]", "{*}a*"]);
    }

    #[test]
    fn csv_is_quoted_and_no_formula() {
        assert_eq!(csv("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(csv("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(csv("-1.5"), "-1.5");
        assert_eq!(csv("two\nlines"), "two lines");
    }

    #[test]
    fn terminals_get_no_commands() {
        assert_eq!(plain("a\u{1b}]0;x\u{7}b\u{202e}c"), "a ]0;x bc");
    }
}
