//! Whether what came is what has to come.

use std::path::Path;

use super::{Downloads, wanted::Wanted};
use crate::{
    Error, Result,
    formats::{FileBytes, Kind, Recognised},
    location::Url,
    stages::addresses::Content,
    terminal,
};

impl Downloads<'_> {
    /// Reads a file that came, which lies at `path` and will be `shown`: what it is, or why it is refused.
    pub(super) fn judge(
        &self,
        path: &Path,
        shown: &Path,
        url: &Url,
        wanted: &Wanted<'_>,
    ) -> Result<std::result::Result<Content, String>> {
        let content = Content::of_file(path)?;
        let judged: std::result::Result<Content, String> = match self.expect(url, wanted, &content) {
            Err(refused) => Err(refused),
            Ok(()) => match wanted.accepts(path) {
                Ok(()) => return Ok(Ok(content)),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => Err(error.to_string().replace(&terminal::path(path), &terminal::path(shown))),
            },
        };
        // A page or a pointer explains more than what a hash or a reader says of it.
        let found =
            FileBytes::open(path)?.recognised()?.filter(stands_for_a_file).map(|found| found.to_string());
        Ok(judged.map_err(|refused| match found {
            Some(found) if !refused.contains(&found) => format!("it is {found} ({refused})"),
            _ => refused,
        }))
    }

    /// Whether contents are those that the pipeline asks for, or else those that came when its lock file was written.
    pub(super) fn expect(
        &self,
        url: &Url,
        wanted: &Wanted<'_>,
        found: &Content,
    ) -> std::result::Result<(), String> {
        let differs = |sha256: &str| sha256 != found.sha256;
        match (wanted.sha256, self.addresses.pinned(url)) {
            (Some(asked), _) if differs(asked) => {
                Err(format!("it is {found}, but the pipeline asks for SHA-256 {asked}"))
            }
            (None, Some((pinned, lock))) if differs(&pinned.sha256) => Err(format!(
                "it is {found}, but {pinned} came when `{lock}` was written: to accept the change, delete the address' line there"
            )),
            _ => Ok(()),
        }
    }
}

/// Whether it is what servers send in the place of a file.
fn stands_for_a_file(found: &Recognised) -> bool {
    use Kind::{AnnexPointer, Empty, Html, LfsPointer, Xml, Zeros};
    matches!(found.kind, Empty | Zeros | Html | Xml | LfsPointer | AnnexPointer)
}
