//! `Memory`: what a training remembers from one process to the next, besides tensors.

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    formats::Digest,
    stages::{guard::Watcher, snapshots, stats_jsonl::Period},
};

/// What a checkpoint remembers besides tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::stages) struct Memory {
    /// Seconds of training, over all processes that worked on it.
    pub(in crate::stages) seconds: f64,
    /// The best snapshot so far by the first metric: its images and its value.
    pub(in crate::stages) best: Option<(u64, f64)>,
    /// The snapshot that was taken last, in images.
    pub(in crate::stages) last_snapshot: Option<u64>,
    /// At the end, where no snapshot was due: the best before the one that was taken nevertheless.
    #[serde(default)]
    pub(in crate::stages) best_but_last: Option<(u64, f64)>,
    /// Images of a micro-batch: `auto` goes on with as many as it began with.
    #[serde(default)]
    pub(in crate::stages) microbatch_size: Option<u32>,
    /// What the guard has seen.
    #[serde(default)]
    pub(in crate::stages) guard: Watcher,
    /// What the weights of each snapshot that stays hold, by its images.
    #[serde(default)]
    pub(in crate::stages) snapshots: IndexMap<u64, Digest>,
    /// The iterations since the last line of statistics.
    #[serde(default)]
    pub(in crate::stages) period: Period,
    /// That a snapshot of this moment is due and not taken yet; and whether by itself, not because the training ends.
    #[serde(default)]
    pub(in crate::stages) owes_snapshot: Option<bool>,
}

impl Memory {
    /// What is wrong with the weights of a snapshot; `None` where they are as they were written.
    pub(super) fn lost(&self, dir: &Path, nimg: u64) -> Option<String> {
        let path = snapshots::weights(dir, nimg);
        let damage = match self.snapshots.get(&nimg) {
            Some(digest) => digest.damage(&path, true),
            None => (!path.is_file()).then(|| "is gone".to_owned()),
        };
        Some(format!("`{}` {}", path.file_name()?.display(), damage?))
    }
}
