//! What is done to every value alone.

mod activation;
mod weighted_sum;

pub use activation::{Activation, activation, activation_gradient};
pub use weighted_sum::{Held, weighted_sum, weighted_sum_gradients};
