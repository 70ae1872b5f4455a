//! `Side`: what is compared of a run.

use indexmap::IndexMap;
use serde_json::Value;

use crate::{metrics::Score, report::Chart};

/// One of two runs that are compared, or one stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// Which run it is.
    pub identity: Identity,
    /// Whether it is a single stage that was named.
    pub is_stage: bool,
    /// What is known of each stage, by name.
    pub stages: IndexMap<String, ComparedStage>,
}

/// Which run it is, and where it comes from. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The path that was named.
    pub path: String,
    /// What is there, in words: `pipeline quickstart`.
    pub what: String,
    /// The pipeline's seed.
    pub seed: Option<u64>,
    /// When it was made, such as `2026-11-22 23:59 UTC`.
    pub date: String,
    /// The device, in words.
    pub device: String,
    /// The commit of the repository that the pipeline's file is in.
    pub commit: String,
    /// The key of the report, or of the stage, in hexadecimal.
    pub key: String,
}

impl Identity {
    /// When, on what and from what it was made, by name; without what is not known.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let seed = self.seed.map(|seed| seed.to_string()).unwrap_or_default();
        let facts = [
            ("made", self.date.clone()),
            ("device", self.device.clone()),
            ("seed", seed),
            ("commit", short_commit(&self.commit)),
            ("key", self.key.chars().take(8).collect()),
        ];
        facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// `0123abc-dirty`
fn short_commit(commit: &str) -> String {
    let (hash, rest) = commit.split_once('-').map_or((commit, ""), |(hash, _)| (hash, &commit[hash.len()..]));
    hash.chars().take(7).collect::<String>() + rest
}

/// What is compared of a stage. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparedStage {
    /// Its verb.
    pub verb: String,
    /// Its key, in hexadecimal: the same key, the same result.
    pub key: String,
    /// Every value, also the defaults.
    pub values: Value,
    /// What the files contain that its values name, as a hash, by the field's pointer without the first slash.
    pub contents: IndexMap<String, String>,
    /// What it measured, by metric.
    pub scores: IndexMap<String, Score>,
    /// What its training looked like.
    pub charts: Vec<Chart>,
    /// What its images look like.
    pub picture: Option<Picture>,
    /// Wall time in seconds.
    pub seconds: Option<f64>,
}

/// A picture of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Its file's name.
    pub name: String,
    /// A PNG file's bytes.
    pub png: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_short_and_says_that_files_differ_from_it() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(short_commit(commit), "0123456");
        assert_eq!(short_commit(&format!("{commit}-dirty")), "0123456-dirty");
        assert_eq!(short_commit(""), "");
    }
}
