//! `Source`: a file of the pipeline language, and what it says.

use std::{
    path::{Path, PathBuf},
    str::Utf8Error,
    sync::Arc,
};

use super::{
    baselines::Baselines,
    derive::derive,
    document::{Document, MAX_BYTES},
    expected,
    meaning::search_folders,
    mistake::{Mistake, as_error},
    overlay::{self, Setting},
    parse,
    plan::Plan,
    run::Summary,
    schema::PIPELINE_SCHEMA,
    spec::Pipeline,
    sweep::{self, Point},
    sweep_spec::Sweep,
    text::Text,
};
use crate::{
    Error, Result,
    formats::{Unread, read_at_most},
    pipeline_name,
    stage_name::StageName,
    stages::StageSpec,
    terminal,
};

/// A file of the pipeline language.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// A pipeline, written whole or derived from another.
    Pipeline(Pipeline),
    /// A sweep, and all its points.
    Sweep(Box<Sweep>, Vec<Point>),
}

impl Parsed {
    /// The pipeline, or that of every point of a sweep.
    pub fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        let (one, points) = match self {
            Self::Pipeline(pipeline) => (Some(pipeline), &[][..]),
            Self::Sweep(_, points) => (None, points.as_slice()),
        };
        one.into_iter().chain(points.iter().map(|point| &point.pipeline))
    }

    /// All stages, of every point of a sweep.
    pub fn stages(&self) -> impl Iterator<Item = (&StageName, &StageSpec)> {
        self.pipelines().flat_map(|pipeline| &pipeline.stages)
    }
}

/// What a file says, or all its mistakes.
pub type Judged = std::result::Result<Parsed, Vec<Mistake>>;

/// A file that was read but not judged.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Folders in which relative paths are looked for.
    pub search: Vec<PathBuf>,
}

