//! What can be typed, and where it goes.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use super::{check, schema};
use crate::{Error, Result};

/// Turns pretrained EDM and EDM2 diffusion models into one-step generators with SiD, SiDA and SiD2A.
#[derive(Debug, Parser)]
#[command(name = "sida", version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Find every mistake in pipeline and sweep files.
    Check {
        /// Pipeline or sweep files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print the mistakes as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the JSON schemas of pipelines and sweeps.
    Schema {
        /// Folder to write to.
        #[arg(long, default_value = "schemas")]
        out: PathBuf,
    },
}

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = run(cli);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match &error {
                Error::Mistakes { rendered, .. } => eprintln!("{rendered}"),
                _ => eprintln!("error: {error}"),
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.verb {
        Verb::Check { files, json } => check::check(&files, json),
        Verb::Schema { out } => schema::write(&out),
    }
}
