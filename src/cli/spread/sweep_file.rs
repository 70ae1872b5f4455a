//! What the files of all formats say of a sweep: its command, its points, its stages; and how other people's text
//! stands in them.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    cli::{invocation::quoted, places::PlaceArgs},
    pipeline::{Places, Plan, PlannedStage, Planner, Point, Selection, Source, Sweep, home, store::Store},
    secret, terminal,
};

/// Characters of a label that a comment shows.
const SHOWN: usize = 200;

/// A sweep, to be written for somebody who starts its points.
pub(super) struct SweepFile<'a> {
    /// Its name, as far as every format takes it: letters, digits, `.`, `_` and `-`.
    pub(super) name: String,
    /// `sida run SWEEP`, with what was given besides.
    words: Vec<String>,
    sweep: &'a Sweep,
    pub(super) points: &'a [Point],
    places: &'a Places,
    source: &'a Source,
}

/// The plan of a point.
pub(super) struct Planned {
    plan: Plan,
    selection: Selection,
}

impl Planned {
    /// The stages that are made, in their order.
    pub(super) fn made(&self) -> impl Iterator<Item = &PlannedStage> {
        let is_wanted =
            |place: &usize| self.selection.wanted.as_ref().is_none_or(|wanted| wanted.contains(place));
        let wanted = (0..self.plan.stages.len()).filter(is_wanted).map(|place| &self.plan.stages[place]);
        wanted.filter(|stage| !stage.spec.stage().is_view())
    }

    /// The stages that one of these reads.
    pub(super) fn read_by(&self, stage: &PlannedStage) -> impl Iterator<Item = &PlannedStage> {
        stage.inputs.iter().map(|input| &self.plan.stages[*input])
    }
}

impl<'a> SweepFile<'a> {
    /// # Errors
    /// `Usage` for words that are not printed as they are.
    pub(super) fn new(
        source: &'a Source,
        args: &PlaceArgs,
        sweep: &'a Sweep,
        points: &'a [Point],
        places: &'a Places,
    ) -> Result<Self> {
        let mut words = vec!["sida".to_owned(), "run".to_owned(), word(&source.path)];
        words.extend(args.words());
        if let Some(wrong) = words.iter().find(|word| secret::masked(word) != word.as_str()) {
            return Err(Error::Usage(format!(
                "`{}` holds credentials, and `--format` prints none: write `${{TOKEN}}` for them, and set that variable where the command runs",
                secret::masked(wrong)
            )));
        }
        if let Some(wrong) = words.iter().find(|word| word.contains(unprintable)) {
            return Err(Error::Usage(format!(
                "`{}` holds characters that are not printed, so `--format` cannot write a command with it",
                terminal::name(wrong)
            )));
        }
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let name = source.name().chars().map(safe).collect();
        Ok(Self { name, words, sweep, points, places, source })
    }

    /// The command for the whole sweep, as a shell reads it.
    pub(super) fn command(&self) -> String {
        self.words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// Whether points wait for each other, so that a task cannot be about some of them: it takes what is next.
    pub(super) fn is_search(&self) -> bool {
        self.sweep.search.is_some()
    }

    /// The command of a task, whose point's number a shell finds in `number`.
    pub(super) fn point(&self, number: &str) -> String {
        if self.is_search() { self.command() } else { format!("{} --point {number}", self.command()) }
    }

    /// How many tasks there are, at most `most`, and the command of the task whose number a shell finds in `number`.
    pub(super) fn shares(&self, most: usize, number: &str) -> (usize, String) {
        match self.points.len() {
            count if count <= most => (count, self.point(&format!("\"{number}\""))),
            _ if self.is_search() => (most, self.command()),
            _ => (most, format!("{} --points \"{number}/{most}\"", self.command())),
        }
    }

    /// What a task does, as a comment.
    pub(super) fn task(&self, tasks: usize, number: usize) -> String {
        if self.is_search() {
            return "what is next in the search".to_owned();
        }
        let labels = self.points.iter().skip(number - 1).step_by(tasks).map(|point| point.label.as_str());
        comment(&labels.collect::<Vec<_>>().join(", "))
    }

    /// All tasks and what they do, a line of comments for each.
    pub(super) fn tasks(&self, tasks: usize) -> String {
        let width = tasks.to_string().len();
        let mut text = String::new();
        for number in 1..=tasks {
            let _ = writeln!(text, "#   {number:>width$}  {}", self.task(tasks, number));
        }
        text
    }

    /// The plans of all points, with what `sida run` makes of them.
    ///
    /// # Errors
    /// `Usage` for a search, whose stages follow from what is measured.
    pub(super) fn plans(&self) -> Result<Vec<Planned>> {
        if self.is_search() {
            return Err(Error::Usage(format!(
                "`{}` is a search, and which stages it makes follows from what is measured: `--format commands`, `slurm` and `kubernetes` start processes that divide them",
                terminal::path(&self.source.path)
            )));
        }
        let (name, mut planner) = (self.source.name(), Planner::new(self.places));
        let sweep = self.home();
        let plan = |point: &Point| {
            let plan = planner.plan(&point.pipeline, &name, home::of_point(&sweep, &point.label))?;
            let selection = Selection::of_point(&plan, self.sweep, &[])?;
            Ok(Planned { plan, selection })
        };
        self.points.iter().map(plan).collect()
    }

    /// The sweep's own folder of runs.
    pub(super) fn home(&self) -> PathBuf {
        self.places.home(&self.source.name())
    }

    /// The folder of all stages.
    pub(super) fn store(&self) -> PathBuf {
        Store::of(&self.places.runs).root().to_path_buf()
    }
}

/// A path, for formats that read signs in paths.
///
/// # Errors
/// `Usage` where they would read one in this.
pub(super) fn plain(path: &Path) -> Result<String> {
    let text = word(path);
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+ ".contains(c);
    if text.chars().all(plain) {
        return Ok(text.strip_prefix("./").unwrap_or(&text).to_owned());
    }
    Err(Error::Usage(format!(
        "`{}` has signs that mean something else in paths of this format: give the sweep's file another name, or --runs another folder",
        terminal::path(path)
    )))
}

/// Other people's text in a comment: on one line, and no longer than anybody reads.
fn comment(text: &str) -> String {
    let shown = terminal::name(text);
    match shown.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ...", &shown[..end]),
        None => shown.into_owned(),
    }
}

/// A path as a word that is not taken for a flag.
pub(in crate::cli) fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') { format!("./{text}") } else { text.into_owned() }
}

/// What the terminal does not show as it is, and what stands for bytes that are no text.
fn unprintable(c: char) -> bool {
    terminal::is_obeyed(c) || c == char::REPLACEMENT_CHARACTER
}

/// Text as YAML and as Python: the escapes of a JSON string mean the same there.
pub(super) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
