//! What every training is made of: optimizers, gradients, averages; and what the recipes of both trainings share.

pub mod adam;
pub(crate) mod defaults;
pub mod ema;
pub mod gradients;
pub mod pace;
pub mod parameters;
pub mod snapshots;
pub mod state;

pub use adam::{Adam, AdamSettings};
pub use ema::Ema;
pub use gradients::{Gradients, Sanitized};
pub use pace::Pace;
pub use snapshots::{Keep, Snapshots};
