//! `Origin`: where a value comes from that does not stand in the pipeline's own file.

use std::{fmt, sync::Arc};

use super::document::Document;

/// Where a value comes from that does not stand in the pipeline's own file.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The command line: `--set ...`.
    Typed(String),
    /// Another file, such as a sweep.
    Written(Taken),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(text) => f.write_str(text),
            Self::Written(place) => write!(f, "`{}`", place.document.name),
        }
    }
}

/// A value of another file that is put into a pipeline.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// The file.
    pub(super) document: Arc<Document>,
    /// Where it says at which path the value is put.
    pub(super) path: String,
    /// Where it says the value.
    pub(super) value: String,
}

impl Taken {
    /// A value that stands under its path: an entry of `set`, or an added stage.
    pub(super) fn entry(document: &Arc<Document>, pointer: String) -> Self {
        Self { document: Arc::clone(document), path: pointer.clone(), value: pointer }
    }
}
