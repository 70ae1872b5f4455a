//! File formats: pickles, `.pt` archives, safetensors, npz. Nothing here executes what it reads.

pub mod pickle;
pub mod safetensors;
pub mod zip;

mod cursor;
mod ndarray;
mod source;

pub use source::{Source, Span};
