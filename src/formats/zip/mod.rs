//! Zip archives: the container of datasets, `.pt` files and `.npz` files.

mod archive;
mod directory;

pub use archive::{Limits, ZipArchive};
pub use directory::{Method, ZipEntry};
