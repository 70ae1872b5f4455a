//! Looking after the store: reading everything once, and finding what no pipeline refers to.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    home,
    store::{self, FOLDER, StageFolder, Store},
};
use crate::{Error, Result, checkpoint::CheckpointStore, formats::Digest};

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
    let candidates = if store::read_folder(path)?.is_some() {
        vec![path.to_path_buf()]
    } else if path.join(FOLDER).is_dir() {
        let store = Store::of(path);
        store.names().iter().map(|name| store.root().join(name)).collect()
    } else {
        home::stages(path)?.iter().map(|name| path.join(name)).collect()
    };
    let folders = candidates.iter().filter_map(|dir| store::read_folder(dir).transpose());
    let folders = folders.collect::<Result<Vec<_>>>()?;
    if folders.is_empty() {
        let path = crate::terminal::path(path);
        return Err(Error::Usage(format!("`{path}` is no folder of runs: name one such as runs/quickstart")));
    }
    folders.into_iter().map(of_stage).collect()
}

fn of_stage(StageFolder { dir: folder, done: finished, .. }: StageFolder) -> Result<Verified> {
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
