//! The pipeline language: parsing, checking, planning and running.

mod contents;
mod derive;
mod document;
mod elsewhere;
pub mod execute;
pub mod home;
pub mod key;
mod meaning;
pub mod mistake;
mod origin;
pub mod outcome;
pub mod overlay;
mod parse;
pub mod plan;
mod reason;
pub mod record;
pub mod run;
pub mod schema;
pub mod source;
pub mod spec;
pub mod store;
pub mod sweep;
pub mod verify;
mod violations;

pub use execute::Stages;
pub use key::StageKey;
pub use mistake::Mistake;
pub use overlay::Setting;
pub use plan::{Places, Plan, PlannedStage, Status};
pub use run::{Begin, Execute, Failed, Running, Selection, Summary, finished, run, run_into};
pub use source::{Parsed, Source};
pub use spec::{Axis, Cell, Pipeline, Sweep, SweepTable};
pub use sweep::Point;
