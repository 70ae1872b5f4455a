//! A workflow of GitHub Actions.
//!
//! Its jobs share no folder: a first one makes what all points share, the others get that and make the rest, and a last one
//! puts together what they made.

use std::{collections::HashMap, fmt::Write as _};

use super::{
    super::invocation::quoted,
    sweep_file::{Planned, SweepFile, plain, string},
};
use crate::{Result, pipeline::PlannedStage};

/// GitHub takes no larger matrix.
const MOST: usize = 256;

const PREPARE: &str = "      - uses: actions/checkout@v4
      - run: cargo install --locked --path . # EDIT: how sida comes into the PATH
";

pub(super) fn file(sweep: &SweepFile<'_>) -> Result<String> {
    let (count, name, command) = (sweep.points.len(), &sweep.name, sweep.command());
    let home = plain(&sweep.home())?;
    let store = plain(&sweep.store())?;
    let plans = sweep.plans()?;
    let shared = shared(&plans);
    let (axis, variable) = if count > MOST { ("share", "$SHARE") } else { ("point", "$POINT") };
    let (tasks, run) = sweep.shares(MOST, variable);
    let mut matrix = String::new();
    for task in 1..=tasks {
        let _ = writeln!(matrix, "          - {task} # {}", sweep.task(tasks, task));
    }
    let number = format!("${{{{ matrix.{axis} }}}}");
    let (needs, fetch) = if shared.is_empty() {
        ("", String::new())
    } else {
        let with = format!("{{ name: shared, path: {} }}", string(&store));
        let fetch = format!("      - uses: actions/download-artifact@v4\n        with: {with}\n");
        ("    needs: shared\n", fetch)
    };
    Ok(format!(
        "# The {count} points of the sweep `{name}`. Put this file into `.github/workflows/` and EDIT the lines that say so.
name: {title}
on: workflow_dispatch
permissions:
  contents: read
jobs:
{first}  points:
{needs}    runs-on: ubuntu-latest # EDIT
    strategy:
      fail-fast: false
      matrix:
        {axis}:
{matrix}    steps:
{PREPARE}{fetch}      - run: {run}
        env: {{ {variable}: \"{number}\" }}
{upload}  table:
    needs: points
    # Also with points that failed.
    if: ${{{{ !cancelled() }}}}
    runs-on: ubuntu-latest # EDIT
    steps:
{PREPARE}      - uses: actions/download-artifact@v4
        with: {{ path: stores }}
{merge}      - run: {table}
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: pages
          path: |
            {home}/*.*
            {home}/points/*/*.*",
        title = string(name),
        first = first(&command, &shared, &store),
        run = script(&run),
        variable = &variable[1..],
        upload = upload(&format!("{axis}-{number}"), &store, &shared),
        merge = merge(&store),
        table = script(&command),
    ))
}

/// What all points share.
fn shared(plans: &[Planned]) -> Vec<&PlannedStage> {
    let mut counts = HashMap::new();
    let keys = plans.iter().flat_map(Planned::made).map(|stage| &stage.key);
    keys.for_each(|key| *counts.entry(key).or_insert(0) += 1);
    let everywhere = |stage: &&PlannedStage| plans.len() > 1 && counts[&stage.key] == plans.len();
    plans.first().into_iter().flat_map(Planned::made).filter(everywhere).collect()
}

/// The job that makes that; each command makes what its stage reads, too.
fn first(command: &str, shared: &[&PlannedStage], store: &str) -> String {
    if shared.is_empty() {
        return String::new();
    }
    let mut text = format!("  shared:\n    runs-on: ubuntu-latest # EDIT\n    steps:\n{PREPARE}");
    let is_read =
        |stage: &PlannedStage| shared.iter().any(|by| by.input.inputs.values().any(|key| *key == stage.key));
    for stage in shared.iter().filter(|stage| !is_read(stage)) {
        // An expectation that is not met is said by the points and the table.
        let run = format!("{command} --point 1 --until {} || [ $? -eq 3 ]", stage.name);
        let _ = writeln!(text, "      - run: {}", script(&run));
    }
    text + &upload("shared", store, &[])
}

/// Keeps a job's stages, but for those that it was given.
fn upload(name: &str, store: &str, given: &[&PlannedStage]) -> String {
    let mut text = format!(
        "      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: {name}
          path: |
            {store}
"
    );
    for folder in given.iter().filter_map(|stage| stage.dir.file_name()) {
        let _ = writeln!(text, "            !{store}/{}", folder.to_string_lossy());
    }
    text
}

/// One store out of all: of a stage that several jobs made one whole folder, a finished one if there is one.
fn merge(store: &str) -> String {
    let store = quoted(store);
    format!(
        "      - run: |
          mkdir -p {store}
          for file in artifact.json stage.json; do
            for stage in stores/*/*/; do
              into={store}/$(basename \"$stage\")
              if [ -e \"$stage$file\" ] && [ ! -e \"$into\" ]; then cp -a \"$stage\" \"$into\"; fi
            done
          done
          for addresses in stores/*/addresses; do
            if [ -e \"$addresses\" ]; then cp -a \"$addresses\" {store}/; fi
          done
"
    )
}

/// A command of a step, in which nothing is an expression.
fn script(command: &str) -> String {
    string(&command.replace("${{", "${{ '${{' }}"))
}
