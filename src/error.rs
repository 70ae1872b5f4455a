//! The one `Error` of the crate: data about who, what and where, and the exit code that follows from it.
//!
//! Messages are lowercase fragments with `ticked` names. What a user or a file can cause is an `Error`;
//! what only we can cause may panic.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::terminal::{self, name};

/// `std::result::Result` with the crate's `Error`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, grouped by the exit code it leads to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ------------------------------------------------------------------ 1: failed while running
    /// The operating system refused: absent, read-only, full.
    #[error("cannot {action} `{}`: {source}", terminal::path(path))]
    Io {
        /// A verb with its object, such as `read` or `create the folder`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// A file is not what its place says it is: truncated, malformed, inconsistent, too large.
    #[error("`{}` is not a usable {format}: {}", terminal::path(path), name(problem))]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What it should have been, such as `network pickle` or `dataset zip`.
        format: &'static str,
        /// What is wrong in it, and what to do.
        problem: String,
    },
    /// A pickle asks for something that is not data. Nothing was executed.
    #[error(
        "`{}` refers to `{}`, which is not data: refused, and nothing in the file was executed",
        terminal::path(path),
        name(global)
    )]
    ForbiddenGlobal {
        /// The file.
        path: PathBuf,
        /// `module.name` as the pickle gives it.
        global: String,
    },
    /// Weights lack a tensor that the network needs.
    #[error("{origin} has no tensor `{}`, which the network needs", name(tensor))]
    MissingTensor {
        /// The file, or what else the weights come from.
        origin: String,
        /// The reference's name.
        tensor: String,
    },
    /// Weights hold a tensor that the network does not have.
    #[error(
        "{origin} has a tensor `{}` that the network does not have: the architecture differs",
        name(tensor)
    )]
    UnexpectedTensor {
        /// The file, or what else the weights come from.
        origin: String,
        /// The reference's name.
        tensor: String,
    },
    /// A tensor has another shape than the network's settings imply.
    #[error(
        "{origin}: tensor `{}` is {found:?}, but the network's settings make it {expected:?}",
        name(tensor)
    )]
    ShapeMismatch {
        /// The file, or what else the weights come from.
        origin: String,
        /// The reference's name.
        tensor: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that the settings imply.
        expected: Vec<usize>,
    },
    /// A tensor holds NaN or infinity, with which every image would be wrong.
    #[error(
        "{origin}: tensor `{}` holds {value}: the file is damaged, or the training that made it diverged",
        name(tensor)
    )]
    NotFinite {
        /// The file, or what else the tensor comes from.
        origin: String,
        /// The reference's name.
        tensor: String,
        /// What it holds, as f32.
        value: f32,
    },
    /// A network made NaN or infinity where images should be.
    #[error("{made_by} holds values that are not finite: no image is made of them; {advice}")]
    NotImages {
        /// What holds them.
        made_by: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A download failed.
    #[error("cannot download {}: {}", name(url), name(problem))]
    Download {
        /// The address.
        url: String,
        /// What happened.
        problem: String,
    },
    /// Another process makes a stage that was to be removed.
    #[error("`{}` is being made by {holder}: wait for it, or stop it", terminal::path(path))]
    Busy {
        /// The stage's folder.
        path: PathBuf,
        /// The other process, in words.
        holder: String,
    },
    /// Files are not what they were when they were made.
    #[error("{damaged} of {total} stages are damaged; `sida run` makes what is needed again")]
    Damaged {
        /// Stages with something wrong.
        damaged: usize,
        /// All that were read.
        total: usize,
    },
    /// This process was stopped for so long that another makes its stage now.
    #[error(
        "the lease `{}` is another's now: this process was not heard of for too long",
        terminal::path(path)
    )]
    LeaseLost {
        /// The lease.
        path: PathBuf,
    },
    /// Another of the processes that work on this run together is gone, or cannot go on.
    #[error("rank {rank} on `{}` is lost: {}", name(host), name(words))]
    RankLost {
        /// Its number.
        rank: usize,
        /// Its machine.
        host: String,
        /// What it said last, or what is known of it.
        words: String,
    },
    /// Trainings of a sweep diverged.
    #[error("{diverged} of {total} sweep points diverged")]
    SweepPointsDiverged {
        /// Points whose training diverged.
        diverged: usize,
        /// All points.
        total: usize,
    },
    /// A folder was written by a newer version of the program.
    #[error(
        "`{}` was written by a newer sida (format {found}, this one knows {known}): update, or give --runs another folder",
        terminal::path(path)
    )]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Format number in the file.
        found: u64,
        /// Newest format that this program reads.
        known: u64,
    },
    /// A request that makes no sense for the data at hand, found only when the data were read.
    #[error("{0}")]
    Unusable(String),
    // ------------------------------------------------------------------ 2: the file or the command is wrong
    /// The pipeline file has mistakes; all of them, rendered with line, column and caret.
    #[error("{rendered}")]
    Mistakes {
        /// Those that are shown, each as a JSON object.
        mistakes: Vec<serde_json::Value>,
        /// The full text for a terminal.
        rendered: String,
    },
    /// The command line asks for something impossible.
    #[error("{0}")]
    Usage(String),
    /// A device was asked for that is not there.
    #[error("no device `{asked}`: {reason}")]
    NoDevice {
        /// What the user wrote after `--device`.
        asked: String,
        /// Why not, and what there is.
        reason: String,
    },
    // ------------------------------------------------------------------ 3, 4, 130
    /// A measured value is worse than the pipeline's `expect:` allows.
    #[error("{failed} of {total} expectations not met")]
    ExpectationsNotMet {
        /// How many failed.
        failed: usize,
        /// How many there were.
        total: usize,
    },
    /// Training ran away; the last good checkpoint is kept.
    #[error("stage `{stage}` diverged at {kimg} kimg: {seen}")]
    Diverged {
        /// The stage.
        stage: String,
        /// When.
        kimg: f64,
        /// What was seen, and which checkpoint is the last good one.
        seen: String,
    },
    /// SIGINT, SIGTERM or SIGHUP; the state was saved.
    #[error("interrupted: the state is saved, and the same command (without --force) continues")]
    Interrupted,
    /// Some points of a sweep failed; the others are finished.
    #[error("{failed} of {total} sweep points failed")]
    SweepPointsFailed {
        /// How many failed.
        failed: usize,
        /// How many there were.
        total: usize,
    },
}

