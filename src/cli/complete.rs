//! What a shell offers while a command is typed: besides verbs and options, the stages and points of the file that the command
//! names. Whatever is wrong, nothing is offered and nothing is said; what is offered is plain text.

use std::{
    env,
    ffi::OsStr,
    panic,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _},
    env::Shells,
};

use super::{args::Cli, output};
use crate::{Error, Result, pipeline::names, terminal};

/// The variable with which a shell's script asks.
const ASKS: &str = "SIDA_COMPLETE";
/// Longer than reading a file takes; nobody waits for a shell longer.
const PATIENCE: Duration = Duration::from_millis(800);
/// More points than a shell shows.
const MAX_POINTS: usize = 200;

/// A shell that can be told what to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    /// `source <(sida completions bash)` in `~/.bashrc`.
    Bash,
    /// `eval (sida completions elvish | slurp)` in `rc.elv`.
    Elvish,
    /// `sida completions fish | source` in `config.fish`.
    Fish,
    /// `sida completions powershell | Out-String | Invoke-Expression` in `$PROFILE`.
    Powershell,
    /// `source <(sida completions zsh)` in `~/.zshrc`, after `compinit`.
    Zsh,
}

/// Prints the script with which a shell asks this program what to offer.
///
/// # Errors
/// `Unusable` where the script cannot be made, which is a mistake of ours.
pub(super) fn print(shell: Shell) -> Result<()> {
    let value = shell.to_possible_value();
    let name = value.as_ref().map_or("", |value| value.get_name());
    let (shells, mut script) = (Shells::builtins(), Vec::new());
    let known = shells.completer(name).ok_or_else(|| Error::Unusable(format!("no script for {name}")))?;
    let written = known.write_registration(ASKS, "sida", "sida", "sida", &mut script);
    written.map_err(|error| Error::Unusable(format!("no script for {name}: {error}")))?;
    output::line(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

/// Answers a shell that asks; says whether one did.
pub(super) fn answered() -> bool {
    if env::var_os(ASKS).is_none_or(|shell| shell.is_empty()) {
        return false;
    }
    panic::set_hook(Box::new(|_| {}));
    let answer = || {
        CompleteEnv::with_factory(Cli::command)
            .var(ASKS)
            .try_complete(env::args_os(), env::current_dir().ok().as_deref())
    };
    // A shell shows what is said on standard error in the middle of the line that is typed.
    drop(panic::catch_unwind(panic::AssertUnwindSafe(answer)));
    true
}

/// Pipeline files, and folders on the way to them.
pub(super) fn pipelines() -> ArgValueCompleter {
    paths(|path| path.is_file() && is_yaml(path))
}

/// Any file or folder.
pub(super) fn files() -> ArgValueCompleter {
    paths(|_| true)
}

fn paths(wanted: fn(&Path) -> bool) -> ArgValueCompleter {
    let of_path = PathCompleter::any().filter(wanted);
    ArgValueCompleter::new(move |current: &OsStr| {
        let mut found = of_path.complete(current);
        found.retain(|candidate| is_shown(candidate.get_value()));
        found
    })
}

/// The stages of the file that the command names.
pub(super) fn stages() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| matching(current, named(names::stage_names)))
}

/// The points of the sweep that the command names: by number, and by label where a shell can take that as one word.
pub(super) fn points() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let labels = named(names::point_labels);
        let plain = |label: &&String| label.chars().all(|c| c.is_ascii_alphanumeric() || "._=-".contains(c));
        let by_label = labels.iter().filter(plain).take(MAX_POINTS).cloned().collect();
        let number = |(i, label): (usize, &String)| {
            let label = terminal::name(label).into_owned();
            CompletionCandidate::new((i + 1).to_string()).help(Some(label.into()))
        };
        let by_number = labels.iter().enumerate().take(MAX_POINTS).map(number);
        let by_number = by_number.filter(|candidate| begins(candidate.get_value(), current));
        by_number.chain(matching(current, by_label)).collect()
    })
}

/// Devices that this program was built for.
pub(super) fn devices() -> ArgValueCompleter {
    let gpus = [("cuda:0", cfg!(feature = "cuda")), ("wgpu:0", cfg!(feature = "wgpu"))];
    let gpus = gpus.into_iter().filter(|(_, built)| *built).map(|(name, _)| name);
    let known: Vec<String> = ["auto", "cpu"].into_iter().chain(gpus).map(str::to_owned).collect();
    ArgValueCompleter::new(move |current: &OsStr| matching(current, known.clone()))
}

fn matching(current: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let matching = names.into_iter().filter(|name| begins(OsStr::new(name), current));
    matching.map(CompletionCandidate::new).collect()
}

fn begins(name: &OsStr, with: &OsStr) -> bool {
    name.to_string_lossy().starts_with(&*with.to_string_lossy())
}

/// What is read from the file that the command names, unless that takes too long.
fn named(read: fn(&Path) -> Vec<String>) -> Vec<String> {
    let Some(file) = file() else { return Vec::new() };
    let (done, waits) = mpsc::channel();
    thread::spawn(move || done.send(read(&file)));
    waits.recv_timeout(PATIENCE).unwrap_or_default()
}

/// The first word that is called like a pipeline file, of the command that is being typed: it stands behind `--`.
fn file() -> Option<PathBuf> {
    let typed = env::args_os().skip_while(|word| word != "--").skip(1);
    let file = typed.map(PathBuf::from).find(|path| is_yaml(path))?;
    match file.strip_prefix("~") {
        Ok(rest) => Some(env::home_dir()?.join(rest)),
        Err(_) => Some(file),
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Whether a shell and the terminal behind it do nothing else with a name than show it.
fn is_shown(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| !name.contains(terminal::is_obeyed))
}
