//! The `sida` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Training allocates the same large blocks step after step.
#[global_allocator]
static ALLOCATOR: sida::kernels::Recycler = sida::kernels::Recycler;

fn main() -> ExitCode {
    sida::cli::main()
}
