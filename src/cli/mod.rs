//! The command line: one file per verb.

/// `println!`, except that a reader which has gone away is no panic.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*).to_string()) };
}

mod absent;
mod args;
mod baseline;
mod check;
mod columns;
mod compare;
mod complete;
mod contents;
mod cost;
pub mod device;
mod doctor;
mod export;
mod fetch;
mod gc;
mod github;
mod inspect;
mod invocation;
mod log;
mod man;
mod mistake;
mod output;
mod places;
mod plan;
mod points;
mod prepare;
mod ranks;
mod run;
mod run_sweep;
mod schema;
mod self_test;
mod show;
mod signals;
#[cfg(not(unix))]
mod signals_polled;
mod spread;
mod start;
mod summary;
mod threads;
mod verify;

pub use args::Cli;
pub use log::LogFormat;
pub use start::main;
