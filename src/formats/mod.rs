//! File formats: pickles, `.pt` archives, safetensors, npz. Nothing here executes what it reads.

pub mod safetensors;
