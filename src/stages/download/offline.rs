//! What is not here, where nobody may be asked for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{super::stage::Stage, cached, wanted::Wanted};
use crate::{
    Error, Result,
    location::{Resolved, Url},
    terminal,
};

/// A file that the cache does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The address, as it may be shown.
    address: String,
    /// Who reads it.
    reader: String,
}

impl Missing {
    pub(super) fn new(name: &str, url: &Url) -> Self {
        Self { address: url.to_string(), reader: format!("`{name}`") }
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
    let mut readers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Missing { address, reader } in missing {
        readers.entry(address).or_default().insert(reader);
    }
    let what = match readers.len() {
        0 => return Ok(()),
        1 => "a file is".to_owned(),
        n => format!("{n} files are"),
    };
    let line = |(address, readers): (&str, BTreeSet<&str>)| {
        format!("{address}, for {}", readers.into_iter().collect::<Vec<_>>().join(", "))
    };
    let list: Vec<String> = readers.into_iter().map(line).collect();
    Err(Error::Unusable(format!(
        "{what} not in the cache `{}`, and with `--offline` nobody is asked; `sida fetch` brings them where there is a network:\n  {}",
        terminal::path(cache),
        list.join("\n  ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;

    #[test]
    fn a_file_that_two_stages_read_is_one_file() {
        let url = |text: &str| match Location::new(text).resolve().unwrap() {
            Resolved::Url(url) => url,
            Resolved::Path(path) => unreachable!("{path:?}"),
        };
        let [one, other] = ["https://a.example/x", "https://a.example/y"].map(url);
        let missing = [Missing::new("sid", &one), Missing::new("fid", &one), Missing::new("sid", &other)];
        let said = none_missing(&missing, Path::new("/cache")).unwrap_err().to_string();
        assert!(said.starts_with("2 files are not in the cache"), "{said}");
        assert!(said.contains("https://a.example/x, for `fid`, `sid`\n"), "{said}");
        none_missing(&[], Path::new("/cache")).unwrap();
    }
}
