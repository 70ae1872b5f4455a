//! Reports: typed results in, pages out. Nothing here runs a network or reads a run.
//!
//! `ReportData` holds what there is to say; `write` puts it beside one another as `report.html` (self-contained),
//! `report.md`, `report.json`, `junit.xml`, `report.csv` and `report.tex`; `text` is the table for a terminal.

mod base64;
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
    Chart, Expectation, Grid, Line, Mark, Provenance, ReportData, Row, Scale, Score, StageCurves, StageRun,
    StageSettings, Verdict,
};
pub use files::write;
pub use html::html;
pub use json::json;
pub use junit::junit;
pub use latex::latex;
pub use markdown::markdown;
pub use text::text;
