//! `Lease`: a stage is made by one process at a time, on one machine or on many that share a file system.
//!
//! The holder renews its file; who waits takes it over when it has not changed for a while by its own clock. Clocks are
//! never compared, and `flock`, which network file systems may not keep, is not used. On one machine a holder that has
//! died is known at once.

use std::{
    fmt,
    fs::{self, File},
    io::{ErrorKind, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::atomic;
use crate::{
    Error, Result,
    formats::{open_own, regular_file},
    process::{Process, host},
};

/// How often a lease is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// A lease that was not renewed for so long may be taken over.
const PATIENCE: Duration = Duration::from_secs(30);
/// A holder that has not renewed for so long looks whether the lease is still its own.
const DOUBT: Duration = Duration::from_secs(15);
/// Of two who take a lease over at once, the later wins; both look again after this time.
const SETTLE: Duration = Duration::from_millis(200);
/// A lease file is smaller.
const LARGEST: u64 = 4096;

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The machine's name.
    pub host: String,
    /// The process there.
    pub process: Process,
    /// Drawn for every lease.
    id: String,
}

/// A lease that is held. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    holder: Holder,
    renewed: Arc<Mutex<Instant>>,
    renewal: Option<(Sender<()>, JoinHandle<()>)>,
}

/// What came of asking for a lease.
#[derive(Debug)]
pub enum Asked {
    /// It is ours.
    Held(Lease),
    /// Somebody else has it.
    Busy(Holder),
}

/// What a process that waits has seen of leases: when each was last different.
#[derive(Debug, Default)]
pub struct Watch(Vec<(PathBuf, Vec<u8>, Instant)>);

