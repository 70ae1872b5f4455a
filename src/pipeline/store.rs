//! `Store`: every finished stage once, whichever pipeline or point of a sweep made it.
//!
//! `runs/_store/<stage>-<key>/` holds a stage; a pipeline's own folder holds links to its stages (`home.rs`).

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::{FORMAT, StageKey};
use crate::{
    Error, Result,
    checkpoint::{Asked, CheckpointStore, Holder, Lease, Watch, atomic, is_checkpoint},
    formats::{Digest, UNFINISHED, read_small},
    stage_name::StageName,
    stages::{Artifact, Finished, Stage},
    terminal,
    training::Guard,
};

/// The store's folder in the folder of runs; no pipeline can be called so.
pub const FOLDER: &str = crate::pipeline_name::STORE;
const ARTIFACT: &str = "artifact.json";
const RECORD: &str = "stage.json";
/// Far more than either has: an artifact lists the files of its stage.
const MOST_BYTES: u64 = 64 << 20;

/// The store in a folder of runs.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What lies in a stage's folder.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub enum State {
    /// Nothing.
    Absent,
    /// An unfinished stage, with the images that its last checkpoint has seen.
    Begun(Option<u64>),
    /// A training that diverged: it would again, unless its guard has changed.
    Diverged(Divergence),
    /// A finished stage with something wrong, in words.
    Damaged(String),
    /// A finished stage.
    Done(Finished),
}

/// How a training diverged, as its `stage.json` keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// When, in thousands of images.
    pub kimg: f64,
    /// What was seen, in words.
    pub seen: String,
    /// The guard that stopped it; `None` where that is not known.
    #[serde(default)]
    guard: Option<Guard>,
}

impl Divergence {
    /// That of a stage.
    pub fn new(kimg: f64, seen: String, stage: &dyn Stage) -> Self {
        Self { kimg, seen, guard: stage.guard().cloned() }
    }

    /// Whether the stage would end so again: its key says that the values are the same, but a guard is in no key.
    pub fn holds(&self, stage: &dyn Stage) -> bool {
        self.guard.as_ref() == stage.guard()
    }
}

/// What a finished stage's `artifact.json` holds.
#[derive(Serialize, Deserialize)]
struct ArtifactFile {
    format: u64,
    artifact: Artifact,
    /// What the files beside it hold, by name.
    files: IndexMap<String, Digest>,
}

/// A stage's folder, whatever state it is in.
#[derive(Clone, Debug)]
pub struct StageFolder {
    /// Where.
    pub dir: PathBuf,
    /// Its `stage.json`.
    pub record: Value,
    /// When that was written.
    pub modified: SystemTime,
    /// Whether the stage is finished.
    pub done: bool,
}

impl Store {
    /// The store in the folder `runs`, which need not exist.
    pub fn of(runs: &Path) -> Self {
        Self { root: runs.join(FOLDER) }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a stage. Its name has the beginning of the key, and all of it where another stage has that name.
    ///
    /// # Errors
    /// `NewerFormat`.
    pub fn dir(&self, stage: &StageName, key: &StageKey) -> Result<PathBuf> {
        let short = self.root.join(format!("{stage}-{}", key.short()));
        let other = read_folder(&short)?.is_some_and(|folder| !folder.is_of(key));
        Ok(if other { self.root.join(format!("{stage}-{key}")) } else { short })
    }

    /// All folders of stages of this name, for whatever keys.
    ///
    /// # Errors
    /// `NewerFormat` for a folder that a newer program wrote.
    pub fn all_of(&self, stage: &StageName) -> Result<Vec<StageFolder>> {
        let named = |name: &str| name.rsplit_once('-').is_some_and(|(of, _)| of == stage.as_str());
        let names = self.names().into_iter().filter(|name| named(name));
        names.filter_map(|name| self.folder(&name).transpose()).collect()
    }

    /// A stage's folder by its name; `None` where it holds no stage.
    ///
    /// # Errors
    /// `NewerFormat`.
    pub fn folder(&self, name: &str) -> Result<Option<StageFolder>> {
        read_folder(&self.root.join(name))
    }

    /// The names of all stages' folders.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with(['.', '_'])).collect();
        names.sort();
        names
    }
}

impl StageFolder {
    /// What the stage made, as its file says, whatever became of the other files; `None` where it is not finished, and
    /// where that file is damaged.
    ///
    /// # Errors
    /// `NewerFormat`.
    pub fn artifact(&self) -> Result<Option<Artifact>> {
        Ok(read_artifact(&self.dir)?.map(|file| file.artifact))
    }

    /// Whether it is the one of this key.
    fn is_of(&self, key: &StageKey) -> bool {
        self.record.get("key").and_then(Value::as_str) == Some(&key.to_string())
    }
}

/// The file that says who makes the stage in `dir` now.
pub fn lease(dir: &Path) -> PathBuf {
    dir.with_added_extension("lease")
}