impl Source {
    /// Reads a file that is to be checked, planned or run.
    ///
    /// # Errors
    /// `Usage` for a file that is absent, unreadable, too large or not text, or whose name is no pipeline's: the command is
    /// wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let source = Self::load(path)?;
        let unnamed = |why: String| {
            Error::Usage(format!(
                "`{}` cannot be a pipeline: {why}, and so would its folder of runs: rename the file",
                terminal::path(path)
            ))
        };
        pipeline_name::of(path).map_err(unnamed)?;
        if path.to_str().is_none() {
            let why = "the path is not UTF-8 text, and cannot be kept in records: rename its folders";
            return Err(Error::Usage(format!("`{}`: {why}", terminal::path(path))));
        }
        Ok(source)
    }

    /// Reads any file.
    fn load(path: &Path) -> Result<Self> {
        let usage =
            |problem: String| Error::Usage(format!("cannot read `{}`: {problem}", terminal::path(path)));
        let bytes = read_at_most(path, MAX_BYTES).map_err(|why| match why {
            Unread::NoFile => usage("it is not a regular file".to_owned()),
            Unread::TooLarge => {
                usage(format!("it has more than the {MAX_BYTES} bytes of the largest pipeline file"))
            }
            Unread::Io(error) => usage(error.to_string()),
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|error| usage(encoding(error.as_bytes(), &error.utf8_error())))?;
        Ok(Self { path: path.to_path_buf(), text, search: search_folders(path) })
    }

    /// The pipeline's name: the file's, without its extension.
    pub fn name(&self) -> String {
        // What was read has one; tests make theirs of nothing.
        pipeline_name::of(&self.path).unwrap_or_else(|_| "pipeline".to_owned())
    }

    /// What it says, after `settings` are made in it.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(&self, settings: &[Setting]) -> Result<Parsed> {
        self.judge(settings).map_err(as_error)
    }

    /// The same, but what is wrong with the baselines that the file names is no mistake, and nothing is compared with those:
    /// for a run that records one, which may make it right, and for those who only look at scores.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse_without_baselines(&self, settings: &[Setting]) -> Result<Parsed> {
        self.judge_with(settings, &Baselines::new(&self.search, false)).map_err(as_error)
    }

    /// What it says, or all mistakes as data.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn judge(&self, settings: &[Setting]) -> Judged {
        self.judge_with(settings, &Baselines::new(&self.search, true))
    }

    fn judge_with(&self, settings: &[Setting], baselines: &Baselines<'_>) -> Judged {
        let document = self.document()?;
        if Form::of(&document) == Form::Sweep {
            return sweep::judge(document, self, settings);
        }
        let (whole, mistakes) = self.whole(document, settings)?;
        parse::judge_with(&whole, mistakes, baselines).map(Parsed::Pipeline)
    }

    /// A pipeline, or what a derived one stands for, with `settings`, and what is wrong with how it came about.
    pub(super) fn whole(
        &self,
        document: Document,
        settings: &[Setting],
    ) -> std::result::Result<(Document, Vec<Mistake>), Vec<Mistake>> {
        let (mut whole, mut mistakes) = match Form::of(&document) {
            Form::Derived => derive(document, self)?,
            Form::Pipeline | Form::Sweep => (document, Vec::new()),
        };
        mistakes.extend(overlay::apply(&mut whole, settings, &PIPELINE_SCHEMA.schema));
        Ok((whole, mistakes))
    }

    /// The expectations of a pipeline that a run did not meet, each at its place in the file that says it. Of a sweep, none.
    pub fn unmet(&self, settings: &[Setting], plan: &Plan, summary: &Summary) -> Vec<Mistake> {
        let document = self.document().ok().filter(|document| Form::of(document) != Form::Sweep);
        let Some((whole, _)) = document.and_then(|document| self.whole(document, settings).ok()) else {
            return Vec::new();
        };
        let unmet = expected::unmet(plan, summary).into_iter();
        unmet.map(|(place, said)| Mistake::at_key(&whole, &place, said)).collect()
    }

    /// All values of a pipeline, or of a sweep's point by its number, with the places where they are written.
    pub(super) fn of_point(
        &self,
        settings: &[Setting],
        point: Option<usize>,
    ) -> std::result::Result<Document, Vec<Mistake>> {
        let document = self.document()?;
        match point {
            Some(point) => sweep::of_point(document, self, settings, point),
            None => self.whole(document, settings).map(|(whole, _)| whole),
        }
    }

    /// The file that this one names in `base`, and what it holds. `document` is this one's.
    pub(super) fn base(
        &self,
        document: &Document,
        base: &str,
    ) -> std::result::Result<(Self, Document), Vec<Mistake>> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let base = Self::load(&folder.join(base)).map_err(|error| {
            let help = Some("the path is relative to this file");
            vec![Mistake::at_value(document, "/base", error.to_string()).help(help)]
        })?;
        let document = base.document()?;
        Ok((base, document))
    }

    pub(super) fn document(&self) -> std::result::Result<Document, Vec<Mistake>> {
        let name = self.path.display().to_string();
        let text = Arc::new(Text::new(self.text.clone()));
        Document::read(&name, Arc::clone(&text)).map_err(|error| {
            let problem = format!("not readable as YAML: {}", error.problem);
            vec![Mistake::in_text(&name, &text, error.span, problem).help(error.help)]
        })
    }
}

/// Why bytes are no text.
fn encoding(bytes: &[u8], error: &Utf8Error) -> String {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return "it is UTF-16 and not UTF-8 text: save it as UTF-8".to_owned();
    }
    let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
    format!("it is not UTF-8 text: line {line} has other bytes")
}

/// The three forms of a file, which its keys tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Stages.
    Pipeline,
    /// A base and what differs from it.
    Derived,
    /// A base and axes.
    Sweep,
}

impl Form {
    pub(super) fn of(document: &Document) -> Self {
        let has = |keys: &[&str]| keys.iter().any(|key| document.value.get(key).is_some());
        if has(&["axes", "table", "search"]) {
            Self::Sweep
        } else if has(&["base", "set", "remove"]) {
            Self::Derived
        } else {
            Self::Pipeline
        }
    }
}
