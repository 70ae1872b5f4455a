//! Why a dataset has no classes: what was looked for, and what was found instead.

use std::path::Path;

use super::files::{Files, LABELS};
use crate::Result;

/// Why a folder or zip has no classes, as a sentence fragment with advice.
///
/// # Errors
/// It cannot be listed or read.
pub fn missing_labels(path: &Path) -> Result<String> {
    let files = Files::open(path)?;
    let wanted = r#"`{"labels": [["name.png", 0], ...]}`"#;
    if files.find(LABELS).is_some() {
        let says = if files.labels()?.is_some() { "an empty list of `labels`" } else { "`labels: null`" };
        return Ok(format!("its `{LABELS}` has {says}, where classes are looked for as {wanted}"));
    }
    let similar = |name: &&String| {
        let file = name.rsplit('/').next().unwrap_or(name);
        file.eq_ignore_ascii_case(LABELS)
    };
    Ok(match files.names().iter().find(similar) {
        None => format!("there is no `{LABELS}` at its top, where classes are looked for as {wanted}"),
        Some(name) if name.contains('/') => format!(
            "classes are looked for in `{LABELS}` at its top, but it lies in `{name}`: prepare the dataset from inside that folder"
        ),
        Some(name) => {
            format!("classes are looked for in `{LABELS}`, but the file is called `{name}`: rename it")
        }
    })
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
