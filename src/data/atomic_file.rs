//! `AtomicFile`: a file that appears under its name only when it is complete.

use std::{
    ffi::OsString,
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// A file being written beside its final place; forgotten without a trace unless committed.
pub(in crate::data) struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    committed: bool,
}

impl AtomicFile {
    /// Opens the temporary file, in the folder of `path`.
    pub(in crate::data) fn create(path: &Path) -> Result<(Self, BufWriter<File>)> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.partial", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(Error::io("write", path))?;
        Ok((Self { path: path.to_path_buf(), temporary, committed: false }, BufWriter::new(file)))
    }

    /// Gives the file its name.
    pub(in crate::data) fn commit(mut self, writer: BufWriter<File>) -> Result<()> {
        let failed = |e| Error::io("write", &self.path)(e);
        let file = writer.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)?;
        std::fs::rename(&self.temporary, &self.path).map_err(failed)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing depends on it; a file that cannot be removed is only litter.
            drop(std::fs::remove_file(&self.temporary));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_a_committed_file_appears() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        let (file, mut writer) = AtomicFile::create(&path).unwrap();
        writer.write_all(b"half").unwrap();
        drop((file, writer));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let (file, mut writer) = AtomicFile::create(&path).unwrap();
        writer.write_all(b"whole").unwrap();
        file.commit(writer).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
