//! The verbs of the pipeline language, one file each.

pub mod guard;
pub mod progress;