impl Error {
    /// The exit code of the process: see the README's table.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Mistakes { .. } | Self::Usage(_) | Self::NoDevice { .. } => 2,
            Self::ExpectationsNotMet { .. } => 3,
            Self::Diverged { .. } | Self::SweepPointsDiverged { .. } => 4,
            Self::Interrupted => 130,
            _ => 1,
        }
    }

    /// Whether something could not be written because nothing can be written there.
    pub fn is_read_only(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }

    /// For `map_err`: an `Io` error about `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| {
            let source = without_path(source);
            let advice = match source.kind() {
                io::ErrorKind::StorageFull => {
                    Some("the disk is full: make room, and the same command continues")
                }
                io::ErrorKind::QuotaExceeded => {
                    Some("your quota is used up: make room, and the same command continues")
                }
                io::ErrorKind::FileTooLarge => Some(
                    "files may not grow so large here: raise `ulimit -f`, and the same command continues",
                ),
                _ => None,
            };
            let kind = source.kind();
            let source = advice.map_or(source, |advice| io::Error::new(kind, advice));
            Self::Io { action, path, source }
        }
    }

    /// A `BadFile` error about `path`.
    pub fn bad_file(path: impl AsRef<Path>, format: &'static str, problem: impl Into<String>) -> Self {
        Self::BadFile { path: path.as_ref().to_path_buf(), format, problem: problem.into() }
    }
}

/// The system's own error: that of a temporary file comes with its path, which nobody knows.
fn without_path(error: io::Error) -> io::Error {
    let own = error.get_ref().and_then(|inner| inner.source()?.downcast_ref::<io::Error>()?.raw_os_error());
    own.map_or(error, io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_contract() {
        assert_eq!(Error::Unusable(String::new()).exit_code(), 1);
        assert_eq!(Error::Usage(String::new()).exit_code(), 2);
        assert_eq!(Error::ExpectationsNotMet { failed: 1, total: 2 }.exit_code(), 3);
        assert_eq!(Error::Diverged { stage: "sid".into(), kimg: 1.0, seen: String::new() }.exit_code(), 4);
        assert_eq!(Error::Interrupted.exit_code(), 130);
    }
}
