//! Distillation: SiD, SiDA and SiD2A.

pub mod fake_score_loss;
pub mod fake_score_round;
pub mod generator_loss;
pub mod generator_round;
mod half;
pub mod iteration;
pub mod kept;
pub mod method;
pub mod micro_batch;
pub mod objective;
pub mod recipe;
pub mod round;
pub mod sida_loss;
pub mod trainer;
#[cfg(test)]
mod truths;

pub use fake_score_loss::FakeScoreLoss;
pub use generator_loss::GeneratorLoss;
pub use generator_round::{Learning, frozen};
pub use iteration::{Iteration, Round};
pub use kept::Kept;
pub use method::{Adversarial, Method, Sid, Sid2a, Sida, Terms};
pub use micro_batch::{DistillSupply, MicroBatch};
pub use objective::{ForcedNormalization, LossScales, Objective};
pub use recipe::{Distill, Edm2Settings, FakeScore, Generator, StartFrom};
pub use round::{LossTerms, PhaseRound};
pub use trainer::{Networks, Trainer};
