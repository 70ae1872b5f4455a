//! `Location`: where a file is, a path or a URL, with `${VAR:-default}` in it if need be.

use std::{env, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A path or an `http(s)://` address. `${VAR}` and `${VAR:-default}` stand for environment variables; relative
/// paths are looked up in the working directory, then in the folder of the pipeline file and those above it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Location(#[schemars(length(min = 1))] String);

impl Location {
    /// Wraps a path or an address as it is written.
    pub fn new(written: impl Into<String>) -> Self {
        Self(written.into())
    }

    /// As it is written: variables are not replaced, so that a key does not depend on the machine.
    pub fn written(&self) -> &str {
        &self.0
    }

    /// With the variables replaced.
    ///
    /// # Errors
    /// `Usage` when a variable is not set and has no default, or a brace is not closed.
    pub fn resolve(&self) -> Result<String> {
        expand(&self.0, |name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Whether this is an address to download from.
    pub fn is_url(&self) -> bool {
        self.0.starts_with("https://") || self.0.starts_with("http://")
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        expanded.push_str(&rest[..start]);
        let body = &rest[start + 2..];
        let end = body
            .find('}')
            .ok_or_else(|| Error::Usage(format!("`{text}` opens `${{` and never closes it")))?;
        let (name, default) = match body[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&body[..end], None),
        };
        match lookup(name).or_else(|| default.map(str::to_owned)) {
            Some(value) => expanded.push_str(&value),
            None => {
                return Err(Error::Usage(format!(
                    "`{text}` needs the environment variable `{name}`, which is not set: set it, or write `${{{name}:-default}}`"
                )));
            }
        }
        rest = &body[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "DATA").then(|| "/data".to_owned())
    }

    #[test]
    fn variables_are_replaced_and_defaults_used() {
        assert_eq!(expand("${DATA:-datasets}/a.zip", lookup).unwrap(), "/data/a.zip");
        assert_eq!(expand("${OTHER:-datasets}/a.zip", lookup).unwrap(), "datasets/a.zip");
        assert_eq!(expand("a$b{c}", lookup).unwrap(), "a$b{c}");
    }

    #[test]
    fn an_unset_variable_and_an_open_brace_are_said() {
        assert!(expand("${OTHER}/a.zip", lookup).unwrap_err().to_string().contains("`OTHER`"));
        assert!(expand("${DATA", lookup).unwrap_err().to_string().contains("never closes"));
    }
}