/// What lies in a stage's folder; a file that was not written since is believed, unless `thorough`.
///
/// # Errors
/// `NewerFormat` for a folder that a newer program wrote.
pub fn state(dir: &Path, thorough: bool) -> Result<State> {
    let Some(folder) = read_folder(dir)? else { return Ok(State::Absent) };
    if !folder.done {
        let diverged = folder.record.get("diverged").cloned();
        if let Some(divergence) = diverged.and_then(|value| serde_json::from_value(value).ok()) {
            return Ok(State::Diverged(divergence));
        }
        return Ok(State::Begun(CheckpointStore::new(dir).newest()));
    }
    let Some(ArtifactFile { artifact, files, .. }) = read_artifact(dir)? else {
        return Ok(State::Damaged(format!("its `{ARTIFACT}` is damaged")));
    };
    // A training may lose old snapshots: nothing reads them.
    let counts = |name: &str| match &artifact {
        Artifact::Network(network) => network.weights == Path::new(name),
        _ => true,
    };
    let counted = files.iter().filter(|(name, _)| counts(name));
    if let Some(problem) = damage(dir, counted, thorough).next() {
        return Ok(State::Damaged(problem));
    }
    if let Artifact::Dataset(dataset) = &artifact
        && !dir.join(&dataset.path).exists()
    {
        return Ok(State::Damaged(format!("`{}` is gone", terminal::path(&dataset.path))));
    }
    Ok(State::Done(Finished::new(dir.to_path_buf(), artifact, folder.record)))
}

/// Everything that is wrong in the folder of a finished stage, by reading all of it.
///
/// # Errors
/// `NewerFormat`.
pub fn verify(dir: &Path) -> Result<Vec<String>> {
    match read_artifact(dir)? {
        Some(file) => Ok(damage(dir, file.files.iter(), true).collect()),
        None => Ok(vec![format!("its `{ARTIFACT}` is damaged")]),
    }
}

fn damage<'a>(
    dir: &Path,
    files: impl Iterator<Item = (&'a String, &'a Digest)>,
    thorough: bool,
) -> impl Iterator<Item = String> {
    files.filter_map(move |(name, digest)| {
        digest.damage(&dir.join(name), thorough).map(|what| format!("`{name}` {what}"))
    })
}

/// Removes what is wrong in the folder of a finished stage, so that it is made again: of a training the weights alone,
/// which its last checkpoint may still have, of anything else all.
///
/// # Errors
/// `Io`.
pub fn clear_damaged(dir: &Path) -> Result<()> {
    let file = read_artifact(dir)?;
    let Some(ArtifactFile { artifact: Artifact::Network(network), .. }) = file else {
        return fs::remove_dir_all(dir).map_err(Error::io("remove the folder", dir));
    };
    [Path::new(ARTIFACT), &network.weights].iter().try_for_each(|name| atomic::remove_file(&dir.join(name)))
}

/// Removes a stage, unless somebody makes it now: who does.
///
/// # Errors
/// `Io`.
pub fn remove(dir: &Path) -> Result<Option<Holder>> {
    match Lease::ask(&lease(dir), &mut Watch::default())? {
        Asked::Busy(holder) => Ok(Some(holder)),
        Asked::Held(_lease) => {
            fs::remove_dir_all(dir).map_err(Error::io("remove the folder", dir))?;
            Ok(None)
        }
    }
}

/// Writes `artifact.json`, with digests of what lies beside it: from now on the stage is done.
///
/// # Errors
/// `Io`.
pub fn write_artifact(dir: &Path, artifact: &Artifact) -> Result<()> {
    let mut files = IndexMap::new();
    for entry in fs::read_dir(dir).map_err(Error::io("list the folder", dir))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let own = name == ARTIFACT || name == RECORD || name.starts_with(UNFINISHED) || is_checkpoint(&name);
        if !own {
            files.insert(name, Digest::of(&entry.path())?);
        }
    }
    files.sort_keys();
    write_json(&dir.join(ARTIFACT), &ArtifactFile { format: FORMAT, artifact: artifact.clone(), files })
}

/// Writes `stage.json`.
///
/// # Errors
/// `Io`.
pub fn write_record(dir: &Path, record: &Value) -> Result<()> {
    write_json(&dir.join(RECORD), record)
}

/// The first format whose stages lie in the store.
const IN_STORE: u64 = 2;

/// Whether a folder holds a stage of another layout than the store's: a program before it wrote that.
///
/// # Errors
/// `NewerFormat`.
pub(super) fn is_older(dir: &Path) -> Result<bool> {
    let format = read_folder(dir)?.and_then(|folder| folder.record.get("format")?.as_u64());
    Ok(format.is_some_and(|format| format < IN_STORE))
}

/// Whether a folder is a stage's, whatever is in it.
pub fn is_stage(dir: &Path) -> bool {
    dir.join(RECORD).exists()
}

/// A stage's folder; `None` where it holds no stage.
///
/// # Errors
/// `NewerFormat`.
pub fn read_folder(dir: &Path) -> Result<Option<StageFolder>> {
    let path = dir.join(RECORD);
    let Some(record) = read_json(&path)? else { return Ok(None) };
    let modified = fs::metadata(&path).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(Some(StageFolder { dir: dir.to_path_buf(), record, modified, done: dir.join(ARTIFACT).is_file() }))
}

fn read_artifact(dir: &Path) -> Result<Option<ArtifactFile>> {
    Ok(read_json(&dir.join(ARTIFACT))?.and_then(|value| serde_json::from_value(value).ok()))
}

/// A file of this program's; `None` where it is absent or damaged.
fn read_json(path: &Path) -> Result<Option<Value>> {
    let text = read_small(path, "record of a stage", MOST_BYTES).ok();
    let value = text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    match value.as_ref().and_then(|value| value.get("format")?.as_u64()) {
        Some(found) if found > FORMAT => {
            Err(Error::NewerFormat { path: path.to_path_buf(), found, known: FORMAT })
        }
        _ => Ok(value),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Unusable(format!("cannot write `{}`: {error}", terminal::path(path))))?;
    text.push('\n');
    atomic::write(path, text.as_bytes())
}
