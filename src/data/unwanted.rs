//! What is in a folder because of a system or a tool, and never an image or a class.

/// What systems and tools leave; besides, all names that begin with a dot are theirs.
const THEIRS: [&str; 18] = [
    "__MACOSX",
    "Icon\r",
    "Network Trash Folder",
    "Temporary Items",
    "TheVolumeSettingsFolder",
    "Thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "@eaDir",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    "__pycache__",
];

/// Whether a file or folder of this name is a system's or a tool's.
pub(in crate::data) fn is_unwanted(name: &str) -> bool {
    name.starts_with('.') || THEIRS.iter().any(|theirs| theirs.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_systems_is_told_from_what_is_somebodys() {
        for name in
            [".ipynb_checkpoints", ".Trash-0", "._1.png", ".DS_Store", "thumbs.db", "$Recycle.Bin", "@eaDir"]
        {
            assert!(is_unwanted(name), "{name}");
        }
        for name in ["cat", "1.png", "_1.png", "recycle", "a.b", "thumbs.db.png", "@home", "lost"] {
            assert!(!is_unwanted(name), "{name}");
        }
    }
}
