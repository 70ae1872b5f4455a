//! Why a dataset has no classes: what was looked for, and what was found instead.

use std::path::Path;

use super::files::{Files, LABELS};
use crate::{Error, Result};

/// Why a folder or zip has no classes, as a sentence fragment with advice.
///
/// # Errors
/// It cannot be listed or read.
pub fn missing_labels(path: &Path) -> Result<String> {
    of_files(&Files::open(path)?)
}

/// As `missing_labels`.
pub(in crate::data) fn of_files(files: &Files) -> Result<String> {
    let wanted = r#"`{"labels": [["name.png", 0], ...]}`"#;
    if files.find(LABELS).is_some() {
        let says = if files.labels()?.is_some() { "an empty list of `labels`" } else { "`labels: null`" };
        return Ok(format!("its `{LABELS}` has {says}, where classes are looked for as {wanted}"));
    }
    let nothing = || format!("there is no `{LABELS}` at its top, where classes are looked for as {wanted}");
    Ok(elsewhere(files).unwrap_or_else(nothing))
}

/// A list of classes that is not where, or not called as, it should be, as a sentence fragment with advice.
pub(in crate::data) fn elsewhere(files: &Files) -> Option<String> {
    let similar = |name: &&String| {
        let file = name.rsplit('/').next().unwrap_or(name);
        file.eq_ignore_ascii_case(LABELS)
    };
    let name = files.names().iter().find(similar).filter(|_| files.find(LABELS).is_none())?;
    Some(if name.contains('/') {
        format!(
            "classes are looked for in `{LABELS}` at its top, but it lies in `{name}`: prepare the dataset from inside that folder"
        )
    } else {
        format!("classes are looked for in `{LABELS}`, but the file is called `{name}`: rename it")
    })
}

/// None of the images in a folder or zip has a class, neither from a list nor from its folder: where they lie.
pub(in crate::data) fn no_classes(files: &Files, images: &[&str]) -> Error {
    let first = images.first().copied().unwrap_or_default();
    let lie = match first.split_once('/') {
        Some((folder, _)) if files.is_zip() => format!(
            "all lie in the one top folder `{folder}`: unpack the zip and name that folder, or zip what is in it"
        ),
        Some((folder, _)) => format!("all lie in the one top folder `{folder}`: name that folder itself"),
        None => "all lie at the top: sort them into a folder for each class".to_owned(),
    };
    let list = match of_files(files) {
        Ok(list) => list,
        Err(error) => return error,
    };
    let looked =
        format!("classes are those of a `{LABELS}` at its top, else the names of two or more top folders");
    files.bad_whole(format!(
        "{n} of {n} images have no class, `{first}` the first ({looked}). {list}; and {lie}. Or leave `use_labels` out",
        n = images.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_for_and_what_was_found() {
        for (file, text, said) in [
            ("a.png", "", "there is no `dataset.json` at its top"),
            ("dataset.json", r#"{"labels": null}"#, "has `labels: null`"),
            ("dataset.json", r#"{"labels": []}"#, "has an empty list of `labels`"),
            ("Dataset.json", "", "the file is called `Dataset.json`: rename it"),
            ("digits/dataset.json", "", "it lies in `digits/dataset.json`"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            let found = missing_labels(dir.path()).unwrap();
            assert!(found.contains(said), "{file}: {found}");
        }
    }
}
