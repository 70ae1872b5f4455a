//! Images: datasets, the order in which they are drawn, augmentation, grids.

pub mod augment;
pub mod augment_draws;
mod warp;

pub use augment::{Augment, Augmented};
pub use augment_draws::AugmentDraw;
