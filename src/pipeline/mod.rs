//! The pipeline language: parsing, checking, planning and running.

mod derive;
mod document;
pub mod execute;
pub mod key;
pub mod lock;
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
pub mod runs;
pub mod schema;
pub mod source;
pub mod spec;
pub mod sweep;
mod violations;

pub use execute::Stages;
pub use key::StageKey;
pub use lock::Lock;
pub use mistake::Mistake;
pub use overlay::Setting;
pub use plan::{Places, Plan, PlannedStage, Status};
pub use run::{Begin, Execute, Failed, Running, Selection, Summary, run};
pub use source::{Parsed, Source};
pub use spec::{Axis, Cell, Pipeline, Sweep, SweepTable};
pub use sweep::Point;
