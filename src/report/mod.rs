//! Reports: typed results in, pages out. Nothing here runs a network or reads a run.
//!
//! `ReportData` holds what there is to say; `write` puts it beside one another as HTML (self-contained), Markdown, JSON,
//! CSV and LaTeX; `text` is the table for a terminal. `junit` is about a whole run, whatever its reports show.

mod csv;
mod data;
mod escape;
mod files;
mod html;
mod html_parts;
mod json;
mod junit;
mod latex;
mod markdown;
mod number;
mod svg;
mod table;
mod text;
mod ticks;
mod words;

pub use csv::csv;
pub use data::{
    Chart, Expectation, Grid, Line, Mark, Origin, Provenance, ReportData, Row, Scale, Score, StageCurves,
    StageRun, StageSettings, Verdict, number_or_null,
};
pub use files::{key, remove, write};
pub use html::html;
pub use json::json;
pub use junit::{RunError, RunResult, junit};
pub use latex::latex;
pub use markdown::markdown;
pub use text::text;
