//! Writing so that a file or folder is either whole or absent, whatever happens meanwhile.

use std::{fs, io::Write, path::Path};

use crate::{
    error::{Error, Result},
    formats::{AtomicFile, UNFINISHED, beside, folder_of, sync},
    process::Process,
};

/// Writes a file through a temporary one beside it: flushed to disk, then renamed into place.
///
/// # Errors
/// `Io` when the folder is absent or read-only, or the disk is full; the old file, if any, is untouched.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.commit()
}

/// Makes a folder through a temporary one beside it: `fill` writes its files, then it is renamed into place.
/// A folder that is there already is replaced.
///
/// # Errors
/// What `fill` returns, or `Io`; a half-filled folder never appears under `path`.
pub fn write_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = folder_of(path);
    let temporary = beside(0o777).tempdir_in(folder).map_err(Error::io("make a folder in", folder))?;
    fill(temporary.path())?;
    for entry in fs::read_dir(temporary.path()).map_err(Error::io("read", temporary.path()))?.flatten() {
        sync(&entry.path());
    }
    if path.exists() {
        fs::remove_dir_all(path).map_err(Error::io("replace", path))?;
    }
    // Once renamed there is nothing left to delete under the temporary name.
    let temporary = temporary.keep();
    fs::rename(&temporary, path).map_err(|source| {
        let _ = fs::remove_dir_all(&temporary);
        Error::Io { action: "write", path: path.to_path_buf(), source }
    })?;
    sync(folder);
    Ok(())
}

/// Removes a file, if it is there.
///
/// # Errors
/// `Io` for one that cannot be removed.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes what was begun and not finished in a folder that nobody writes in now.
pub fn remove_leftovers(folder: &Path) {
    remove_unfinished(folder, |_| true);
}

/// Removes what processes of this machine that have ended did not finish in a folder that others may write in.
pub fn remove_leftovers_of_the_dead(folder: &Path) {
    remove_unfinished(folder, |rest| Process::of_name(rest).is_some_and(|process| process.has_died()));
}

fn remove_unfinished(folder: &Path, is_left: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().strip_prefix(UNFINISHED).is_some_and(&is_left) {
            // Litter does no harm; failing because of it would.
            let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fill_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("checkpoint");
        let result = write_folder(&target, |folder| {
            write(&folder.join("half"), b"x")?;
            Err(Error::Unusable("stop here".into()))
        });
        assert!(result.is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("checkpoint");
        for name in ["old", "new"] {
            write_folder(&target, |folder| write(&folder.join(name), name.as_bytes())).unwrap();
        }
        assert!(!target.join("old").exists());
        assert_eq!(fs::read(target.join("new")).unwrap(), b"new");
    }

    #[test]
    fn leftovers_of_a_killed_process_go_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".tmp-abc")).unwrap();
        fs::write(dir.path().join(".tmp-abc/state"), "half").unwrap();
        fs::write(dir.path().join(".tmp-def"), "half").unwrap();
        write(&dir.path().join("whole"), b"x").unwrap();
        // Somebody of another machine may be writing these.
        remove_leftovers_of_the_dead(dir.path());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        remove_leftovers(dir.path());
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["whole"]);
    }

    #[test]
    fn an_absent_folder_is_an_error_that_names_it() {
        let message = write(Path::new("/no/such/folder/file"), b"").unwrap_err().to_string();
        assert!(message.contains("/no/such/folder"), "{message}");
    }
}
