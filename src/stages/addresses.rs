//! `Addresses`: what came from addresses. A stage depends on that, not on the address.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::download::cached;
use crate::{Error, Result, checkpoint::atomic, location::Url};

/// A folder with a small file for every address.
#[derive(Clone, Debug)]
pub struct Addresses(PathBuf);

#[derive(Serialize, Deserialize)]
struct Came {
    /// Without credentials.
    address: String,
    sha256: String,
}

impl Addresses {
    /// In `folder`, which need not exist.
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_path_buf())
    }

    /// The SHA-256 of what came from an address; `None` where nothing came yet.
    pub fn sha256(&self, url: &Url) -> Option<String> {
        let came: Came = serde_json::from_slice(&fs::read(self.file(url)).ok()?).ok()?;
        (came.address == url.public()).then_some(came.sha256)
    }

    /// Notes what came. Something else than before is said: finished stages were made from that.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn note(&self, url: &Url, sha256: &str) -> Result<()> {
        match self.sha256(url) {
            Some(known) if known == sha256 => return Ok(()),
            Some(known) => tracing::warn!(
                "`{url}` has other contents than before (SHA-256 {sha256}, was {known}): what reads it is made anew"
            ),
            None => {}
        }
        fs::create_dir_all(&self.0).map_err(Error::io("create the folder", &self.0))?;
        let came = Came { address: url.public().into_owned(), sha256: sha256.to_owned() };
        atomic::write(&self.file(url), format!("{}\n", serde_json::json!(came)).as_bytes())
    }

    fn file(&self, url: &Url) -> PathBuf {
        cached(&self.0, url).with_added_extension("json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::{Location, Resolved};

    #[test]
    fn what_came_last_is_what_an_address_means() {
        let dir = tempfile::tempdir().unwrap();
        let addresses = Addresses::new(&dir.path().join("addresses"));
        let location = Location::new("https://me:hunter2@example.org/a.pkl");
        let Resolved::Url(url) = location.resolve().unwrap() else { panic!("an address") };
        assert_eq!(addresses.sha256(&url), None);
        for hash in ["aa", "aa", "bb"] {
            addresses.note(&url, hash).unwrap();
            assert_eq!(addresses.sha256(&url).as_deref(), Some(hash));
        }
        assert!(!fs::read_to_string(addresses.file(&url)).unwrap().contains("hunter2"));
    }
}
