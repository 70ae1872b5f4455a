//! Images: datasets, the order in which they are drawn, augmentation, grids.

pub mod augment;
pub mod augment_draws;
mod augmentation;
pub mod batch;
mod cifar;
mod class_names;
pub mod class_order;
mod dataset_content;
mod decode;
mod files;
mod glance;
mod idx;
pub mod image_dataset;
#[cfg(test)]
mod image_dataset_tests;
pub mod image_grid;
mod jpeg;
pub mod known;
mod label_list;
mod labels;
mod latents;
mod mislabelled;
mod missing_labels;
pub mod order;
mod originals;
pub mod pictures;
pub mod pixels;
pub mod prepare;
pub mod preview_grid;
pub mod resize;
#[cfg(test)]
mod sources_tests;
pub mod transform;
mod unwanted;
mod warp;

pub use augment::Augment;
pub use augment_draws::AugmentDraw;
pub use augmentation::{Augmentation, Augmented};
pub use batch::{Batch, Batches, Samples};
pub use class_order::{ClassOrder, class_list, counts_otherwise};
pub use glance::{Glance, identity};
pub use image_dataset::{DatasetKind, DatasetOptions, ImageDataset};
pub use image_grid::{LARGEST_PICTURE, corner, image_grid, write_png};
pub use known::Known;
pub use missing_labels::missing_labels;
pub use order::{Order, OrderOptions, epoch_seed};
pub use pictures::Counted;
pub use pixels::Pixels;
pub use prepare::{Encode, PrepareOptions, Prepared, can_prepare, prepare, prepare_as};
pub use preview_grid::preview_samples;
pub use resize::{Filter, resize};
pub use transform::{Rules, Transform};
