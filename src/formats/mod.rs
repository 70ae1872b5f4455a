//! File formats: pickles, `.pt` archives, safetensors, npz. Nothing here executes what it reads.

pub mod pickle;
pub mod safetensors;
pub mod zip;

mod atomic_file;
mod cursor;
mod digest;
mod elements;
mod fid_statistics;
mod file_bytes;
mod files_below;
mod json_words;
pub mod lmdb;
mod ndarray;
pub mod npy;
mod npz;
mod npz_images;
mod recognised;
pub mod sha256;
mod small_file;

pub use atomic_file::{AtomicFile, UNFINISHED, beside, folder_of, open_own, sync};
pub use digest::Digest;
pub use elements::type_name;
pub use fid_statistics::FidStatistics;
pub use file_bytes::{FileBytes, Span};
pub use files_below::{Met, files_below, walk};
pub use json_words::json_words;
pub use npz::NpzImageWriter;
pub use npz_images::NpzImages;
pub use recognised::{Kind, Recognised};
pub use small_file::{Unread, read_at_most, read_small, regular_file};
