//! `Part`: a download that has not come whole yet, under the name that it will have, in a folder of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    checkpoint::{Asked, Lease, Watch, atomic},
    formats::{folder_of, read_at_most, sync},
    secret,
};

/// Below the cache: what is not whole.
pub(super) const FOLDER: &str = "unfinished";
const NOTE: &str = "part.json";
/// A note of an address and a version, in bytes.
const LONGEST_NOTE: u64 = 1 << 16;
const LEASE: &str = "lease";
/// What nobody went on with for so long is removed.
const TOO_OLD: Duration = Duration::from_hours(7 * 24);

/// A file that is being downloaded.
#[derive(Debug)]
pub(super) struct Part {
    /// The file.
    pub(super) path: PathBuf,
    note: PathBuf,
    version: Option<Version>,
}

/// Which version of a file the bytes are of: others may only be joined to them if the server has the same one still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Who served it, without credentials.
    from: String,
    /// A strong entity tag (RFC 9110, 8.8.3), with its quotes.
    pub(super) etag: String,
    /// Bytes of the whole file.
    pub(super) bytes: u64,
}

impl Version {
    /// What an answer's headers say; `None` where nothing tells versions apart.
    pub(super) fn of(address: &str, etag: Option<&str>, bytes: Option<u64>) -> Option<Self> {
        let etag = etag.filter(|etag| etag.starts_with('"'))?.to_owned();
        Some(Self { from: secret::masked(address).into_owned(), etag, bytes: bytes? })
    }
}

impl Part {
    /// The part of a file that will be `whole`, as far as it came before from `address` and can be gone on with.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn open(whole: &Path, address: &str) -> Result<Self> {
        let path = beside(whole);
        let note = path.with_added_extension(NOTE);
        let version: Option<Version> =
            read_at_most(&note, LONGEST_NOTE).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let version = version.filter(|version| version.from == secret::masked(address));
        let mut part = Self { path, note, version };
        if part.version.is_none() {
            part.discard()?;
        }
        Ok(part)
    }

    /// Bytes that are there.
    pub(super) fn len(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// The version to go on with, where there is something of it.
    pub(super) fn version(&self) -> Option<&Version> {
        self.version.as_ref().filter(|_| self.len() > 0)
    }

    /// Begins anew.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn begin(&mut self, version: Option<Version>) -> Result<File> {
        self.discard()?;
        if let Some(version) = &version {
            atomic::write(&self.note, format!("{}\n", serde_json::json!(version)).as_bytes())?;
        }
        self.version = version;
        File::create_new(&self.path).map_err(Error::io("write", &self.path))
    }

    /// Goes on at the end.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn go_on(&self) -> Result<File> {
        File::options().append(true).open(&self.path).map_err(Error::io("write", &self.path))
    }

    /// Removes what came.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn discard(&mut self) -> Result<()> {
        self.version = None;
        atomic::remove_file(&self.path)?;
        atomic::remove_file(&self.note)
    }

    /// Puts the whole file in its place.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn finish(self, whole: &Path) -> Result<()> {
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(Error::io("write", &self.path))?;
        fs::rename(&self.path, whole).map_err(Error::io("write", whole))?;
        sync(folder_of(whole));
        atomic::remove_file(&self.note)
    }
}

/// Where a file lies until it is whole.
fn beside(whole: &Path) -> PathBuf {
    folder_of(whole).join(FOLDER).join(whole.file_name().unwrap_or_default())
}

/// The lease of those who download a file.
pub(super) fn lease(whole: &Path) -> PathBuf {
    beside(whole).with_added_extension(LEASE)
}

/// Removes what processes that are gone left behind and nobody can or will go on with.
pub(super) fn clean(cache: &Path) {
    atomic::remove_leftovers_of_the_dead(cache);
    let folder = cache.join(FOLDER);
    atomic::remove_leftovers_of_the_dead(&folder);
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(LEASE) || name.starts_with('.') {
            continue;
        }
        // A note is judged with its part, and alone where there is none.
        let of_part = name.strip_suffix(NOTE).and_then(|name| name.strip_suffix('.'));
        let path = of_part.map_or_else(|| entry.path(), |part| folder.join(part));
        if of_part.is_some() && path.exists() {
            continue;
        }
        let note = path.with_added_extension(NOTE);
        let written = entry.metadata().and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let is_old = written.elapsed().is_ok_and(|age| age > TOO_OLD);
        if note.exists() && !is_old {
            continue;
        }
        // Litter does no harm; failing because of it would.
        if let Ok(Asked::Held(_lease)) = Lease::ask(&path.with_added_extension(LEASE), &mut Watch::default())
        {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_file(&note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_gone_on_with_stays_and_the_rest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        let version = Version::of("https://u:p@a/x", Some("\"1\""), Some(9));
        let mut part = Part::open(&dir.path().join("good.pkl"), "https://u:p@a/x").unwrap();
        drop(part.begin(version.clone()).unwrap());
        fs::write(&part.path, "half").unwrap();
        fs::write(folder.join("nameless.pkl"), "half").unwrap();
        let held = Lease::ask(&lease(&dir.path().join("held.pkl")), &mut Watch::default()).unwrap();
        fs::write(folder.join("held.pkl"), "half").unwrap();
        let old = Part::open(&dir.path().join("old.pkl"), "https://a/old").unwrap();
        fs::write(&old.path, "half").unwrap();
        fs::write(&old.note, "{}").unwrap();
        let long_ago = SystemTime::now() - 2 * TOO_OLD;
        File::options().append(true).open(&old.path).unwrap().set_modified(long_ago).unwrap();
        let [lonely, young] =
            ["lonely.pkl", "young.pkl"].map(|name| folder.join(name).with_added_extension(NOTE));
        fs::write(&young, "{}").unwrap();
        fs::write(&lonely, "{}").unwrap();
        File::options().append(true).open(&lonely).unwrap().set_modified(long_ago).unwrap();
        clean(dir.path());
        let there = |name: &str| folder.join(name).exists();
        assert!(there("good.pkl") && there("held.pkl") && !there("nameless.pkl") && !there("old.pkl"));
        assert!(
            young.exists() && !lonely.exists(),
            "a note without its part is one about to begin, or litter"
        );
        drop(held);
        let again = |address: &str| Part::open(&dir.path().join("good.pkl"), address).unwrap();
        assert_eq!(again("https://other:name@a/x").version(), version.as_ref());
        assert!(!fs::read_to_string(&part.note).unwrap().contains("u:p"));
        assert_eq!(again("https://b/x").len(), 0, "another server's bytes are others");
        assert!(Version::of("a", Some("W/\"1\""), Some(9)).is_none(), "a weak tag tells no bytes apart");
    }
}
