//! `Addresses`: what came from addresses. A stage depends on that, not on the address.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

use super::{download::cached, lock_file::LockFile};
use crate::{
    Error, Result,
    checkpoint::atomic,
    formats::{read_at_most, sha256},
    location::Url,
};

/// A note of an address and a checksum, in bytes.
const LONGEST_NOTE: u64 = 1 << 16;

/// What an address means: what the pipeline's lock file says, and where that says nothing, what came last, which the store
/// remembers in a folder with a small file for every address.
#[derive(Clone, Debug)]
pub struct Addresses {
    folder: PathBuf,
    lock: Option<LockFile>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    /// In hexadecimal.
    pub sha256: String,
    /// How many.
    pub bytes: u64,
}

impl Content {
    /// Of a file.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn of_file(path: &Path) -> Result<Self> {
        let sha256 = sha256::of_file(path)?;
        let bytes = fs::metadata(path).map_err(Error::io("read", path))?.len();
        Ok(Self { sha256, bytes })
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA-256 {} of {} bytes", self.sha256, self.bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct Came {
    /// Without credentials.
    address: String,
    sha256: String,
    /// Bytes and last change of the file that was judged, so that another one is judged again.
    #[serde(default)]
    file: Option<(u64, u64)>,
}

impl Addresses {
    /// In `folder`, which need not exist, and in the pipeline's lock file.
    pub fn new(folder: &Path, lock: Option<LockFile>) -> Self {
        Self { folder: folder.to_path_buf(), lock }
    }

    /// The SHA-256 of what an address means; `None` where nothing came yet.
    pub fn sha256(&self, url: &Url) -> Option<String> {
        let pinned = self.lock.as_ref().and_then(|lock| lock.get(&url.public()));
        pinned.map(|content| content.sha256).or_else(|| self.came(url).map(|came| came.sha256))
    }

    /// What the lock file says of an address, and what that file is called.
    pub(super) fn pinned(&self, url: &Url) -> Option<(Content, String)> {
        let lock = self.lock.as_ref()?;
        Some((lock.get(&url.public())?, lock.shown()))
    }

    /// What the file at `path` holds, if it is the one that came from the address and was judged.
    pub(super) fn content_of(&self, url: &Url, path: &Path) -> Option<Content> {
        let (came, found) = (self.came(url)?, stamp(path)?);
        (came.file == Some(found)).then_some(Content { sha256: came.sha256, bytes: found.0 })
    }

    /// Notes what came, and lies at `path`. Something else than before is said: finished stages were made from that.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn note(&self, url: &Url, content: &Content, path: &Path) -> Result<()> {
        if let Some(lock) = &self.lock
            && lock.get(&url.public()).as_ref() != Some(content)
        {
            lock.set(&url.public(), content);
        }
        let came = self.came(url);
        let (sha256, file) = (&content.sha256, stamp(path));
        match &came {
            Some(came) if came.sha256 == *sha256 && came.file == file => return Ok(()),
            Some(came) if came.sha256 != *sha256 => tracing::warn!(
                "`{url}` has other contents than before (SHA-256 {sha256}, was {}): what reads it is made anew",
                came.sha256
            ),
            _ => {}
        }
        fs::create_dir_all(&self.folder).map_err(Error::io("create the folder", &self.folder))?;
        let came = Came { address: url.public().into_owned(), sha256: sha256.clone(), file };
        atomic::write(&self.file(url), format!("{}\n", serde_json::json!(came)).as_bytes())
    }

    fn came(&self, url: &Url) -> Option<Came> {
        let came: Came = serde_json::from_slice(&read_at_most(&self.file(url), LONGEST_NOTE).ok()?).ok()?;
        (came.address == url.public()).then_some(came)
    }

    fn file(&self, url: &Url) -> PathBuf {
        cached(&self.folder, url).with_added_extension("json")
    }
}

/// Bytes, and the time of the last change in nanoseconds.
fn stamp(path: &Path) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok()?;
    let changed = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((file.len(), u64::try_from(changed.as_nanos()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::{Location, Resolved};

    fn url(text: &str) -> Url {
        match Location::new(text).resolve().unwrap() {
            Resolved::Url(url) => url,
            Resolved::Path(_) => panic!("an address"),
        }
    }

    #[test]
    fn what_came_last_is_what_an_address_means_unless_it_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.pkl");
        let url = url("https://me:hunter2@example.org/a.pkl");
        let content = |text: &str| {
            fs::write(&file, text).unwrap();
            Content::of_file(&file).unwrap()
        };
        let addresses = Addresses::new(&dir.path().join("addresses"), None);
        assert_eq!(addresses.sha256(&url), None);
        for text in ["a", "a", "bb"] {
            let content = content(text);
            addresses.note(&url, &content, &file).unwrap();
            assert_eq!(addresses.sha256(&url).as_ref(), Some(&content.sha256));
            assert_eq!(addresses.content_of(&url, &file), Some(content));
        }
        fs::write(&file, "ccc").unwrap();
        assert_eq!(addresses.content_of(&url, &file), None, "the file is another one");
        let lock = LockFile::beside(&dir.path().join("p.yaml"));
        let pinned = Addresses::new(&dir.path().join("addresses"), Some(lock));
        assert_eq!(pinned.pinned(&url), None);
        pinned.note(&url, &content("dddd"), &file).unwrap();
        let first = pinned.sha256(&url);
        addresses.note(&url, &content("eeeee"), &file).unwrap();
        assert_eq!(pinned.sha256(&url), first, "the lock file comes first");
        for kept in [addresses.file(&url), dir.path().join("p.lock")] {
            let text = fs::read_to_string(kept).unwrap();
            assert!(text.contains("example.org/a.pkl") && !text.contains("hunter2"), "{text}");
        }
    }
}
