//! How a sentence about a value mentions it, its name, and what may be written for it.

use serde_json::Value;

use super::{document::unescape, number};

/// What to write instead of a value of another type than what is `wanted`; `shown` is how it is written.
pub(super) fn instead(value: &Value, wanted: &str, shown: &str) -> Option<String> {
    match value {
        Value::Number(_) | Value::Bool(_) if wanted == "text" => {
            Some(format!("write `\"{}\"`: in quotation marks it is text", shown.trim_matches('`')))
        }
        Value::String(word) if wanted.contains("`true`") => {
            let word = word.to_ascii_lowercase();
            match word.as_str() {
                "yes" | "on" | "y" => Some("write `true`".to_owned()),
                "no" | "off" | "n" => Some("write `false`".to_owned()),
                "true" | "false" => Some(format!("write `{word}`, without quotes")),
                _ => None,
            }
        }
        Value::String(text) if wanted.contains("number") => number::instead(text),
        _ => None,
    }
}

/// A value as a sentence mentions it, where it is not shown as it is written.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) if text.chars().count() > 40 => {
            format!("`{}...`", text.chars().take(40).collect::<String>())
        }
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// The end of a range: whole numbers without a point.
pub(super) fn plain(limit: &Value) -> String {
    match limit.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        _ => limit.to_string(),
    }
}

/// A value as YAML writes it on one line.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// What a value is called: its key, or its place in a list.
pub(super) fn said(pointer: &str) -> String {
    let mut parts = pointer.rsplit('/').filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (None, _) => "the file".to_owned(),
        (Some(last), Some(list)) if last.parse::<usize>().is_ok() => {
            format!("entry {} of `{}`", last.parse::<usize>().unwrap_or(0) + 1, unescape(list))
        }
        (Some(last), _) => format!("`{}`", unescape(last)),
    }
}
