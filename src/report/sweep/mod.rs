//! The page of a sweep: a heat map or a curve of one metric over the axes, the best point and whether it is one, sample
//! grids, every score of every point; as HTML, Markdown, JSON, CSV, LaTeX and for a terminal.

mod best;
mod cells;
mod csv;
mod curve;
mod data;
mod files;
mod html;
mod html_parts;
mod json;
mod latex;
mod markdown;
mod text;

pub use data::{MeasuredPoint, PointEnd, SweepAxis, SweepData};
pub use files::{page, remove, write};
pub use json::json;
pub use markdown::markdown;
pub use text::text;