impl Lease {
    /// Asks for the lease in the file `path`, whose folder exists. Never waits longer than a moment.
    ///
    /// # Errors
    /// `Io` for a folder that cannot be written; `BadFile` where something lies there that is no file.
    pub fn ask(path: &Path, watch: &mut Watch) -> Result<Asked> {
        let holder = Holder::this_process();
        match File::options().read(true).write(true).create_new(true).open(path) {
            Ok(file) => return Self::hold(path, holder, file).map(Asked::Held),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("write", path)(error)),
        }
        let Some(seen) = read(path) else {
            // Gone just now: the next call finds out. What is no file of a lease never goes.
            return if is_file_or_gone(path) {
                Ok(Asked::Busy(Holder::unknown()))
            } else {
                Err(no_lease(path))
            };
        };
        let other = Holder::of(&seen).unwrap_or_else(Holder::unknown);
        if !other.process.has_died() && !watch.is_old(path, &seen) {
            return Ok(Asked::Busy(other));
        }
        tracing::debug!("the lease `{}` of {other} is taken over", path.display());
        // A rename replaces a link instead of following it.
        if read(path).as_ref() == Some(&seen) {
            atomic::write(path, &holder.text(0))?;
        }
        thread::sleep(SETTLE);
        let file = open_own(File::options().read(true).write(true), path);
        match (holder.owns(path), file) {
            (true, Ok(file)) => Self::hold(path, holder, file).map(Asked::Held),
            _ => Ok(Asked::Busy(other)),
        }
    }

    fn hold(path: &Path, holder: Holder, mut file: File) -> Result<Self> {
        write(&mut file, &holder.text(0)).map_err(Error::io("write", path))?;
        let renewed = Arc::new(Mutex::new(Instant::now()));
        let (stop, stopped) = channel();
        let renewal = thread::Builder::new().name("lease".to_owned()).spawn({
            let (path, holder, renewed) = (path.to_path_buf(), holder.clone(), Arc::clone(&renewed));
            move || {
                let mut count = 0;
                while stopped.recv_timeout(RENEW) == Err(RecvTimeoutError::Timeout) && holder.owns(&path) {
                    count += 1;
                    // Through the file that was opened, never through a path that may be another's by now.
                    if write(&mut file, &holder.text(count)).is_ok() {
                        *renewed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    }
                }
            }
        });
        let renewal = renewal.map_err(Error::io("renew", path))?;
        Ok(Self { path: path.to_path_buf(), holder, renewed, renewal: Some((stop, renewal)) })
    }

    /// To be asked before something is written: whether the lease is still ours. It is not where this process was
    /// stopped for so long that another took over.
    ///
    /// # Errors
    /// `LeaseLost`.
    pub fn check(&self) -> Result<()> {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.elapsed() < DOUBT || self.holder.owns(&self.path) {
            return Ok(());
        }
        Err(Error::LeaseLost { path: self.path.clone() })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((stop, renewal)) = self.renewal.take() {
            drop(stop);
            let _ = renewal.join();
        }
        if self.holder.owns(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Watch {
    /// Whether a lease has not changed for as long as a living holder would let it.
    fn is_old(&mut self, path: &Path, seen: &[u8]) -> bool {
        let known = self.0.iter_mut().find(|(known, _, _)| known == path);
        match known {
            Some((_, before, since)) if before == seen => since.elapsed() >= PATIENCE,
            Some(entry) => {
                (entry.1, entry.2) = (seen.to_vec(), Instant::now());
                false
            }
            None => {
                self.0.push((path.to_path_buf(), seen.to_vec(), Instant::now()));
                false
            }
        }
    }
}

impl Holder {
    fn this_process() -> Self {
        static LEASES: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let id = format!("{now}-{}", LEASES.fetch_add(1, Ordering::Relaxed));
        Self { host: host(), process: Process::this(), id }
    }

    fn unknown() -> Self {
        Self { host: "an unknown machine".to_owned(), process: Process::unknown(), id: String::new() }
    }

    /// The holder in a lease's text.
    fn of(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text.split(|byte| *byte == b'\n').next()?).ok()
    }

    /// What the file holds: it differs with every renewal, and never in length.
    fn text(&self, renewals: u64) -> Vec<u8> {
        let holder = serde_json::to_string(self).expect("plain data");
        format!("{holder}\n{renewals:020}\n").into_bytes()
    }

    fn owns(&self, path: &Path) -> bool {
        read(path).and_then(|text| Self::of(&text)).as_ref() == Some(self)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.process.pid, self.host)
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    regular_file(path).ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(text)
}

/// A folder, a pipe or a link to nowhere is in the way for ever.
fn is_file_or_gone(path: &Path) -> bool {
    let is_link = fs::symlink_metadata(path).is_ok_and(|met| met.is_symlink());
    fs::metadata(path).map_or(!is_link, |met| met.is_file())
}

fn no_lease(path: &Path) -> Error {
    let problem = "it is no file, and nobody can hold it: remove it, and run again";
    Error::bad_file(path, "lease of a stage", problem)
}

fn write(file: &mut File, text: &[u8]) -> std::io::Result<()> {
    file.rewind()?;
    file.write_all(text)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(asked: Asked) -> Lease {
        match asked {
            Asked::Held(lease) => lease,
            Asked::Busy(other) => panic!("held by {other:?}"),
        }
    }

    fn ask(path: &Path) -> Asked {
        Lease::ask(path, &mut Watch::default()).unwrap()
    }

    #[test]
    fn a_lease_is_held_once_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lease");
        let lease = held(ask(&path));
        assert!(matches!(ask(&path), Asked::Busy(other) if other.process == Process::this()));
        lease.check().unwrap();
        drop(lease);
        assert!(!path.exists());
        drop(held(ask(&path)));
    }

    #[test]
    fn a_dead_process_of_this_machine_is_known_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lease");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let known = Process::this().name().replace(&std::process::id().to_string(), &child.id().to_string());
        let dead = Holder { process: Process::of_name(&known).unwrap(), ..Holder::this_process() };
        child.wait().unwrap();
        fs::write(&path, dead.text(3)).unwrap();
        drop(held(ask(&path)));
        // Of another machine's process nothing is known but that it renews.
        fs::write(&path, Holder { process: far(), ..dead }.text(3)).unwrap();
        assert!(matches!(ask(&path), Asked::Busy(_)));
    }

    fn far() -> Process {
        Process::of_name("elsewhere-1-1").unwrap()
    }

    #[test]
    fn a_lease_that_stands_still_is_taken_over_and_its_holder_notices() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lease");
        let far = Holder { process: far(), ..Holder::this_process() };
        fs::write(&path, far.text(1)).unwrap();
        let mut watch = Watch::default();
        let mut ask = || Lease::ask(&path, &mut watch).unwrap();
        let pass = |watch: &mut Watch| watch.0[0].2 = Instant::now().checked_sub(PATIENCE).unwrap();
        assert!(matches!(ask(), Asked::Busy(_)));
        fs::write(&path, far.text(2)).unwrap();
        pass(&mut watch);
        let mut ask = || Lease::ask(&path, &mut watch).unwrap();
        assert!(matches!(ask(), Asked::Busy(_)), "it was renewed meanwhile");
        pass(&mut watch);
        let mine = held(Lease::ask(&path, &mut watch).unwrap());
        // As after a long stop: another has it, and the last renewal is long ago.
        fs::write(&path, far.text(3)).unwrap();
        *mine.renewed.lock().unwrap() = Instant::now().checked_sub(DOUBT).unwrap();
        assert!(matches!(mine.check(), Err(Error::LeaseLost { .. })));
        drop(mine);
        assert!(path.exists(), "what is another's is not removed");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lease");
        let problem = || Lease::ask(&path, &mut Watch::default()).unwrap_err().to_string();
        std::os::unix::fs::symlink(dir.path().join("absent"), &path).unwrap();
        assert!(problem().contains("remove it"), "{}", problem());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(problem().contains("remove it"), "{}", problem());
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a.lease"), dir.path().join("precious"));
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let mut watch = Watch::default();
        assert!(matches!(Lease::ask(&path, &mut watch).unwrap(), Asked::Busy(_)));
        watch.0[0].2 = Instant::now().checked_sub(PATIENCE).unwrap();
        drop(held(Lease::ask(&path, &mut watch).unwrap()));
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }
}
