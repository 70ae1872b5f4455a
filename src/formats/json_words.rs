//! What the parser of JSON has against a text, in the words of people who write it.

/// Of what stands in a sentence of serde's, what is said instead; the first that fits.
const WANTED: [(&str, &str); 13] = [
    ("usize", "a whole number from 0"),
    ("u8", "a whole number from 0"),
    ("u16", "a whole number from 0"),
    ("u32", "a whole number from 0"),
    ("u64", "a whole number from 0"),
    ("i32", "a whole number"),
    ("i64", "a whole number"),
    ("f32", "a number"),
    ("f64", "a number"),
    ("a boolean", "`true` or `false`"),
    ("a sequence", "a list"),
    ("a map", "an object"),
    ("string or map", "a name or an object"),
];
const FOUND: [(&str, &str); 8] = [
    ("invalid type: ", "found "),
    ("invalid value: ", "found "),
    ("floating point ", "the number "),
    ("integer ", "the number "),
    ("boolean ", ""),
    ("string ", ""),
    ("sequence", "a list"),
    ("map", "an object"),
];
const WHOLE: [(&str, &str); 6] = [
    ("unknown variant", "unknown name"),
    ("unknown field", "unknown name"),
    ("missing field", "missing:"),
    ("duplicate field", "it stands there twice:"),
    ("EOF while parsing", "the text ends too early, within"),
    ("recursion limit exceeded", "nested too deeply"),
];

/// What is wrong, and where in the text if that is known.
pub fn json_words(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let (said, place) = match said.rfind(" at line ") {
        Some(at) => said.split_at(at),
        None => (said.as_str(), ""),
    };
    let what = match said.split_once(", expected ") {
        Some((found, wanted)) if found.starts_with("invalid ") => {
            format!("{}, wanted {}", replaced(found, &FOUND), in_place_of(wanted))
        }
        _ if said.contains("untagged enum") => "none of the values that may stand there".to_owned(),
        _ => replaced(said, &WHOLE),
    };
    format!("{what}{place}")
}

fn in_place_of(wanted: &str) -> &str {
    let kind = wanted.rsplit_once(" enum ").map_or(wanted, |_| "enum ");
    if ["struct ", "enum ", "variant "].iter().any(|word| kind.starts_with(word)) {
        return "an object";
    }
    WANTED.iter().find(|(theirs, _)| *theirs == wanted).map_or(wanted, |(_, ours)| ours)
}

/// Each beginning of a word once.
fn replaced(text: &str, table: &[(&str, &str)]) -> String {
    // What a file says stands in quotation marks, and stays.
    let (ours, theirs) = text.split_at(text.find(['`', '"']).unwrap_or(text.len()));
    table.iter().fold(ours.to_owned(), |text, (from, to)| text.replacen(from, to, 1)) + theirs
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "what is refused is read by nobody")]
    struct Wanted {
        count: usize,
        ratio: f64,
        list: Vec<u8>,
        one: One,
        either: Option<Either>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum One {
        First,
        #[expect(dead_code, reason = "as above")]
        Second(u32),
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Either {
        #[expect(dead_code, reason = "as above")]
        Number(u32),
    }

    #[test]
    fn mistakes_are_said_without_the_words_of_a_programming_language() {
        let whole = r#"{"count": 1, "ratio": 2, "list": [], "one": "first"}"#;
        assert!(serde_json::from_str::<Wanted>(whole).is_ok());
        for (from, to, said) in [
            ("1,", "\"x\",", "found \"x\", wanted a whole number from 0"),
            ("1,", "-1,", "found the number `-1`, wanted a whole number from 0"),
            ("1,", "1.5,", "found the number `1.5`, wanted a whole number from 0"),
            ("2,", "[],", "found a list, wanted a number"),
            ("[],", "{},", "found an object, wanted a list"),
            ("\"first\"", "\"third\"", "unknown name `third`, expected `first` or `second`"),
            ("\"first\"", "7", "expected value"),
            ("\"first\"", "{\"second\": true}", "found `true`, wanted a whole number from 0"),
            (
                "\"one\": \"first\"",
                "\"one\": \"first\", \"either\": []",
                "none of the values that may stand there",
            ),
            ("\"count\": 1, ", "", "missing: `count`"),
            ("}", "", "the text ends too early, within an object"),
        ] {
            let text = whole.replacen(from, to, 1);
            let error = serde_json::from_str::<Wanted>(&text).unwrap_err();
            let words = json_words(&error);
            assert!(words.starts_with(said) && words.contains(" at line 1 column "), "{words}\n{error}");
        }
        let error = serde_json::from_str::<Wanted>("7").unwrap_err();
        assert_eq!(json_words(&error), "found the number `7`, wanted an object at line 1 column 1");
    }
}
