//! `Location`: where a file is, a path or a URL, with `${VAR:-default}` in it if need be.

mod hub;
mod scheme;
mod url;
mod variables;

use std::{
    env, fmt,
    path::{Component, Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

pub use self::{hub::is_hub, url::Url};
use self::{scheme::Kind, variables::expand};
use crate::{Result, secret};

/// A path, an `http(s)://` address, or `hf://org/repo/path@revision` of Hugging Face. `${VAR}` and `${VAR:-default}` stand
/// for environment variables; relative paths are looked up in the working directory, then in the folder of the pipeline
/// file and those above it.
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

impl Location {
    /// Wraps a path or an address as it is written.
    pub fn new(written: impl Into<String>) -> Self {
        Self(written.into())
    }

    /// With the variables replaced.
    ///
    /// # Errors
    /// `Usage` when a variable is not set and has no default, or a brace is not closed; for an address that is none, or of
    /// a kind that is not spoken here.
    pub fn resolve(&self) -> Result<Resolved> {
        let expanded = expand(&self.0, variable)?;
        Ok(match scheme::of(&expanded.value, &expanded.shown)? {
            Kind::Path => Resolved::Path(expanded.value.into()),
            Kind::Web => Resolved::Url(Url::web(expanded.shown, expanded.value)?),
            Kind::Hub => Resolved::Url(Url::hub(expanded.shown, expanded.value)?),
        })
    }
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
