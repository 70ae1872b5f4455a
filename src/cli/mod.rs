//! The command line: one file per verb.

mod args;
mod check;
mod columns;
mod compare;
mod device;
mod doctor;
mod export;
mod inspect;
mod log;
mod output;
mod plan;
mod run;
mod run_sweep;
mod schema;

pub use args::{Cli, LogFormat, main};
