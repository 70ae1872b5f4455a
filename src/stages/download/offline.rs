//! What is not here, where nobody may be asked for it.

use std::path::Path;

use super::{super::stage::Stage, cached, wanted::Wanted};
use crate::{
    Error, Result,
    location::{Resolved, Url},
    terminal,
};

/// A file that the cache does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The address, and who reads it, as they may be shown.
    said: String,
}

impl Missing {
    pub(super) fn new(name: &str, url: &Url) -> Self {
        Self { said: format!("{url}, for `{name}`") }
    }
}

/// What a stage reads from addresses and the cache does not have.
pub fn missing(name: &str, stage: &dyn Stage, cache: &Path) -> Vec<Missing> {
    let of_wanted = |wanted: Wanted<'_>| match wanted.location.resolve() {
        Ok(Resolved::Url(url)) if !cached(cache, &url).is_file() => Some(Missing::new(name, &url)),
        _ => None,
    };
    stage.wanted().into_iter().filter_map(of_wanted).collect()
}

/// Whether all is here.
///
/// # Errors
/// `Unusable` with the name of everything that is not.
pub fn none_missing(missing: &[Missing], cache: &Path) -> Result<()> {
    let mut list: Vec<&str> = missing.iter().map(|missing| missing.said.as_str()).collect();
    list.sort_unstable();
    list.dedup();
    let what = match list.len() {
        0 => return Ok(()),
        1 => "a file is".to_owned(),
        n => format!("{n} files are"),
    };
    Err(Error::Unusable(format!(
        "{what} not in the cache `{}`, and with `--offline` nobody is asked; `sida fetch` brings them where there is a network:\n  {}",
        terminal::path(cache),
        list.join("\n  ")
    )))
}
