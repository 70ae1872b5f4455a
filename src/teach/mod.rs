//! Teacher training: a diffusion model from nothing, with EDM's loss or EDM2's.

pub mod batch;
pub mod objective;
pub mod recipe;
pub mod trainer;

pub use batch::{TeacherBatch, TeacherSupply};
pub use objective::TeacherObjective;
pub use recipe::TrainTeacher;
pub use trainer::{TeacherIteration, TeacherTrainer};
