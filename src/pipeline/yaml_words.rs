//! What the parser of YAML has against a text, in the words of people who write pipelines.

type Help = Option<&'static str>;

/// Said of what no line of the table is about.
const OTHER: &str = "this cannot be understood as YAML";

/// Of the parser's sentences a piece that no other one has, what it means, and what to do.
const WORDS: [(&str, &str, Help); 51] = [
    ("simple key expected", "a `:` is missing", Some("write `key: value`, with a blank behind the `:`")),
    ("key is no longer valid", "a `:` is missing", Some("write `key: value` in one line")),
    (
        "mapping values are not allowed",
        "a `:` has no place here",
        Some("indent keys of one mapping alike; put text that holds `: ` in quotation marks"),
    ),
    ("mapping keys are not allowed", "a key has no place here", Some("indent the keys of one mapping alike")),
    (
        "did not find expected key",
        "a key of the mapping is expected here",
        Some("indent the keys of one mapping alike"),
    ),
    ("expected '-' indicator", "a `-` is expected here", Some("indent the entries of one list alike")),
    (
        "sequence entries are not allowed",
        "a `-` has no place here",
        Some("begin a list in a line of its own, below its key"),
    ),
    ("only valid inside a block", "a `-` has no place within brackets", Some("write `[a, b]`")),
    ("'-' must be followed", "a blank is missing behind the `-`", None),
    (
        "cannot start with '-'",
        "a `-` has no place here",
        Some("put text that begins with it in quotation marks"),
    ),
    ("':' must be followed", "a blank is missing behind the `:`", None),
    ("':' may not precede", "a blank is missing behind the `:`", None),
    ("placement of ':'", "a `:` has no place here", Some("put text that holds it in quotation marks")),
    ("expected ',' or '}'", "a `,` or `}` is missing before this", None),
    ("expected ',' or ']'", "a `,` or `]` is missing before this", None),
    ("unclosed bracket", "this bracket is never closed", None),
    ("mismatched bracket", "this bracket closes none that is open", None),
    ("misplaced bracket", "this bracket closes none that is open", None),
    ("unclosed quote", "the quotation mark is never closed", None),
    ("document indicator", "the quotation mark is never closed", None),
    (
        "trailing content after",
        "something follows the closing quotation mark",
        Some("put all of it into the quotation marks"),
    ),
    (
        "unknown escape character",
        "a `\\` in double quotation marks begins no sign that YAML knows",
        Some("write `\\\\`, or use single quotation marks"),
    ),
    ("hexadecimal number", "the digits behind this `\\` are no character", None),
    ("surrogate", "the digits behind this `\\` are no character", None),
    ("Unicode character escape", "the digits behind this `\\` are no character", None),
    (
        "BOM must not appear",
        "a byte order mark stands within the file",
        Some("remove it: files were joined here"),
    ),
    ("tabs disallowed", "a tab has no place here", Some("use blanks")),
    ("tab cannot be used", "a tab has no place here", Some("use blanks")),
    ("cannot start with a tab", "a tab has no place here", Some("use blanks")),
    ("found a tab", "a tab has no place here", Some("use blanks")),
    ("comments must be separated", "a blank is missing before the `#`", None),
    ("comment intercepting", "a comment interrupts the text", Some("put the comment before or behind it")),
    ("expected whitespace", "a blank is missing", None),
    ("indentation", "this line is indented wrongly", Some("indent what belongs together alike, with blanks")),
    (
        "wrongly indented",
        "this line is indented wrongly",
        Some("indent what belongs together alike, with blanks"),
    ),
    ("nknown anchor", "no `&` before this gives that name to a value", Some("`&name` comes before `*name`")),
    ("recursive references", "a value would hold itself", None),
    (
        "anchor or alias",
        "a name is missing behind `&` or `*`",
        Some("put text that begins with it in quotation marks"),
    ),
    ("recursion limit", "nested too deeply", None),
    ("stack depth exceeded", "nested too deeply", None),
    ("alias", "anchors and aliases repeat too many values", None),
    (
        "irective",
        "a `%` begins no line that YAML knows",
        Some("put text that begins with it in quotation marks"),
    ),
    ("document end marker", "something follows the `...` that ends the file", None),
    ("boolean", "this has to be `true` or `false`", None),
    ("EOF", "the file ends too early", None),
    ("eof", "the file ends too early", None),
    ("unexpected end", "the file ends too early", None),
    ("nested too deeply", "nested too deeply", None),
    ("characters", "a key has more than 1024 characters", None),
    ("expected node content", "a value is missing here", None),
    ("null into string", "a key is empty", None),
];

