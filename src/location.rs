//! `Location`: where a file is, a path or a URL, with `${VAR:-default}` in it if need be.

use std::{
    borrow::Cow,
    env, fmt,
    path::{Component, Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Error, Result, secret};

/// A path or an `http(s)://` address. `${VAR}` and `${VAR:-default}` stand for environment variables; relative
/// paths are looked up in the working directory, then in the folder of the pipeline file and those above it.
///
/// Credentials are used and nowhere kept: whatever shows or stores a location has `***` in their place.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Location(#[schemars(length(min = 1))] String);

/// What a location means on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// An address to download from.
    Url(Url),
    /// A path, perhaps relative.
    Path(PathBuf),
}

/// An address with its credentials. Whatever shows it shows `${VAR}` where a variable's value is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    shown: String,
    address: String,
}

impl Url {
    /// The address itself, for those who connect to it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address without credentials: the same file has the same one, whoever downloads it.
    pub fn public(&self) -> Cow<'_, str> {
        secret::masked(&self.address)
    }

    /// A text about the address, with what may be shown in the place of the address itself.
    pub fn hide_in(&self, text: &str) -> String {
        secret::masked(&text.replace(&self.address, &self.to_string())).into_owned()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&secret::masked(&self.shown))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl Location {
    /// Wraps a path or an address as it is written.
    pub fn new(written: impl Into<String>) -> Self {
        Self(written.into())
    }

    /// With the variables replaced.
    ///
    /// # Errors
    /// `Usage` when a variable is not set and has no default, or a brace is not closed.
    pub fn resolve(&self) -> Result<Resolved> {
        let Expanded { value, shown } =
            expand(&self.0, |name| env::var(name).ok().filter(|value| !value.is_empty()))?;
        let is_url = ["https://", "http://"]
            .iter()
            .any(|scheme| value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        Ok(if is_url { Resolved::Url(Url { shown, address: value }) } else { Resolved::Path(value.into()) })
    }
}

/// As it is written, without credentials; variables are not replaced, so that a key does not depend on the machine.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&secret::masked(&self.0))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The way from a folder to a file or folder: up as far as to the folder that holds both, and down. `None` where none does.
pub fn way(from: &Path, to: &Path) -> Option<PathBuf> {
    let shared = from.ancestors().find(|folder| to.starts_with(folder))?;
    let up = from.strip_prefix(shared).ok()?.components().map(|_| Component::ParentDir);
    Some(up.collect::<PathBuf>().join(to.strip_prefix(shared).ok()?))
}

/// A text with its variables replaced.
struct Expanded {
    value: String,
    /// The same, but with `${VAR}` for what the environment says.
    shown: String,
}

fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Expanded> {
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
    fn credentials_are_used_and_nowhere_shown() {
        let location = Location::new("https://user:hunter2@host/a.zip?token=abc&v=2");
        let shown = "https://***:***@host/a.zip?token=***&v=2";
        assert_eq!(location.to_string(), shown);
        assert_eq!(serde_json::to_value(&location).unwrap(), shown);
        assert_eq!(format!("{location:?}"), format!("Location({shown})"));
        let Resolved::Url(url) = location.resolve().unwrap() else { panic!("an address") };
        assert_eq!(url.address(), "https://user:hunter2@host/a.zip?token=abc&v=2");
        assert_eq!((url.to_string().as_str(), &*url.public()), (shown, shown));
        assert_eq!(format!("{url:?}"), format!("Url({shown})"));
        let said = url
            .hide_in("bad address https://user:hunter2@host/a.zip?token=abc&v=2, moved to https://b/?sig=x");
        assert_eq!(said, format!("bad address {shown}, moved to https://b/?sig=***"));
        let error = Location::new("https://u:p@h/${OPEN").resolve().unwrap_err().to_string();
        assert!(!error.contains("u:p"), "{error}");
    }

    #[test]
    fn an_unset_variable_and_an_open_brace_are_said() {
        let error = |text| expand(text, lookup).err().expect("an error").to_string();
        assert!(error("${OTHER}/a.zip").contains("`OTHER`"));
        assert!(error("${DATA").contains("never closes"));
    }
}
