//! `sida man`: pages for `man`.

use std::{fs, path::Path};

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::{args::Cli, output};
use crate::{Error, Result, checkpoint::atomic};

/// Prints the page of the program, or of one of its verbs.
///
/// # Errors
/// `Usage` for a verb that there is not.
pub(super) fn print(verb: Option<&str>) -> Result<()> {
    let mut program = built();
    let command = match verb {
        None => program,
        Some(verb) => match program.find_subcommand_mut(verb) {
            Some(command) => page_of(command),
            None => return Err(Error::Usage(format!("there is no verb `{verb}`: `sida help` lists them"))),
        },
    };
    output::line(String::from_utf8_lossy(&page(command)).trim_end());
    Ok(())
}

/// Writes `sida.1` and a page for each verb into a folder.
///
/// # Errors
/// `Io`.
pub(super) fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let program = built();
    let verbs: Vec<clap::Command> = program.get_subcommands().map(page_of).collect();
    for command in std::iter::once(program).chain(verbs) {
        let path = folder.join(format!("{}.1", command.get_name()));
        atomic::write(&path, &page(command))?;
        output::line(crate::terminal::path(&path));
    }
    Ok(())
}

/// With the names of all verbs and their options filled in.
fn built() -> clap::Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

/// A verb as a page calls it: `sida-run`.
fn page_of(command: &clap::Command) -> clap::Command {
    let name: &'static str = format!("sida-{}", command.get_name()).leak();
    command.clone().name(name)
}

fn page(command: clap::Command) -> Vec<u8> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page).expect("a page in memory");
    page
}
