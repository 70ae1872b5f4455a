//! The `sida` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    sida::cli::main()
}
