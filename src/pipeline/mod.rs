//! The pipeline language: parsing, checking, planning and running.

pub mod spec;

pub use spec::{Axis, Cell, Pipeline, Sweep, SweepTable};
