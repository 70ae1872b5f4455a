//! `AtomicFile`: a file that appears under its name only when it is whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use tempfile::TempPath;

use crate::{Error, Result, process::Process};

/// What is being written has a name that begins so until it is whole.
pub const UNFINISHED: &str = ".tmp-";

const BUFFER: usize = 1 << 20;

/// Writes beside the target; `commit` puts the file in its place, dropping it leaves nothing.
pub struct AtomicFile {
    target: PathBuf,
    writer: BufWriter<File>,
    written: TempPath,
    /// Something could not be written: it will never be whole, and what else is written to it goes nowhere. An archive
    /// would complain again while it is dropped.
    broken: bool,
}

impl AtomicFile {
    /// Begins a file in the target's folder, which must exist.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(target: &Path) -> Result<Self> {
        let folder = folder_of(target);
        let file = beside(0o666).tempfile_in(folder).map_err(Error::io("write in the folder", folder))?;
        let (file, written) = file.into_parts();
        let writer = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { target: target.to_path_buf(), writer, written, broken: false })
    }

    /// Flushes to disk and renames. A file that was there before is replaced.
    ///
    /// # Errors
    /// `Io`; the file that was there before is untouched then.
    pub fn commit(mut self) -> Result<()> {
        self.flush().map_err(Error::io("write", &self.target))?;
        let Self { target, writer, written, broken } = self;
        let lost = || Err(io::Error::other("an earlier part of it could not be written"));
        let synced = if broken { lost() } else { writer.get_ref().sync_all() };
        synced.map_err(Error::io("write", &target))?;
        // `persist` would do the same past the C library, where `tests/faults.rs` could not make it fail.
        fs::rename(&written, &target).map_err(Error::io("write", &target))?;
        // There is nothing left to delete under that name.
        let _ = written.keep();
        sync(folder_of(&target));
        Ok(())
    }
}

impl AtomicFile {
    /// Does something with the file, and nothing more once it failed.
    fn unless_broken<T>(
        &mut self,
        instead: T,
        act: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.broken {
            return Ok(instead);
        }
        let done = act(&mut self.writer);
        self.broken = done.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        done
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_broken(bytes.len(), |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_broken((), BufWriter::flush)
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.unless_broken(0, |writer| writer.seek(to))
    }
}

/// A builder of temporary files or folders with the permissions that the user's umask leaves of `mode`; its
/// own choice would be the owner alone, and who serves a report is often somebody else.
pub fn beside(mode: u32) -> tempfile::Builder<'static, 'static> {
    static PREFIX: LazyLock<String> = LazyLock::new(|| format!("{UNFINISHED}{}-", Process::this().name()));
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX.as_str());
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Opens a file that is our own, and no link in its place: somebody else may have put that there.
///
/// # Errors
/// What opening has against it; a link is an error.
pub fn open_own(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(path)
}

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Flushes a folder to disk, or a file: a rename survives a power cut only once its folder is there. Not every file
/// system can do that, and no error comes of it.
pub fn sync(path: &Path) {
    let _ = File::open(path).and_then(|file| file.sync_all());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn no_link_leads_to_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let [precious, link] = ["precious", "link"].map(|name| dir.path().join(name));
        for target in [&precious, &dir.path().join("absent")] {
            fs::write(&precious, "as it was").unwrap();
            std::os::unix::fs::symlink(target, &link).unwrap();
            assert!(open_own(File::options().append(true), &link).is_err());
            let mut file = AtomicFile::create(&link).unwrap();
            file.write_all(b"ours").unwrap();
            file.commit().unwrap();
            assert!(!link.is_symlink() && !dir.path().join("absent").exists());
            assert_eq!(fs::read(&precious).unwrap(), b"as it was");
            fs::remove_file(&link).unwrap();
        }
    }

    #[test]
    fn only_a_committed_file_appears() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
