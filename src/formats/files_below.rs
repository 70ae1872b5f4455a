//! All files below a folder, in one order; links are followed, and none leads around in a loop.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// Gets a file, its name below the folder (`None` where the file itself was asked for), and what the system knows of it.
type Visit<'a> = &'a mut dyn FnMut(&Path, Option<&str>, &Metadata) -> Result<()>;

/// What a walk meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// A regular file, or a link to one.
    File,
    /// Neither a file nor a folder: a link that leads nowhere, a pipe, a device.
    Neither,
    /// A file or folder with a name that is not wanted. Nothing below it is looked at.
    Unwanted,
    /// A link to a folder whose files the walk meets, or has met, without it.
    Again,
}

/// Visits a file, or all files below a folder in the order of their names. See `walk` for links.
///
/// # Errors
/// `Io` for what cannot be read or listed; what `visit` returns.
pub fn files_below(path: &Path, visit: Visit<'_>) -> Result<()> {
    let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_dir() {
        return visit(path, None, &metadata);
    }
    walk(path, |_| false, &mut |path, name, met| match met {
        Met::File => visit(path, Some(name), &fs::metadata(path).map_err(Error::io("read", path))?),
        _ => Ok(()),
    })
}

/// Everything below a folder but folders, in the order of names; the name below the folder has `/` between its parts.
///
/// Links are followed, but not to a folder that is met without them. Below a link, no other leads to one place twice.
///
/// # Errors
/// `Io` for what cannot be read or listed; what `visit` returns.
pub fn walk(
    root: &Path,
    is_unwanted: fn(&str) -> bool,
    visit: &mut dyn FnMut(&Path, &str, Met) -> Result<()>,
) -> Result<()> {
    let canonical = root.canonicalize().map_err(Error::io("read", root))?;
    let mut walk = Walk { roots: vec![canonical.clone()], seen: HashSet::new(), is_unwanted, visit };
    walk.folder(root, &canonical, "")
}

struct Walk<'a> {
    /// The folder, and where the links led that the walk is below.
    roots: Vec<PathBuf>,
    /// Where links below the first of these links led.
    seen: HashSet<PathBuf>,
    is_unwanted: fn(&str) -> bool,
    visit: &'a mut dyn FnMut(&Path, &str, Met) -> Result<()>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, canonical: &Path, prefix: &str) -> Result<()> {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let mut entries = entries.map_err(Error::io("list the folder", folder))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, file_name) = (entry.path(), entry.file_name());
            let name = format!("{prefix}{}", file_name.to_string_lossy());
            if (self.is_unwanted)(&file_name.to_string_lossy()) {
                (self.visit)(&path, &name, Met::Unwanted)?;
                continue;
            }
            let kind = entry.file_type().map_err(Error::io("read", &path))?;
            let is_link = kind.is_symlink();
            let leads_to = if is_link { fs::metadata(&path).ok().map(|m| m.file_type()) } else { Some(kind) };
            match leads_to {
                Some(to) if to.is_dir() && is_link => self.link(&path, &name)?,
                Some(to) if to.is_dir() => {
                    let canonical = canonical.join(&file_name);
                    // A link may have led above the folder.
                    if self.roots.len() > 1 && self.roots.contains(&canonical) {
                        (self.visit)(&path, &name, Met::Again)?;
                    } else {
                        self.folder(&path, &canonical, &format!("{name}/"))?;
                    }
                }
                Some(to) if to.is_file() => (self.visit)(&path, &name, Met::File)?,
                _ => (self.visit)(&path, &name, Met::Neither)?,
            }
        }
        Ok(())
    }

    /// A link to a folder.
    fn link(&mut self, path: &Path, name: &str) -> Result<()> {
        let canonical = path.canonicalize().map_err(Error::io("read", path))?;
        if self.roots.len() == 1 {
            self.seen.clear();
        }
        if self.is_met(&canonical) || !self.seen.insert(canonical.clone()) {
            return (self.visit)(path, name, Met::Again);
        }
        self.roots.push(canonical.clone());
        self.folder(path, &canonical, &format!("{name}/"))?;
        self.roots.pop();
        Ok(())
    }

    /// Whether the walk meets this folder without another link.
    fn is_met(&self, folder: &Path) -> bool {
        let is_wanted =
            |inside: &Path| !inside.iter().any(|part| (self.is_unwanted)(&part.to_string_lossy()));
        self.roots.iter().any(|root| folder.strip_prefix(root).is_ok_and(is_wanted))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Names and sizes of all files below a folder.
    fn below(folder: &Path) -> Result<Vec<(String, u64)>> {
        let mut seen = Vec::new();
        files_below(folder, &mut |_, name, metadata| {
            seen.push((name.unwrap_or_default().to_owned(), metadata.len()));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn links_to_files_are_followed_and_loops_are_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/c"), "two").unwrap();
        symlink(dir.path().join("b/c"), dir.path().join("a")).unwrap();
        symlink("nowhere", dir.path().join("broken")).unwrap();
        symlink("itself", dir.path().join("itself")).unwrap();
        // Two of them, followed, would lead around 2^40 times.
        symlink(".", dir.path().join("x")).unwrap();
        symlink(".", dir.path().join("y")).unwrap();
        assert_eq!(below(dir.path()).unwrap(), [("a".to_owned(), 3), ("b/c".to_owned(), 3)]);
    }

    #[test]
    fn links_to_folders_elsewhere_are_followed_and_each_folder_below_them_is_met_once() {
        let dir = tempfile::tempdir().unwrap();
        let (root, real) = (dir.path().join("set"), dir.path().join("real"));
        for folder in ["set", "real/one", "real/two"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(real.join("one/a"), "1").unwrap();
        fs::write(real.join("two/b"), "22").unwrap();
        // Two ways to one folder are two names; within each, links lead around and up.
        symlink(&real, root.join("k")).unwrap();
        symlink(real.join("one"), root.join("l")).unwrap();
        symlink("../two", real.join("one/m")).unwrap();
        symlink("../one", real.join("two/n")).unwrap();
        symlink("../..", real.join("two/up")).unwrap();
        let found = below(&root).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["k/one/a", "k/two/b", "l/a", "l/m/b"]);
        assert_eq!(below(&real).unwrap(), [("one/a".to_owned(), 1), ("two/b".to_owned(), 2)]);
    }

    #[test]
    fn what_is_met_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".store/cat")).unwrap();
        fs::write(dir.path().join(".store/cat/1"), "").unwrap();
        // What lies in a folder that is not wanted is met through a link alone.
        symlink(".store/cat", dir.path().join("cat")).unwrap();
        symlink("cat", dir.path().join("dog")).unwrap();
        symlink(".", dir.path().join("again")).unwrap();
        symlink("gone", dir.path().join("broken")).unwrap();
        let mut met = Vec::new();
        walk(dir.path(), |name| name.starts_with('.'), &mut |_, name, what| {
            met.push((name.to_owned(), what));
            Ok(())
        })
        .unwrap();
        let expected = [
            (".store", Met::Unwanted),
            ("again", Met::Again),
            ("broken", Met::Neither),
            ("cat/1", Met::File),
            ("dog/1", Met::File),
        ];
        assert_eq!(met, expected.map(|(name, what)| (name.to_owned(), what)));
    }
}
