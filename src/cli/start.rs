//! The program's beginning and end: what was typed goes where it belongs, and what came of it is said.

use std::process::ExitCode;

use clap::Parser as _;
use serde_json::{Map, Value, json};

use super::{
    args::{Cli, Verb},
    check, compare, complete, doctor, export, fetch, gc, github, inspect, invocation, log, man, mistake,
    places::{folders_are_text, runs},
    plan, prepare, run, schema, spread, threads, verify,
};
use crate::{Error, Result, ranks::Place, terminal};

/// The program.
pub fn main() -> ExitCode {
    if complete::answered() {
        return ExitCode::SUCCESS;
    }
    mistake::own_up();
    mistake::survive_large_files();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and the version are no errors.
        Err(shown) if !shown.use_stderr() => shown.exit(),
        Err(wrong) => {
            log::start_refused(&invocation::typed().collect::<Vec<_>>());
            return refused(&wrong);
        }
    };
    let is_first =
        !cli.verb.is_run() || Place::given().is_ok_and(|place| place.is_none_or(|place| place.rank == 0));
    log::start(cli.log, is_first);
    threads::start();
    let json = cli.verb.wants_json();
    match dispatch(cli.verb) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = error.exit_code();
            github::error(&error, json);
            say(error);
            ExitCode::from(code)
        }
    }
}

/// A command line that cannot be read.
fn refused(wrong: &clap::Error) -> ExitCode {
    let text = wrong.render().to_string();
    let message = text.trim().trim_start_matches("error: ");
    terminal::error(text.trim_end(), [fields(&json!({ "message": message, "exit_code": 2 }))]);
    ExitCode::from(2)
}

fn say(error: Error) {
    let code = error.exit_code();
    match error {
        Error::Mistakes { mistakes, rendered } => terminal::error(&rendered, mistakes.iter().map(fields)),
        error => {
            let message = error.to_string();
            let objects = [fields(&json!({ "message": message, "exit_code": code }))];
            terminal::error(&format!("error: {message}"), objects);
        }
    }
}

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// With which exit code it ended.
fn dispatch(verb: Verb) -> Result<u8> {
    match &verb {
        Verb::Fetch { places, .. } | Verb::Plan { places, .. } | Verb::Run { places, .. } => {
            folders_are_text(places.given())?;
        }
        Verb::Gc { runs, .. } => folders_are_text(runs.as_deref())?,
        _ => {}
    }
    match verb {
        Verb::Check { files, offline, json } => check::check(&files, offline, json),
        Verb::Fetch { files, places, json } => fetch::fetch(&files, &places, json),
        Verb::Prepare(args) => prepare::prepare(&args),
        Verb::Plan { file, places, format: Some(format), .. } => spread::print(&file, &places, format),
        Verb::Plan { file, places, resolved: true, .. } => plan::resolved(&file, &places),
        Verb::Plan { file, places, device, measure, json, .. } => {
            plan::plan(&file, &places, device.as_deref(), measure, json)
        }
        Verb::Run { file, places, device, ranks, only, until, force, all, points, record, json } => {
            let choice = run::Choice { only, until, force, points, all, record, json };
            return run::run(&file, &places, &device, ranks, &choice);
        }
        Verb::Compare { left, right, html, json } => compare::compare(&left, &right, html.as_deref(), json),
        Verb::Inspect { file, json } => inspect::inspect(&file, json),
        Verb::Export { from, to, json } => export::export(&from, &to, json),
        Verb::Verify { folder, json } => verify::verify(&folder, json),
        Verb::Gc { runs: given, delete, json } => gc::gc(&given.unwrap_or_else(runs), delete, json),
        Verb::Schema { out, json } => schema::write(&out, json),
        Verb::Completions { shell } => complete::print(shell),
        Verb::Man { out: Some(folder), .. } => man::write(&folder),
        Verb::Man { verb, .. } => man::print(verb.as_deref()),
        Verb::Doctor { device, json } => doctor::doctor(&device, json),
    }
    .map(|()| 0)
}
