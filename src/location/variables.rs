//! `${VAR}` and `${VAR:-default}` in a location.

use crate::{Error, Result, secret};

/// A text with its variables replaced.
pub(super) struct Expanded {
    /// What it means.
    pub(super) value: String,
    /// The same, but with `${VAR}` for what the environment says.
    pub(super) shown: String,
}

/// Replaces the variables of a text by what `lookup` says of them.
///
/// # Errors
/// `Usage` when a variable is not set and has no default, or a brace is not closed.
pub(super) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Expanded> {
    let written = secret::masked(text);
    let mut expanded = Expanded { value: String::new(), shown: String::new() };
    let mut both = |text: &str, shown: &str| {
        expanded.value.push_str(text);
        expanded.shown.push_str(shown);
    };
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        both(&rest[..start], &rest[..start]);
        let body = &rest[start + 2..];
        let end = body
            .find('}')
            .ok_or_else(|| Error::Usage(format!("`{written}` opens `${{` and never closes it")))?;
        let (name, default) = match body[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&body[..end], None),
        };
        match (lookup(name), default) {
            (Some(value), _) => both(&value, &format!("${{{name}}}")),
            (None, Some(default)) => both(default, default),
            (None, None) => {
                return Err(Error::Usage(format!(
                    "`{written}` needs the environment variable `{name}`, which is not set: set it, or write `${{{name}:-default}}`"
                )));
            }
        }
        rest = &body[end + 1..];
    }
    both(rest, rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "DATA").then(|| "/data".to_owned())
    }

    fn value(text: &str) -> String {
        expand(text, lookup).unwrap().value
    }

    #[test]
    fn variables_are_replaced_and_defaults_used() {
        assert_eq!(value("${DATA:-datasets}/a.zip"), "/data/a.zip");
        assert_eq!(value("${OTHER:-datasets}/a.zip"), "datasets/a.zip");
        assert_eq!(value("a$b{c}"), "a$b{c}");
        let shown = expand("http://${OTHER:-a}:${DATA:-b}@c", lookup).unwrap().shown;
        assert_eq!(shown, "http://a:${DATA}@c", "what the environment says may be a secret");
    }

    #[test]
    fn an_unset_variable_and_an_open_brace_are_said() {
        let error = |text| expand(text, lookup).err().expect("an error").to_string();
        assert!(error("${OTHER}/a.zip").contains("`OTHER`"));
        assert!(error("${DATA").contains("never closes"));
    }
}
