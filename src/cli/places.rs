//! Where runs and downloads are, and what else of a file is said on the command line.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{complete, spread::word};
use crate::{
    Error, Result,
    pipeline::{Places, Setting, Source},
    stages::{LockFile, Mirrors, Web},
    terminal,
};

/// Options about places and settings, which several verbs share.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Folder of runs. Default: `$SIDA_RUNS`, else `runs`.
    #[arg(long, value_name = "DIR", add = complete::files())]
    runs: Option<PathBuf>,
    /// Set a value by its dotted path, such as `stages.sid.distill.generator.lr=1e-5`. Can be repeated.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Ask nobody for files: name those that are not in the cache, and end with an error where they are needed.
    #[arg(long)]
    offline: bool,
    /// Ask for addresses that begin with the first at the second, such as `https://huggingface.co=https://hub.local`. Can be
    /// repeated.
    #[arg(long, value_name = "PREFIX=PREFIX")]
    mirror: Vec<String>,
}

impl PlaceArgs {
    /// The settings.
    pub(super) fn settings(&self) -> Result<Vec<Setting>> {
        self.set.iter().map(|text| Setting::parse(text)).collect()
    }

    /// The same as words of a command, the folder of runs also where a variable gives it.
    pub(super) fn words(&self) -> Vec<String> {
        let runs = self.runs.clone().or_else(|| set_variable("SIDA_RUNS"));
        let runs = runs.iter().flat_map(|runs| ["--runs".to_owned(), word(runs)]);
        let set = self.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]);
        let offline = self.offline.then(|| "--offline".to_owned());
        let mirrors = self.mirror.iter().flat_map(|mirror| ["--mirror".to_owned(), mirror.clone()]);
        runs.chain(set).chain(offline).chain(mirrors).collect()
    }

    /// Where things are for a file.
    ///
    /// # Errors
    /// `Usage` for a mirror that is none, and for a lock file that cannot be read.
    pub(super) fn places(&self, source: &Source) -> Result<Places> {
        let web = Web { offline: self.offline, mirrors: Mirrors::parse(&self.mirror)?, ..Web::default() };
        let lock = LockFile::beside(&source.path);
        lock.check()?;
        let search = source.search.clone();
        Ok(Places { runs: self.runs(), cache: cache(), search, lock: Some(lock), web })
    }

    /// Whether nobody is to be asked.
    pub(super) fn is_offline(&self) -> bool {
        self.offline
    }

    /// The folder of runs, where the command line says it.
    pub(super) fn given(&self) -> Option<&Path> {
        self.runs.as_deref()
    }

    /// The folder of runs.
    pub(super) fn runs(&self) -> PathBuf {
        self.runs.clone().unwrap_or_else(runs)
    }
}

/// Folder of runs, where the command line says none: `$SIDA_RUNS`, else `runs`.
pub(super) fn runs() -> PathBuf {
    set_variable("SIDA_RUNS").unwrap_or_else(|| PathBuf::from("runs"))
}

/// Folder for downloads: `$SIDA_CACHE`, else the user's cache.
pub(super) fn cache() -> PathBuf {
    let home = || env::home_dir().unwrap_or_default().join(".cache");
    set_variable("SIDA_CACHE")
        .unwrap_or_else(|| set_variable("XDG_CACHE_HOME").unwrap_or_else(home).join("sida"))
}

fn set_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Records are JSON, which is UTF-8: a folder that is not would be found out when everything else is done. `given` is what the
/// command line says of the folder of runs.
///
/// # Errors
/// `Usage`.
pub(super) fn folders_are_text(given: Option<&Path>) -> Result<()> {
    let here = env::current_dir().unwrap_or_default();
    let runs = if given.is_some() { "--runs" } else { "SIDA_RUNS" };
    let folders = [
        (runs, given.map_or_else(self::runs, Path::to_path_buf)),
        ("SIDA_CACHE", cache()),
        ("the working directory", here),
    ];
    match folders.iter().find(|(_, folder)| folder.to_str().is_none()) {
        None => Ok(()),
        Some((what, folder)) => Err(Error::Usage(format!(
            "`{}` is not UTF-8 text, and cannot be kept in records: give {what} another name",
            terminal::path(folder)
        ))),
    }
}
