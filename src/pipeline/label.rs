//! What the points of a sweep are called: short, each one different, the same whatever other values their axes have.

use serde_json::Value;

use crate::secret;

/// From here on down, and up, numbers are written with a power of ten.
const PLAIN: [f64; 2] = [1e-3, 1e6];

/// A value: `0.5`, `1e-5`, `sid`, `"two words"`.
pub(super) fn of_value(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| !number.is_i64() && !number.is_u64()) {
            Some(float) if float != 0.0 && !(PLAIN[0]..PLAIN[1]).contains(&float.abs()) => {
                format!("{float:e}")
            }
            _ => number.to_string(),
        },
        Value::String(text) => word(&secret::masked(text)),
        other => secret::masked(&other.to_string()).into_owned(),
    }
}

/// A point: `alpha=1.0 lr=1e-5`.
pub(super) fn of_point(at: &[(String, Value)]) -> String {
    let at = at.iter().map(|(axis, value)| format!("{}={}", word(&secret::masked(axis)), of_value(value)));
    at.collect::<Vec<_>>().join(" ")
}

/// A text as it is where it can be taken for nothing else, else in quotation marks.
fn word(text: &str) -> String {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let simple = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let taken = matches!(text, "true" | "false" | "null");
    if begins && simple && !taken { text.to_owned() } else { Value::from(text).to_string() }
}

/// Numbers those of many labels that are the same: credentials, which no label shows, may be all that differs.
pub(super) fn tell_apart(labels: &mut [String]) {
    let mut seen = std::collections::HashMap::<String, usize>::new();
    for label in labels {
        let count = seen.entry(label.clone()).or_default();
        *count += 1;
        if *count > 1 {
            *label = format!("{label} #{count}");
        }
    }
}

/// Whether `text` names the point at `at`, however it writes the values and in whatever order: `lr=0.00001 alpha=1`.
pub(super) fn names(text: &str, at: &[(String, Value)]) -> bool {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let names_one = |(axis, value): &(String, Value)| {
        parts.iter().filter_map(|part| part.split_once('=')).any(|(of, written)| {
            let same_number = || value.as_f64().is_some_and(|value| written.parse() == Ok(value));
            of == word(axis) && (written == of_value(value) || same_number())
        })
    };
    parts.len() == at.len() && at.iter().all(names_one)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn different_values_have_different_names_of_one_kind() {
        let named = |value: Value| of_value(&value);
        let numbers = [1e-6, 0.00001, 2.5e-4, 0.001, 0.5, 1.0, 0.0, -1e-5, 1e6].map(|n| named(json!(n)));
        assert_eq!(numbers, ["1e-6", "1e-5", "2.5e-4", "0.001", "0.5", "1.0", "0.0", "-1e-5", "1e6"]);
        assert_eq!([named(json!(1)), named(json!("1")), named(json!("sid"))], ["1", "\"1\"", "sid"]);
        assert_eq!(
            [named(json!(true)), named(json!("true")), named(json!("a b"))],
            ["true", "\"true\"", "\"a b\""]
        );
        assert_eq!(named(json!("https://h/a?token=x")), "\"https://h/a?token=***\"");
        let mut labels = ["a", "b", "a"].map(str::to_owned);
        tell_apart(&mut labels);
        assert_eq!(labels, ["a", "b", "a #2"]);
    }

    #[test]
    fn a_point_is_found_by_its_values_however_they_are_written() {
        let at = [("alpha".to_owned(), json!(1.0)), ("lr".to_owned(), json!(1e-5))];
        assert_eq!(of_point(&at), "alpha=1.0 lr=1e-5");
        for text in ["alpha=1.0 lr=1e-5", "lr=0.00001 alpha=1", "alpha=1 lr=1.0e-5"] {
            assert!(names(text, &at), "{text}");
        }
        for text in ["alpha=1.0", "alpha=1.0 lr=1e-6", "alpha=1.0 alpha=1.0", ""] {
            assert!(!names(text, &at), "{text}");
        }
    }
}
