//! `Url`: an address to download from.

use std::{borrow::Cow, fmt};

use ureq::http::Uri;

use super::hub;
use crate::{Error, Result, secret};

/// An address with its credentials. Whatever shows it shows `${VAR}` where a variable's value is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    shown: String,
    /// What it is called, whoever serves it.
    named: String,
    /// Where it is asked for.
    address: String,
}

impl Url {
    /// An `http(s)://` address.
    ///
    /// # Errors
    /// `Usage` where it is none.
    pub(super) fn web(shown: String, address: String) -> Result<Self> {
        if let Some(problem) = problem(&address) {
            let shown = secret::masked(&shown);
            return Err(Error::Usage(format!("`{shown}` is no address: {problem}")));
        }
        Ok(Self { shown, named: address.clone(), address })
    }

    /// A file of a repository, `hf://org/repo/path@revision`.
    ///
    /// # Errors
    /// `Usage` where it names none.
    pub(super) fn hub(shown: String, named: String) -> Result<Self> {
        let address = hub::address(&named).map_err(|problem| {
            let shown = secret::masked(&shown);
            Error::Usage(format!("`{shown}` names no file of a repository: {problem}"))
        })?;
        Ok(Self { shown, named, address })
    }

    /// The address itself, for those who connect to it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address without credentials: the same file has the same one, whoever downloads it.
    pub fn public(&self) -> Cow<'_, str> {
        secret::masked(&self.named)
    }

    /// A text about the address, with what may be shown in the place of the address itself.
    pub fn hide_in(&self, text: &str) -> String {
        secret::masked(&text.replace(&self.address, &self.to_string())).into_owned()
    }
}

/// Why a text with `http(s)://` before it is no address.
fn problem(address: &str) -> Option<String> {
    if address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("there is a blank in it; in an address that is `%20`".to_owned());
    }
    let (scheme, rest) = address.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[rest[..end].rfind('@').map_or(0, |at| at + 1)..];
    match format!("{scheme}://{host}").parse::<Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => None,
        Ok(_) => Some("it names no host".to_owned()),
        Err(_) => Some("its host or port cannot be read (a `/` in a password is `%2F`)".to_owned()),
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
