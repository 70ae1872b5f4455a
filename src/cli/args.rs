//! What can be typed, and where it goes.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use super::{check, compare, doctor, export, inspect, schema};
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
    /// Show metrics, settings and images of two runs side by side.
    Compare {
        /// A pipeline's folder of runs, or a report.json.
        a: PathBuf,
        /// Another one.
        b: PathBuf,
    },
    /// Show what a network pickle, .pt, .safetensors or dataset holds; runs no code from it.
    Inspect {
        /// The file or folder.
        file: PathBuf,
    },
    /// Write weights under the reference's own parameter names, with the settings as metadata.
    Export {
        /// A finished stage's folder, a .pkl or a .safetensors file.
        from: PathBuf,
        /// The .safetensors file to write.
        to: PathBuf,
    },
    /// Show devices, libraries and memory, and test the device for a second.
    Doctor {
        /// `auto`, `cpu`, or `cuda:N`.
        #[arg(long, default_value = "auto")]
        device: String,
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
        Verb::Compare { a, b } => compare::compare(&a, &b),
        Verb::Inspect { file } => inspect::inspect(&file),
        Verb::Export { from, to } => export::export(&from, &to),
        Verb::Doctor { device } => doctor::doctor(&device),
        Verb::Schema { out } => schema::write(&out),
    }
}
