//! The `sida` command.

fn main() {}
