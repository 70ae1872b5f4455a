//! What every training is made of: students that learn, averages that follow them, batches to learn from, and what
//! the replicas of a training agree on.

pub mod adam;
pub mod draws;
pub mod ema;
pub mod flat;
pub mod gradients;
pub mod guard;
pub mod layout;
pub mod memory;
pub mod microbatch;
pub mod pace;
pub mod parameters;
pub mod pending;
pub mod replay;
pub mod replicas;
pub mod sanitized;
pub mod snapshots;
pub mod state;
pub mod student;
pub mod supply;
pub mod tree;

pub use adam::{Adam, AdamSettings};
pub use draws::{Draws, RoundDraws};
pub use ema::{Average, Ema};
pub use flat::Flat;
pub use gradients::{GradientSum, Gradients};
pub use guard::Guard;
pub use layout::Layout;
pub use memory::{Passes, Tensors};
pub use microbatch::Microbatch;
pub use pace::Pace;
pub use pending::Pending;
pub use replay::Replay;
pub use replicas::Replicas;
pub use sanitized::{Sanitized, Unread};
pub use snapshots::{Keep, Snapshots};
pub use student::{Student, Sums};
pub use supply::{Batch, Inputs, Pass, Real, Request, Supply};
pub use tree::Tree;
