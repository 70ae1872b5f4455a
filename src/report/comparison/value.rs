//! Values of settings on one line, as people write them.

use serde_json::Value;

/// More of a value than this many characters is not shown.
const MOST: usize = 300;

/// A value in YAML's flow style; `not set` for none.
pub(super) fn written(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "not set".to_owned(), flow);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) if number.is_f64() => real(number.as_f64().unwrap_or(f64::NAN)),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{}: {}", string(name), flow(value));
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

/// `0.001`, `3e-4`, `500000`.
fn real(value: f64) -> String {
    let is_plain = value == 0.0 || (1e-3..1e9).contains(&value.abs());
    if is_plain { value.to_string() } else { format!("{value:e}") }
}

/// Bare where it cannot be taken for anything else.
fn string(text: &str) -> String {
    let is_bare = text.starts_with(|c: char| c.is_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_alphanumeric() || "_-./+=@%".contains(c))
        && !["true", "false", "null"].contains(&text)
        && text.parse::<f64>().is_err();
    if is_bare { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_look_as_in_a_pipeline() {
        let value = json!({ "lr": 3.0e-4, "betas": [0.0, 0.999], "duration_kimg": 500000.0, "seed": 7, "path": "data/a.zip" });
        let shown = "{ lr: 3e-4, betas: [0, 0.999], duration_kimg: 500000, seed: 7, path: data/a.zip }";
        assert_eq!(written(Some(&value)), shown);
        assert_eq!(
            written(Some(&json!(["a b", "1e3", "null", "nan", "", "a: b", {}]))),
            r#"["a b", "1e3", "null", "nan", "", "a: b", {}]"#
        );
        assert_eq!(written(Some(&json!("a\u{1b}[2J\nb"))), r#""a\u001b[2J\nb""#);
        assert_eq!(written(None), "not set");
        assert_eq!(written(Some(&json!("ä".repeat(1000)))).chars().count(), MOST + 3);
    }
}
