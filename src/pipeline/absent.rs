//! `Absent`: what stages read from this machine or from addresses, and is not here.

use std::path::{Path, PathBuf, absolute};

use indexmap::{IndexMap, IndexSet};
use serde::{Serialize, Serializer};

use super::{
    meaning::{self, pointer},
    mistake::{Mistake, as_error},
    overlay::Setting,
    plan::{Places, Plan, Status},
    remedy::Remedy,
    source::Source,
    spec::Pipeline,
};
use crate::{
    Error, Result,
    location::Resolved,
    stage_name::StageName,
    stages::{
        Download, Missing, Objection, StageSpec, Wanted, World,
        download::{missing, none_missing},
    },
    terminal,
};

/// More absent files than anybody reads about.
const MAX_SHOWN: usize = 100;

/// What stages read and is not here, each file once.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Absent {
    /// Files and folders of this machine.
    #[serde(serialize_with = "values")]
    pub files: IndexMap<PathBuf, AbsentFile>,
    /// Files to download that are not in the cache.
    pub downloads: IndexSet<Download>,
    /// The same, with who reads them, where nobody may be asked.
    #[serde(skip)]
    missing: Vec<Missing>,
}

/// A file or a folder of this machine that is not here.
#[derive(Clone, Debug, Serialize)]
pub struct AbsentFile {
    /// The path, variables replaced.
    pub path: String,
    /// The stages that read it.
    pub stages: IndexSet<StageName>,
    /// What it is, where its name says that.
    pub what: Option<&'static str>,
    /// About how many bytes it has.
    pub bytes: Option<u64>,
    /// Where it, or what it is made from, is to be had.
    pub from: Option<String>,
    /// The command that makes it.
    pub command: Option<String>,
    /// What to do, in words.
    pub help: String,
    /// The first place that names it.
    #[serde(skip)]
    place: Place,
}

/// A value of a stage; of a sweep, with the number of the point.
#[derive(Clone, Debug)]
struct Place {
    point: Option<usize>,
    stage: StageName,
    spec: StageSpec,
    field: Option<String>,
    written: String,
}

/// What to do about a path that leads nowhere in the folders `search`, in words.
pub fn advice(path: &Path, search: &[PathBuf]) -> String {
    Remedy::of(path, search).help
}

