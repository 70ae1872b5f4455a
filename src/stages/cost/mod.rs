//! What stages cost: how much they have a device do, how fast it does that, and what they leave on a disk.

mod disk;
mod measure;
mod meter;
mod rates;
mod task;

pub(super) use disk::{RECORDS, of_pictures, of_training};
pub use measure::{Unmeasured, measure};
pub(super) use meter::{Meter, Seen};
pub use rates::{Rate, Rates};
pub use task::{Load, Task};
pub(super) use task::{of_images, of_snapshots, of_training as load_of_training};
