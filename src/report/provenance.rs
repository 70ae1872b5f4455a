//! `Provenance`: where the numbers of a report come from.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Where the numbers come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// When the report was written, such as `2026-11-22 23:59 UTC`.
    pub date: String,
    /// The pipeline's seed.
    pub seed: u64,
    /// The device, in words.
    pub device: String,
    /// Programs and libraries with their versions, by name.
    pub versions: IndexMap<String, String>,
    /// The stages in the order in which they ran.
    pub stages: Vec<StageRun>,
    /// What was asked for.
    pub invocation: Invocation,
    /// The key of the stage whose pages these are, in hexadecimal: the same key, the same stages and words.
    pub key: String,
}

impl Provenance {
    /// What was asked for and what it was made with, by name; without what is not known.
    pub fn facts(&self) -> Vec<(&str, &str)> {
        let Invocation { file, sha256, command, commit } = &self.invocation;
        let asked = [
            ("pipeline file", file.as_str()),
            ("its SHA-256", sha256),
            ("command", command),
            ("commit", commit.as_deref().unwrap_or_default()),
            ("key of this report", &self.key),
        ];
        let versions = self.versions.iter().map(|(name, version)| (name.as_str(), version.as_str()));
        asked.into_iter().chain(versions).filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// What a run was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invocation {
    /// The pipeline's file.
    pub file: String,
    /// SHA-256 of that file, in hexadecimal.
    pub sha256: String,
    /// The command line, without credentials.
    pub command: String,
    /// The commit of the repository that the file is in, where it is in one; `-dirty` where files differ from it.
    pub commit: Option<String>,
}

/// How a stage came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageRun {
    /// The stage.
    pub stage: String,
    /// Its verb.
    pub verb: String,
    /// Its key, in hexadecimal.
    pub key: String,
    /// Its folder, seen from the page.
    pub folder: Option<String>,
    /// Wall time, in seconds, of the run that made it.
    pub seconds: Option<f64>,
    /// The device of that run.
    pub device: String,
    /// When it was made.
    pub date: String,
    /// Of a training, the median of what its statistics say; of a stage that makes images, images over wall time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_per_second: Option<f64>,
    /// The most memory that its process held of the machine while it ran, in MiB; a GPU's own is not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_mib: Option<f64>,
}
