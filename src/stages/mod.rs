//! The verbs of the pipeline language, one file each.
