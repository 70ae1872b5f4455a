//! The record of a pipeline: all its values as one file, with nothing left to a base or to a command line.

use std::{fs, path::Path};

use super::{overlay::Setting, source::Source, spec::Pipeline};
use crate::{Error, Result, checkpoint::atomic, terminal};

/// The pipeline as YAML that can be run like any other file; a comment says what it was made from.
///
/// # Errors
/// `Unusable` for what cannot be written as YAML.
pub fn record(pipeline: &Pipeline, source: &Source, settings: &[Setting]) -> Result<String> {
    let mut made_from = format!("All values, made from {}", terminal::path(&source.path));
    for (i, setting) in settings.iter().enumerate() {
        // Values may hold credentials; the pipeline below knows how to write them.
        made_from += if i == 0 { " with --set " } else { ", " };
        made_from += &setting.path;
    }
    let made_from = made_from.replace(char::is_control, " ");
    // Addresses stay on one line.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let values = serde_saphyr::to_string_with_options(pipeline, options)
        .map_err(|error| Error::Unusable(format!("the pipeline cannot be written as YAML: {error}")))?;
    Ok(format!("# {made_from}; `sida run` takes this file.\n{values}"))
}

/// Keeps a record as `pipeline.yaml` in a folder of runs, which is made where it is absent.
///
/// # Errors
/// `Io`.
pub fn keep(record: &str, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    atomic::write(&folder.join("pipeline.yaml"), record.as_bytes())
}
