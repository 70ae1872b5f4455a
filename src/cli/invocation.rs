//! What a run was asked for, as its pages say it.

use std::{env, path::Path, process::Command};

pub(super) use crate::terminal::quoted;
use crate::{formats::sha256, pipeline::Source, report::Invocation, terminal};

/// The file, the command and the commit of a run.
pub(super) fn of(source: &Source) -> Invocation {
    Invocation {
        file: terminal::path(&source.path),
        sha256: sha256::of_bytes(source.text.as_bytes()),
        command: command(),
        commit: commit(&source.path),
    }
}

/// The words of this process' command line. What is not UTF-8 is shown as far as it is.
pub(super) fn typed() -> impl Iterator<Item = String> {
    env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())
}

/// This process' command, as a shell reads it, without credentials.
pub(super) fn command() -> String {
    let words = typed().map(|word| quoted(&word));
    ["sida".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// The commit that a file belongs to, where git knows it.
fn commit(file: &Path) -> Option<String> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]);
    let said = git.output().ok().filter(|said| said.status.success())?;
    let commit = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    (!commit.is_empty()).then_some(commit)
}
