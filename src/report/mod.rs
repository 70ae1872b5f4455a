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
mod json;
mod junit;
mod latex;
mod markdown;
mod number;
mod page;
mod row;
mod svg;
pub mod sweep;
mod table;
mod text;
mod ticks;
mod verdict;

pub use baseline::{Baseline, Recorded};
pub use csv::csv;
pub use data::{
    Chart, Grid, Invocation, Line, Mark, MeasuredRow, Provenance, ReportData, Scale, StageCurves, StageRun,
    StageSettings,
};
pub use expectation::{Expectation, Within};
pub use files::{key, remove, write};
pub use html::html;
pub use json::json;
pub use junit::{RunError, RunResult, junit};
pub use latex::latex;
pub use markdown::{brief, failed, markdown};
pub use row::{Row, ScoresOf};
pub use text::text;
pub use verdict::{Compared, Overall, Standing, Verdict};
