//! `CheckpointStore`: the states and snapshots in a stage's folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::atomic;
use crate::{
    Error, Result,
    formats::{
        Digest, json_words, read_small,
        safetensors::{self, Metadata},
    },
    kimg::Kimg,
    state_dict::StateDict,
    terminal,
};

/// What this program writes. A newer number is refused; an older one is passed over, because a training that went on from it
/// would be half of one and half of another: other draws.
const FORMAT: u64 = 3;
const STATE: &str = "state.safetensors";
const HEADER: &str = "checkpoint.json";
/// Older checkpoints than these are deleted: one may turn out to be damaged.
const KEPT: usize = 2;
/// The most that a checkpoint's header may have.
const LONGEST: u64 = 1 << 20;
const PREFIX: &str = "checkpoint-";

/// Whether a checkpoint has this name.
pub fn is_checkpoint(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The checkpoints of one stage: `checkpoint-<images>/{state.safetensors, checkpoint.json}`.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    dir: PathBuf,
}

/// What is known about a checkpoint besides its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header<P> {
    format: u64,
    nimg: u64,
    /// What `state.safetensors` holds: one bit more or less in it, and another network comes out.
    state: Digest,
    progress: P,
}

/// A checkpoint that was read.
#[derive(Clone, Debug)]
pub struct Checkpoint<P> {
    /// Images seen.
    pub nimg: u64,
    /// Everything that training changes.
    pub state: StateDict,
    /// What else the training wants to remember.
    pub progress: P,
    /// Where it was.
    pub path: PathBuf,
}

impl CheckpointStore {
    /// The checkpoints in a stage's folder.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    /// Writes a checkpoint, whole or not at all, and deletes those that are too old.
    ///
    /// # Errors
    /// `Io`; earlier checkpoints are untouched then.
    pub fn save(&self, nimg: u64, state: &StateDict, progress: &impl Serialize) -> Result<()> {
        let path = self.dir.join(format!("{PREFIX}{nimg:010}"));
        atomic::write_folder(&path, |folder| {
            let file = folder.join(STATE);
            safetensors::write(&file, state, &Metadata::new())?;
            let header = Header { format: FORMAT, nimg, state: Digest::of(&file)?, progress };
            let header = serde_json::to_vec_pretty(&header).expect("a header is plain data");
            atomic::write(&folder.join(HEADER), &header)
        })?;
        self.keep(KEPT);
        Ok(())
    }

