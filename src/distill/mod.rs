//! Distillation: SiD, SiDA and SiD2A.

pub mod method;
pub mod recipe;

pub use method::{Adversarial, Method, Sid, Sid2a, Sida, Terms};
pub use recipe::{Distill, Edm2Settings, FakeScore, Generator, Keep, Snapshots, StartFrom};
