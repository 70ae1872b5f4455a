//! `sida plan SWEEP --format`: a sweep as a file for what starts processes, on one machine or on many.
//!
//! Every file starts `sida run SWEEP` with a point's number; labels, which are other people's text, stand in comments.

mod commands;
mod github;
mod kubernetes;
mod slurm;
mod snakemake;
mod sweep_file;

use std::path::Path;

use clap::ValueEnum;

use self::sweep_file::SweepFile;
pub(super) use self::sweep_file::word;
use super::{output, places::PlaceArgs};
use crate::{
    Error, Result,
    pipeline::{Parsed, Source},
    terminal,
};

/// Who is to start the points of a sweep.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// A shell, or whatever takes one command per line.
    Commands,
    /// `sbatch`: an array of tasks.
    Slurm,
    /// `kubectl`: an Indexed Job.
    Kubernetes,
    /// Snakemake: a rule per stage.
    Snakemake,
    /// GitHub Actions: a matrix of jobs.
    Github,
}

/// Prints the file.
///
/// # Errors
/// `Mistakes` of the sweep; `Usage` for a pipeline, and for names and values that such a file cannot hold.
pub(super) fn print(file: &Path, args: &PlaceArgs, format: Format) -> Result<()> {
    let source = Source::read(file)?;
    let Parsed::Sweep(sweep, points) = source.parse(&args.settings()?)? else {
        return Err(Error::Usage(format!(
            "`--format` is for sweeps, and `{}` is one pipeline: any number of `sida run` divide its stages among them",
            terminal::path(file)
        )));
    };
    let places = args.places(&source)?;
    let sweep = SweepFile::new(&source, args, &sweep, &points, &places)?;
    output::line(match format {
        Format::Commands => commands::file(&sweep),
        Format::Slurm => slurm::file(&sweep),
        Format::Kubernetes => kubernetes::file(&sweep),
        Format::Snakemake => snakemake::file(&sweep)?,
        Format::Github => github::file(&sweep)?,
    });
    Ok(())
}
