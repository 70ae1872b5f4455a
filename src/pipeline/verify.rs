//! Looking after the store: reading everything once, and removing what no pipeline refers to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    home,
    store::{self, FOLDER, Store},
};
use crate::{
    Error, Result,
    checkpoint::{Asked, CheckpointStore, Lease, Watch},
    formats::Digest,
};

/// What was found in a stage's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The folder.
    pub folder: PathBuf,
    /// Whether the stage is finished.
    pub finished: bool,
    /// Everything that is wrong.
    pub problems: Vec<String>,
}

/// Reads all finished stages and checkpoints that `path` refers to: a folder of runs, a pipeline's own folder, or a
/// stage's. Nothing is changed.
///
/// # Errors
/// `Usage` where there is nothing of that kind; `NewerFormat`.
pub fn verify(path: &Path) -> Result<Vec<Verified>> {
    if !path.is_dir() {
        return Err(Error::Usage(format!("there is no folder `{}`", crate::terminal::path(path))));
    }
    let folders: Vec<PathBuf> = if path.join("stage.json").is_file() {
        vec![path.to_path_buf()]
    } else if path.join(FOLDER).is_dir() {
        let store = Store::of(path);
        store.names().iter().map(|name| store.root().join(name)).collect()
    } else {
        let own = home::stages(path)?;
        own.iter().map(|name| path.join(name)).filter(|stage| stage.join("stage.json").is_file()).collect()
    };
    if folders.is_empty() {
        let path = crate::terminal::path(path);
        return Err(Error::Usage(format!("`{path}` is no folder of runs: name one such as runs/quickstart")));
    }
    folders.into_iter().map(of_stage).collect()
}

fn of_stage(folder: PathBuf) -> Result<Verified> {
    let finished = folder.join("artifact.json").is_file();
    let mut problems = if finished { store::verify(&folder)? } else { Vec::new() };
    problems.extend(CheckpointStore::new(&folder).damaged()?);
    Ok(Verified { folder, finished, problems })
}

/// A stage that no pipeline's folder refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// Its folder.
    pub folder: PathBuf,
    /// Size of all that is in it.
    pub bytes: u64,
}

/// The stages that no pipeline's folder refers to.
///
/// # Errors
/// `NewerFormat` and `Unusable` for what another version of the program made.
pub fn unused(runs: &Path) -> Result<Vec<Unused>> {
    let used = home::all_stages(runs)?;
    let store = Store::of(runs);
    let names = store.names().into_iter().filter(|name| !used.contains(name));
    let unused = names.map(|name| {
        let folder = store.root().join(name);
        Ok(Unused { bytes: Digest::size(&folder)?, folder })
    });
    unused.collect()
}

/// Removes a stage, unless somebody makes it now; says whether it did.
///
/// # Errors
/// `Io`.
pub fn remove(unused: &Unused) -> Result<bool> {
    match Lease::ask(&store::lease(&unused.folder), &mut Watch::default())? {
        Asked::Busy(_) => Ok(false),
        Asked::Held(_lease) => {
            fs::remove_dir_all(&unused.folder).map_err(Error::io("remove the folder", &unused.folder))?;
            Ok(true)
        }
    }
}
