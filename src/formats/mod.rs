//! File formats: pickles, `.pt` archives, safetensors, npz. Nothing here executes what it reads.

pub mod pickle;
pub mod safetensors;
pub mod zip;

mod atomic_file;
mod cursor;
mod fid_reference;
mod ndarray;
pub mod npy;
mod npz;
mod source;

pub use atomic_file::{AtomicFile, UNFINISHED, beside};
pub use fid_reference::FidReference;
pub use npz::{NpzImageWriter, NpzReader};
pub use source::{Source, Span};
