//! What a pipeline may be called: its file's name is that of its folder of runs.

use std::path::Path;

use crate::terminal;

/// The folder of all stages, which stands beside those of pipelines.
pub const STORE: &str = "_store";

/// What is wrong with a name, as a sentence goes on that begins with it; nothing with most.
pub fn problem(name: &str) -> Option<String> {
    let separates = |c: char| c == '/' || cfg!(windows) && matches!(c, '\\' | ':');
    let strange = |c: char| c.is_control() || separates(c);
    if name.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    if name == STORE {
        return Some("is the name of the folder that holds all stages".to_owned());
    }
    if name.starts_with('.') || name.ends_with('.') {
        return Some("begins or ends with a dot".to_owned());
    }
    if name.trim() != name {
        return Some("begins or ends with a blank".to_owned());
    }
    let found = name.chars().find(|c| strange(*c))?;
    Some(format!("holds `{}`, which separates folders or cannot be printed", found.escape_default()))
}

/// The name of the pipeline in a file: the file's, without its extension.
///
/// # Errors
/// What is wrong with it.
pub fn of(file: &Path) -> Result<String, String> {
    let Some(stem) = file.file_stem() else { return Err("it has no name".to_owned()) };
    let name = stem.to_str().ok_or_else(|| "its name is not UTF-8 text".to_owned())?;
    match problem(name) {
        None => Ok(name.to_owned()),
        Some(problem) => Err(format!("its name `{}` {problem}", terminal::name(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_folder_and_no_other_s() {
        for name in ["quickstart", "a b", "été", "x.y", "-x", "2024-01-01", "_a", "a=1,b=2", "a:b"] {
            assert_eq!(of(Path::new(&format!("p/{name}.yaml"))).as_deref(), Ok(name));
        }
        for file in [
            "...yaml",
            "..yaml",
            ".yaml",
            "....yaml",
            ".hidden.yaml",
            "a..yaml",
            " .yaml",
            " a.yaml",
            "a .yaml",
            "a\nb.yaml",
            "\u{1b}[31m.yaml",
            "_store.yaml",
            "_store",
            "..",
            "/",
            "\u{a0}.yaml",
        ] {
            assert!(of(Path::new(file)).is_err(), "{file:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_is_text() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        assert!(of(Path::new(OsStr::from_bytes(b"a\xff.yaml"))).is_err());
    }
}
