//! `Contents`: what the files, folders and addresses that a stage reads contain, as keys need it.

use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use indexmap::IndexMap;

use super::plan::Places;
use crate::{
    checkpoint::atomic,
    data::identity,
    formats::{files_below, read_at_most},
    location::Resolved,
    stages::{Addresses, Stage, Wanted, World},
};

/// What is smaller is read again rather than remembered.
const LARGE: u64 = 16 << 20;

/// Hashes of contents; each is computed once, however many stages read it, and those of large files are kept.
pub(super) struct Contents {
    known: IndexMap<PathBuf, Option<String>>,
    addresses: Addresses,
    /// One small file per large input: its name stands for sizes, times and inodes, it holds the hash.
    kept: PathBuf,
}

impl Contents {
    pub(super) fn new(places: &Places) -> Self {
        let kept = places.cache.join("contents");
        Self { known: IndexMap::new(), addresses: places.addresses(), kept }
    }

    /// By field, what a stage reads; `None` for what is absent, and for addresses that nothing came from yet.
    pub(super) fn of(&mut self, stage: &dyn Stage, world: &World<'_>) -> IndexMap<String, Option<String>> {
        let of_wanted = |wanted: Wanted<'_>| {
            let contents = match wanted.location.resolve() {
                Ok(Resolved::Url(url)) => {
                    let known = wanted.sha256.map(str::to_owned).or_else(|| self.addresses.sha256(&url));
                    known.map(|hash| format!("sha256:{hash}"))
                }
                Ok(Resolved::Path(_)) => world.locate(wanted.location).and_then(|path| self.at(path)),
                Err(_) => None,
            };
            Some((wanted.field?, contents))
        };
        stage.wanted().into_iter().filter_map(of_wanted).collect()
    }

    fn at(&mut self, path: PathBuf) -> Option<String> {
        let kept = &self.kept;
        self.known.entry(path).or_insert_with_key(|path| remembered(path, kept)).clone()
    }
}

/// The hash of contents that have not been touched since they were hashed, else a new one.
fn remembered(path: &Path, kept: &Path) -> Option<String> {
    let (mut bytes, mut seen) = (0, blake3::Hasher::new());
    let walked = files_below(path, &mut |file, _, metadata| {
        bytes += metadata.len();
        seen.update(format!("{} {}\n", file.display(), stamp(metadata)).as_bytes());
        Ok(())
    });
    walked.ok()?;
    if bytes < LARGE {
        return identity(path);
    }
    let note = kept.join(&seen.finalize().to_hex()[..32]);
    let known = read_at_most(&note, 32).ok().and_then(|known| String::from_utf8(known).ok());
    if let Some(known) = known.filter(|known| known.len() == 32) {
        return Some(known);
    }
    let found = identity(path)?;
    // Without a note it is read again next time, no more.
    let _ = fs::create_dir_all(kept).is_ok_and(|()| atomic::write(&note, found.as_bytes()).is_ok());
    Some(found)
}

/// What changes whenever a file is written.
fn stamp(metadata: &Metadata) -> String {
    let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let written = written.map_or(0, |since| since.as_nanos());
    #[cfg(unix)]
    let inode = {
        use std::os::unix::fs::MetadataExt as _;
        (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
    };
    #[cfg(not(unix))]
    let inode = ();
    format!("{} {written} {inode:?}", metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_hashed_once_until_it_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, kept) = (dir.path().join("network.pkl"), dir.path().join("contents"));
        fs::write(&path, vec![1; LARGE as usize]).unwrap();
        let first = remembered(&path, &kept).unwrap();
        let note = fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
        // What the note says is believed.
        fs::write(&note, "0".repeat(32)).unwrap();
        assert_eq!(remembered(&path, &kept).unwrap(), "0".repeat(32));
        fs::write(&path, vec![2; LARGE as usize]).unwrap();
        let second = remembered(&path, &kept).unwrap();
        assert_ne!(second, first);
        assert_ne!(second, "0".repeat(32));
        fs::write(&path, "small").unwrap();
        assert_eq!(remembered(&path, &kept), identity(&path));
        assert_eq!(fs::read_dir(&kept).unwrap().count(), 2);
    }
}
