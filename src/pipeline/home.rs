//! A pipeline's own folder of runs: its pages, and links to its stages in the store. Deleting it loses no stage.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::store::{self, FOLDER};
use crate::{Error, Result, checkpoint::atomic, location::way, terminal};

/// The names of the stages' folders in the store that a pipeline's folder refers to.
///
/// # Errors
/// `NewerFormat` and `Unusable` for stages that another version of the program put there.
pub fn stages(home: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let is_own_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_own_folder && store::is_older(&entry.path())? {
            return Err(Error::Unusable(format!(
                "`{}` was made by an older sida, which kept a pipeline's stages in its own folder: move `{}` away, or give --runs another folder",
                terminal::path(&entry.path()),
                terminal::path(home)
            )));
        }
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Notes that a stage in the store belongs to a pipeline: by a link, or where the file system has none by a file that
/// says where the stage is.
///
/// # Errors
/// `Io`.
pub fn link(home: &Path, stage_dir: &Path) -> Result<()> {
    let (Some(name), Some(target)) = (stage_dir.file_name(), way(home, stage_dir)) else { return Ok(()) };
    let path = home.join(name);
    let is_copy = fs::symlink_metadata(&path).is_ok_and(|there| there.is_dir());
    if is_copy || fs::read_link(&path).is_ok_and(|known| known == target) {
        return Ok(());
    }
    atomic::remove_file(&path)?;
    match symlink(&target, &path) {
        // Another process did the same.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(_) => atomic::write(&path, format!("{}\n", target.display()).as_bytes()),
        Ok(()) => Ok(()),
    }
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// All names that the folders of pipelines, and of the points of sweeps, refer to.
///
/// # Errors
/// As `stages`.
pub fn all_stages(runs: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for pipeline in folders(runs).into_iter().filter(|folder| !folder.ends_with(FOLDER)) {
        names.extend(stages(&pipeline)?);
        for point in points(&pipeline) {
            names.extend(stages(&point)?);
        }
    }
    Ok(names)
}

/// The folder of the points of a sweep, in the sweep's.
const POINTS: &str = "points";

/// More characters of a label than a name of a folder carries.
const LONG: usize = 120;

/// The folder of a point of a sweep. Labels that differ have folders that differ.
pub fn of_point(sweep: &Path, label: &str) -> PathBuf {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._=-".contains(c);
    let mut name: String = label.chars().take(LONG).map(|c| if plain(c) { c } else { '_' }).collect();
    // Blanks stand between axes and nowhere else.
    if label.chars().any(|c| !plain(c) && c != ' ') || label.chars().count() > LONG {
        name = format!("{name}-{}", &blake3::hash(label.as_bytes()).to_hex()[..8]);
    }
    sweep.join(POINTS).join(name)
}

/// The folders of the points of a sweep, by name; none where a folder is no sweep's.
pub fn points(sweep: &Path) -> Vec<PathBuf> {
    folders(&sweep.join(POINTS))
}

/// The folder of the sweep that a pipeline's folder is a point of.
pub fn sweep(home: &Path) -> Option<&Path> {
    home.parent().filter(|folder| folder.ends_with(POINTS))?.parent()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut paths: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_store_from_pipelines_and_points() {
        let runs = tempfile::tempdir().unwrap();
        let stage = runs.path().join(FOLDER).join("sid-01234567");
        fs::create_dir_all(&stage).unwrap();
        let homes = [runs.path().join("p"), of_point(&runs.path().join("s"), "alpha=0.5 x")];
        for home in &homes {
            fs::create_dir_all(home).unwrap();
            for _ in 0..2 {
                link(home, &stage).unwrap();
            }
            assert_eq!(stages(home).unwrap(), ["sid-01234567"]);
            let [there, link] =
                [&stage, &home.join("sid-01234567")].map(|path| fs::canonicalize(path).unwrap());
            assert_eq!(there, link);
        }
        assert!(all_stages(runs.path()).unwrap().contains("sid-01234567"));
        fs::remove_dir_all(&homes[0]).unwrap();
        assert!(stage.is_dir());
    }

    #[test]
    fn points_have_folders_of_their_own_whatever_they_are_called() {
        let name =
            |label: &str| of_point(Path::new(""), label).file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(name("alpha=0.5 lr=1e-5"), "alpha=0.5_lr=1e-5");
        assert_ne!(name("data=\"a b\""), name("data=\"a/b\""));
        assert_ne!(name(&"x".repeat(1000)), name(&"x".repeat(1001)));
        assert!(name(&"\u{1f600}".repeat(1000)).len() < 255 && !name("a=\"..\"/..").contains('/'));
    }
}
