//! Reports: typed results in, pages out. Nothing here runs a network or reads a run.
//!
//! `ReportData` holds what there is to say; `write` puts it beside one another as HTML (self-contained), Markdown,
//! JSON, CSV and LaTeX; `text` is the table for a terminal. `junit` is about a whole run, whatever its reports show.
//! `comparison` puts two runs side by side.

mod baseline;
pub mod comparison;
mod csv;
mod data;
mod escape;
mod expectation;
mod files;
mod heading;
mod html;
mod html_parts;
mod html_pictures;
mod html_results;
mod html_stages;
mod html_training;
mod json;
mod junit;
mod latex;
mod markdown;
mod number;
mod page;
mod provenance;
mod row;
mod svg;
pub mod sweep;
mod table;
mod text;
mod ticks;
mod training;
mod verdict;

pub use baseline::{Baseline, Recorded};
pub use csv::csv;
pub use data::{Grid, MeasuredRow, ReportData, StageSettings};
pub use expectation::{Expectation, Within};
pub use files::{key, remove, write};
pub use html::html;
pub use json::json;
pub use junit::{RunError, RunResult, junit};
pub use latex::latex;
pub use markdown::{brief, failed, markdown};
pub use provenance::{Invocation, Provenance, StageRun};
pub use row::{Row, ScoresOf};
pub use text::text;
pub use training::{Chart, Line, Mark, Scale, Snapshot, StageCurves};
pub use verdict::{Compared, Overall, Standing, Verdict};
