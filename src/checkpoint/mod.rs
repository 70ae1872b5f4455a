//! What lies on disk: training checkpoints, snapshots, and the reference's own checkpoint files.

pub mod atomic;
mod store;

pub use store::{Checkpoint, CheckpointStore};
