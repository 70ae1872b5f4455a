//! All files below a folder, in one order.

use std::{
    fs::{self, Metadata},
    path::Path,
};

use crate::{Error, Result};

/// Gets a file, its name below the folder (`None` where the file itself was asked for), and what the system knows of it.
type Visit<'a> = &'a mut dyn FnMut(&Path, Option<&str>, &Metadata) -> Result<()>;

/// Visits a file, or all files below a folder in the order of their names. Below it links to files are followed, links
/// to folders are not: they may form a loop.
///
/// # Errors
/// `Io` for what cannot be read or listed; what `visit` returns.
pub fn files_below(path: &Path, visit: Visit<'_>) -> Result<()> {
    let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
    if metadata.is_dir() { below(path, "", visit) } else { visit(path, None, &metadata) }
}

fn below(folder: &Path, prefix: &str, visit: Visit<'_>) -> Result<()> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut entries = entries.map_err(Error::io("list the folder", folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if kind.is_dir() {
            below(&path, &format!("{name}/"), visit)?;
        } else if kind.is_file() || path.is_file() {
            visit(&path, Some(&name), &fs::metadata(&path).map_err(Error::io("read", &path))?)?;
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_to_files_are_followed_and_loops_are_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/c"), "two").unwrap();
        symlink(dir.path().join("b/c"), dir.path().join("a")).unwrap();
        symlink("nowhere", dir.path().join("broken")).unwrap();
        // Two of them, followed, would lead around 2^40 times.
        symlink(".", dir.path().join("x")).unwrap();
        symlink(".", dir.path().join("y")).unwrap();
        let mut seen = Vec::new();
        files_below(dir.path(), &mut |_, name, metadata| {
            seen.push((name.unwrap().to_owned(), metadata.len()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [("a".to_owned(), 3), ("b/c".to_owned(), 3)]);
    }
}
