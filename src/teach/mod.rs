//! Teacher training: a diffusion model from nothing, with EDM's loss or EDM2's.

pub mod batch;
pub mod recipe;
pub mod trainer;

pub use batch::{TeacherBatch, TeacherDraws};
pub use recipe::TrainTeacher;
pub use trainer::{TeacherIteration, TeacherSettings, TeacherTrainer};