    /// The newest checkpoint that can be read and has at most `most` images; a damaged one is passed over.
    ///
    /// # Errors
    /// `NewerFormat`, or `Io` when the folder cannot be listed.
    pub fn latest<P: for<'de> Deserialize<'de>>(&self, most: u64) -> Result<Option<Checkpoint<P>>> {
        for (nimg, path) in self.list()?.into_iter().rev().filter(|(nimg, _)| *nimg <= most) {
            match read::<P>(&path) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(error @ Error::NewerFormat { .. }) => return Err(error),
                Err(error) => {
                    tracing::warn!("the checkpoint of {} is passed over: {error}", Kimg::from_nimg(nimg));
                }
            }
        }
        Ok(None)
    }

    /// What the newest one with at most `most` images remembers besides tensors. These are not read: it may turn out to be
    /// damaged.
    pub fn remembered<P: for<'de> Deserialize<'de>>(&self, most: u64) -> Option<P> {
        let found = self.list().ok()?.into_iter().rev().filter(|(nimg, _)| *nimg <= most);
        let mut headers = found.filter_map(|(_, path)| header::<P>(&path).ok());
        headers.find(|header| header.format == FORMAT).map(|header| header.progress)
    }

    /// The images that the newest one has seen, whole or not.
    pub fn newest(&self) -> Option<u64> {
        self.list().ok()?.last().map(|(nimg, _)| *nimg)
    }

    /// What is wrong with each damaged one.
    ///
    /// # Errors
    /// `NewerFormat`, or `Io` when the folder cannot be listed.
    pub fn damaged(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for (_, path) in self.list()? {
            match whole::<serde::de::IgnoredAny>(&path) {
                Err(error @ Error::NewerFormat { .. }) => return Err(error),
                whole => problems.extend(whole.err().map(|error| error.to_string())),
            }
        }
        Ok(problems)
    }

    /// Deletes all checkpoints but the newest ones; with 0 the training begins anew.
    pub fn keep(&self, newest: usize) {
        for (_, old) in self.list().unwrap_or_default().iter().rev().skip(newest) {
            // A leftover does no harm; failing because of it would.
            let _ = fs::remove_dir_all(old);
        }
    }

    /// All checkpoints, oldest first.
    fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(Error::io("read the folder", &self.dir))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(nimg) = name.strip_prefix(PREFIX).and_then(|n| n.parse().ok()) {
                found.push((nimg, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }
}

fn read<P: for<'de> Deserialize<'de>>(path: &Path) -> Result<Checkpoint<P>> {
    let header = whole(path)?;
    if header.format < FORMAT {
        return Err(Error::Unusable(format!(
            "`{}` was made by an older sida, which drew other numbers (format {}; this one writes {FORMAT}): the training begins anew",
            terminal::path(path),
            header.format
        )));
    }
    let (state, _) = safetensors::read(&path.join(STATE))?;
    Ok(Checkpoint { nimg: header.nimg, state, progress: header.progress, path: path.to_path_buf() })
}

/// What is known of a checkpoint that holds what was saved.
fn whole<P: for<'de> Deserialize<'de>>(path: &Path) -> Result<Header<P>> {
    let header = header(path)?;
    let file = path.join(STATE);
    if let Some(problem) = header.state.damage(&file, true) {
        return Err(Error::bad_file(&file, "whole checkpoint", format!("it {problem}")));
    }
    Ok(header)
}

/// What is known of a checkpoint besides its tensors.
fn header<P: for<'de> Deserialize<'de>>(path: &Path) -> Result<Header<P>> {
    let file = path.join(HEADER);
    let text = read_small(&file, "checkpoint", LONGEST)?;
    let bad = |e: serde_json::Error| Error::bad_file(&file, "checkpoint", json_words(&e));
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(bad)?;
    let found = value["format"].as_u64().unwrap_or(0);
    if found > FORMAT {
        return Err(Error::NewerFormat { path: file, found, known: FORMAT });
    }
    serde_json::from_value(value).map_err(bad)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    fn state(value: f32) -> StateDict {
        StateDict::from([("w".to_owned(), TensorData::new(vec![value, 2.0], [2]))])
    }

    #[test]
    fn the_newest_readable_checkpoint_wins() {
        let dir = tempfile::tempdir().unwrap();
        let store = CheckpointStore::new(dir.path());
        assert!(store.latest::<u8>(u64::MAX).unwrap().is_none());
        for nimg in [100, 200, 300] {
            store.save(nimg, &state(nimg as f32), &7u8).unwrap();
        }
        assert_eq!(store.list().unwrap().len(), KEPT);
        let newest = store.latest::<u8>(u64::MAX).unwrap().unwrap();
        assert_eq!((newest.nimg, newest.progress), (300, 7));
        assert_eq!(newest.state, state(300.0));
        assert_eq!(store.latest::<u8>(250).unwrap().unwrap().nimg, 200);
        // One bit of one number: still a file of tensors, but another state.
        assert_eq!(store.damaged().unwrap(), [] as [String; 0]);
        let file = dir.path().join("checkpoint-0000000300/state.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(store.latest::<u8>(u64::MAX).unwrap().unwrap().nimg, 200);
        let damaged = store.damaged().unwrap();
        assert!(damaged.len() == 1 && damaged[0].contains("was changed after it was made"), "{damaged:?}");
    }

    #[test]
    fn no_training_goes_on_from_an_older_format() {
        let dir = tempfile::tempdir().unwrap();
        let store = CheckpointStore::new(dir.path());
        store.save(100, &state(1.0), &()).unwrap();
        let file = dir.path().join("checkpoint-0000000100/checkpoint.json");
        let older = fs::read_to_string(&file).unwrap().replace("\"format\": 3", "\"format\": 2");
        fs::write(&file, older).unwrap();
        assert!(store.latest::<()>(u64::MAX).unwrap().is_none());
        assert_eq!(store.damaged().unwrap(), [] as [String; 0], "it is whole for all that");
        let error = read::<()>(file.parent().unwrap()).unwrap_err().to_string();
        assert!(error.contains("drew other numbers (format 2; this one writes 3)"), "{error}");
    }

    #[test]
    fn a_newer_format_is_refused_and_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = CheckpointStore::new(dir.path());
        store.save(100, &state(1.0), &()).unwrap();
        let file = dir.path().join("checkpoint-0000000100/checkpoint.json");
        let newer = fs::read_to_string(&file).unwrap().replace("\"format\": 3", "\"format\": 9");
        fs::write(&file, newer).unwrap();
        assert!(matches!(store.latest::<()>(u64::MAX), Err(Error::NewerFormat { found: 9, .. })));
    }
}
