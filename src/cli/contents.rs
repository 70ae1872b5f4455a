//! `Contents`: which reader a file is for, by its first bytes and, where these say nothing, by its name.

use std::path::Path;

use crate::{
    Result,
    formats::{FileBytes, Kind, Recognised},
};

/// Who reads a file.
pub(super) enum Contents {
    /// The reader of safetensors.
    Safetensors(FileBytes),
    /// The readers of pickles and of torch's files.
    Torch(FileBytes),
    /// The readers of datasets.
    Dataset,
    /// Nobody; what it is, if that is known.
    Unknown(Option<Recognised>),
}

impl Contents {
    /// Looks at a file. What is no weights at all is left to the reader that its name asks for, who says it.
    ///
    /// # Errors
    /// `Io`; `BadFile` for what is no regular file.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let extension =
            path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let source = FileBytes::open(path)?;
        let found = source.recognised()?;
        let reader = match found.as_ref().map(|found| found.kind) {
            Some(Kind::Safetensors) => "safetensors",
            Some(Kind::Pickle) => "pkl",
            _ => extension.as_str(),
        };
        Ok(match reader {
            "safetensors" => Self::Safetensors(source),
            "pkl" | "pickle" | "pt" | "pth" | "ckpt" | "bin" => Self::Torch(source),
            "zip" | "npz" | "json" | "" => Self::Dataset,
            _ => Self::Unknown(found),
        })
    }
}
