//! The pipeline language: parsing, checking, planning and running.

mod document;
mod facts;
mod meaning;
pub mod mistake;
pub mod overlay;
pub mod parse;
pub mod schema;
pub mod spec;
pub mod suggestion;
pub mod sweep;
mod violations;

pub use mistake::Mistake;
pub use overlay::Setting;
pub use parse::{Parsed, Source};
pub use spec::{Axis, Cell, Pipeline, Sweep, SweepTable};
