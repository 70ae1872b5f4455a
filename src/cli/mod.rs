//! The command line: one file per verb.

mod args;
mod check;
mod schema;

pub use args::{Cli, main};
