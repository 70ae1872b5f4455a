//! A Snakefile: a rule for every stage, once for all points that share it, and rules for the table.

use std::{collections::BTreeSet, fmt::Write as _};

use super::sweep_file::{Planned, SweepFile, plain, string};
use crate::{
    Error, Result,
    location::{Location, Resolved},
    pipeline::PlannedStage,
};

/// Snakemake removes what a failed command wrote, and an expectation that is not met spoils nothing: only the last rule
/// says it.
const UNMET: &str = " || [ $? -eq 3 ]";

pub(super) fn file(sweep: &SweepFile<'_>) -> Result<String> {
    let table = string(&format!("{}/sweep.json", plain(&sweep.home())?));
    let (mut rules, mut known, mut made) = (String::new(), BTreeSet::new(), Vec::new());
    for (i, plan) in sweep.plans()?.iter().enumerate() {
        for stage in plan.made() {
            if known.insert(stage.key.clone()) {
                known_contents(sweep, i + 1, stage)?;
                rules += &rule(sweep, i + 1, plan, stage)?;
                made.push(artifact(stage)?);
            }
        }
    }
    Ok(format!(
        "# The stages of the {count} points of the sweep `{name}`, a rule for each:
#
#     snakemake --cores 4 --keep-going
#
# What fails stops nothing but what reads it, and Snakemake's table; with the failed points in it, the table is made by
#
#     {command}
#
# Where the sweep or its base changes, print this file again.

THREADS = 1  # EDIT: of each stage


rule all:
    input: {table}
    threads: THREADS
    # The table once more, and the exit code of the expectations.
    shell: {all}
{rules}

rule table:
    input:
        {made}
    output: {table}
    threads: THREADS
    shell: {gather}",
        count = sweep.points.len(),
        name = sweep.name,
        command = sweep.command(),
        all = shell(sweep, ""),
        made = made.join(",\n        "),
        gather = shell(sweep, UNMET),
    ))
}

fn rule(sweep: &SweepFile<'_>, number: usize, plan: &Planned, stage: &PlannedStage) -> Result<String> {
    let folder = stage.dir.file_name().unwrap_or_default().to_string_lossy();
    let inputs = plan.read_by(stage).map(artifact);
    let inputs = inputs.collect::<Result<Vec<_>>>()?.join(", ");
    let mut text = format!("\n\nrule {}:\n", folder.replace('-', "_"));
    let _ = writeln!(text, "    # {}", sweep.task(sweep.points.len(), number));
    if !inputs.is_empty() {
        let _ = writeln!(text, "    input: {inputs}");
    }
    let what = format!(" --point {number} --until {}{UNMET}", stage.name);
    let (output, shell) = (artifact(stage)?, shell(sweep, &what));
    let _ = writeln!(text, "    output: {output}\n    threads: THREADS\n    shell: {shell}");
    Ok(text)
}

/// The file whose presence says that a stage is finished.
fn artifact(stage: &PlannedStage) -> Result<String> {
    Ok(string(&format!("{}/artifact.json", plain(&stage.dir)?)))
}

/// The sweep's command with more words; braces in it are Snakemake's.
fn shell(sweep: &SweepFile<'_>, more: &str) -> String {
    let command = sweep.command().replace('{', "{{").replace('}', "}}");
    string(&format!("RAYON_NUM_THREADS={{threads}} {command}{more}"))
}

/// A stage's folder is named after what it reads.
fn known_contents(sweep: &SweepFile<'_>, number: usize, stage: &PlannedStage) -> Result<()> {
    let unknown =
        |(field, _): &(String, &Location)| stage.input.files.get(field).is_some_and(Option::is_none);
    let Some((_, location)) = stage.spec.stage().locations().into_iter().find(unknown) else { return Ok(()) };
    let (name, command) = (&stage.name, sweep.command());
    let first = match location.resolve()? {
        Resolved::Url(_) => format!("`{command} --point {number} --until {name}` fetches it"),
        Resolved::Path(_) => "put it there".to_owned(),
    };
    Err(Error::Usage(format!(
        "`{name}` of point {number} reads `{location}`, which is not here yet, and its folder is named after what it reads: {first}, then print this file"
    )))
}