impl Absent {
    /// All that the stages of pipelines read, done or not. `runs` is where stages keep what they make.
    pub fn of<'a>(
        pipelines: impl Iterator<Item = &'a Pipeline>,
        search: &[PathBuf],
        cache: &Path,
        runs: &Path,
    ) -> Self {
        let mut absent = Self::default();
        let made = absolute(runs).into_iter().collect::<Vec<_>>();
        let mut first: Option<&Pipeline> = None;
        for pipeline in pipelines {
            let world = World { stages: &pipeline.stages, search };
            for (name, spec) in &pipeline.stages {
                // Points of a sweep share most of their stages.
                if first.is_some_and(|first| first.stages.get(name) == Some(spec)) {
                    continue;
                }
                absent.add(None, name, spec, &world, &made);
                absent.downloads.extend(spec.stage().work(&world, cache).downloads);
            }
            first.get_or_insert(pipeline);
        }
        absent
    }

    /// Adds what the stages of a plan read that are asked for and have to run. `point` is the plan's, of a sweep.
    pub fn add_plan(
        &mut self,
        point: Option<usize>,
        plan: &Plan,
        runs: impl Fn(usize) -> bool,
        places: &Places,
    ) {
        let made = plan.stages.iter().map(|stage| &stage.dir).chain([&plan.home]);
        let made: Vec<PathBuf> = made.filter_map(|dir| absolute(dir).ok()).collect();
        let world = World { stages: &IndexMap::new(), search: &places.search };
        for (_, stage) in plan.stages.iter().enumerate().filter(|(i, _)| runs(*i)) {
            self.add(point, &stage.name, &stage.spec, &world, &made);
            self.downloads.extend(stage.work.downloads.iter().cloned());
            if places.web.offline {
                self.missing.extend(missing(stage.name.as_str(), stage.spec.stage(), &places.cache));
            }
        }
    }

    /// The same of a whole plan.
    pub fn of_plan(plan: &Plan, places: &Places) -> Self {
        let mut absent = Self::default();
        absent.add_plan(None, plan, |stage| plan.stages[stage].status != Status::Done, places);
        absent
    }

    /// Adds what another file reads.
    pub fn extend(&mut self, other: Self) {
        for (path, file) in other.files {
            match self.files.get_mut(&path) {
                Some(known) => known.stages.extend(file.stages),
                None => drop(self.files.insert(path, file)),
            }
        }
        self.downloads.extend(other.downloads);
    }

    /// Whether all is here, and nothing has to be downloaded.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.downloads.is_empty()
    }

    fn add(
        &mut self,
        point: Option<usize>,
        name: &StageName,
        spec: &StageSpec,
        world: &World<'_>,
        made: &[PathBuf],
    ) {
        for Wanted { location, field, .. } in spec.stage().wanted() {
            let Ok(Resolved::Path(path)) = location.resolve() else { continue };
            let is_made = || absolute(&path).is_ok_and(|path| made.iter().any(|dir| path.starts_with(dir)));
            if world.locate(location).is_some() || is_made() {
                continue;
            }
            let file = self.files.entry(path).or_insert_with_key(|path| {
                let Remedy { what, bytes, from, command, help } = Remedy::of(path, world.search);
                let (stage, spec, written) = (name.clone(), spec.clone(), location.to_string());
                let place = Place { point, stage, spec, field, written };
                let (path, stages) = (path.to_string_lossy().into_owned(), IndexSet::new());
                AbsentFile { path, stages, what, bytes, from, command, help, place }
            });
            file.stages.insert(name.clone());
        }
    }

    /// Whether a run may begin.
    ///
    /// # Errors
    /// `Mistakes` with every local file, at its place in the file, and `Unusable` where nobody may be asked for what is not in the
    /// cache; where both are so, all of that at once.
    pub fn refuse(&self, source: &Source, settings: &[Setting], cache: &Path) -> Result<()> {
        let offline = none_missing(&self.missing, cache);
        if self.files.is_empty() {
            return offline;
        }
        let shown = self.files.values().take(MAX_SHOWN);
        let found: Vec<Mistake> = shown.filter_map(|file| file.mistake(source, settings)).collect();
        let count = self.files.len();
        let are = match self.files.values().next() {
            Some(file) if count == 1 => format!("`{}` is", terminal::name(&file.path)),
            _ => format!("{count} files are"),
        };
        let Error::Mistakes { mut mistakes, rendered } = as_error(found) else { return offline };
        // What is said of mistakes at the end is not true of these.
        let places = rendered.rsplit_once('\n').map_or("", |(places, _)| places);
        let mut rendered = format!("{places}\nerror: {are} not here, and nothing was started");
        if let Err(error) = offline {
            rendered = format!("{rendered}; {error}");
            mistakes.push(serde_json::json!({ "message": error.to_string() }));
        }
        Err(Error::Mistakes { mistakes, rendered })
    }
}

impl AbsentFile {
    /// The file and who reads it, in words.
    pub fn said(&self) -> String {
        let stages: Vec<String> = self.stages.iter().map(|stage| format!("`{stage}`")).collect();
        let read = if stages.len() > 1 { "read" } else { "reads" };
        format!("`{}`, which {} {read}", terminal::name(&self.path), stages.join(", "))
    }

    fn mistake(&self, source: &Source, settings: &[Setting]) -> Option<Mistake> {
        let Place { point, stage, spec, field, written } = &self.place;
        let document = source.of_point(settings, *point).ok()?;
        let field = field.as_deref().unwrap_or_default();
        let is_there = document.value.pointer(&pointer(stage, spec, field)).is_some();
        let (field, meant) =
            if is_there { (field, String::new()) } else { ("", format!("it is what `{written}` means: ")) };
        let problem = if self.stages.len() > 1 {
            format!("{}, is not here", self.said())
        } else {
            format!("`{}` is not here", terminal::name(&self.path))
        };
        let objection = Objection::new(field, problem).help(format!("{meant}{}", self.help));
        Some(meaning::mistake(&document, stage, spec, objection))
    }
}

fn values<S: Serializer>(files: &IndexMap<PathBuf, AbsentFile>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(files.values())
}
