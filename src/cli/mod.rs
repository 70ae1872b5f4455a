//! The command line: one file per verb.

mod args;
mod check;
mod compare;
mod device;
mod doctor;
mod export;
mod inspect;
mod schema;

pub use args::{Cli, main};