/// A sentence of the parser, said anew: what is wrong, and what to do.
pub(super) fn in_words(sentence: &str) -> (String, Help) {
    if let Some(rest) = sentence.strip_prefix("unexpected character: `") {
        return character(rest.split('\'').next().unwrap_or_default());
    }
    if sentence.contains("expected string scalar")
        || sentence.contains("into string") && !sentence.contains("null")
    {
        return (
            "a key is a word, and no list or mapping".to_owned(),
            Some("`{{ }}` is filled in by other programs: put the value in its place"),
        );
    }
    if sentence.contains(" tag") || sentence.contains("TAG") || sentence.contains("!!") {
        return (
            "a `!` begins no type that the language knows".to_owned(),
            Some("put text that begins with it in quotation marks"),
        );
    }
    let known = WORDS.iter().find(|(piece, ..)| sentence.contains(piece));
    known.map_or_else(|| (OTHER.to_owned(), None), |(_, problem, help)| ((*problem).to_owned(), *help))
}

/// A character that nothing begins with.
fn character(written: &str) -> (String, Help) {
    let mut characters = written.chars();
    match (characters.next(), characters.next()) {
        (Some('`'), None) => (
            "no value begins with a backtick".to_owned(),
            Some("put text that begins with it in quotation marks"),
        ),
        (Some(one), None) => {
            (format!("no value begins with `{one}`"), Some("put text that begins with it in quotation marks"))
        }
        _ => {
            let number = written.trim_matches(|c: char| !c.is_ascii_hexdigit());
            (format!("the character U+{:0>4} has no place in YAML", number.to_uppercase()), Some("remove it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{node::read, text::Text};

    #[test]
    fn what_is_no_yaml_is_said_in_words_that_help() {
        for (text, line, words) in [
            ("a: @b", 1, "no value begins with `@`"),
            ("a: %b", 1, "no value begins with `%`"),
            ("a: b: c", 1, "a `:` has no place here"),
            ("a: 1\nb:2\n", 2, "a `:` is missing"),
            ("a: 1\nb\n", 2, "a `:` is missing"),
            ("a: [1, 2", 1, "never closed"),
            ("a: {b: 1", 1, "never closed"),
            ("a: [1, 2}", 1, "closes none"),
            ("a: \"x", 1, "never closed"),
            ("a: \"C:\\data\"", 1, "no sign that YAML knows"),
            ("a: \"x\" y", 1, "follows the closing quotation mark"),
            ("a: 1\n  b: 2\n", 2, "has no place"),
            ("a: *b", 1, "gives that name"),
            ("a: &b [*b]", 1, "hold itself"),
            ("~: 1", 1, "a key is empty"),
            ("? [a]\n: 1", 1, "a key is a word"),
            ("a: {{ b }}", 1, "a key is a word"),
            ("a: !!bool yes", 1, "`true` or `false`"),
            ("a: 1\n---\nb: 1\n", 3, "a second document"),
            ("a: b\u{c}", 1, "U+000C"),
            ("x: 1\na:\u{a0}1", 2, "U+00A0"),
            ("x: 1\na\u{ff1a}1", 2, "another character than `:`"),
            ("a:\n\u{200b} b: 1\n c: 1\n", 2, "U+200B"),
            ("a:\n\tb: 1", 2, "a tab indents this line"),
        ] {
            let error = read(&Text::new(text.to_owned())).err().unwrap_or_else(|| panic!("{text} is read"));
            assert!(error.problem.contains(words), "{text:?}: {}", error.problem);
            assert_eq!(error.span.line, line, "{text:?}: {}", error.problem);
        }
    }
}
