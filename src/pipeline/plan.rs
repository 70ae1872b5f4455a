//! `Plan`: stages in running order, with their keys, whether they are done, and why not.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Serialize;

use super::{
    key::{FORMAT, KeyInput, StageKey, duration, spec_value},
    reason,
    runs::{self, StageFolder},
    spec::Pipeline,
};
use crate::{
    Error, Result,
    data::identity,
    stage_name::StageName,
    stages::{Elsewhere, Stage, StageSpec, Work, World, work::parameters},
    suggestion::advice,
};

/// A pipeline, ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pipeline's name.
    pub pipeline: String,
    /// What it does, in its own words.
    pub description: String,
    /// Its seed.
    pub seed: u64,
    /// Its folder of runs.
    pub dir: PathBuf,
    /// Stages in running order.
    pub stages: Vec<PlannedStage>,
}

/// A stage that knows its key.
#[derive(Clone, Debug)]
pub struct PlannedStage {
    /// Its name.
    pub name: StageName,
    /// What it does.
    pub spec: StageSpec,
    /// What decides its result.
    pub input: KeyInput,
    /// The hash of that.
    pub key: StageKey,
    /// The stages that it reads, by place in the plan.
    pub inputs: Vec<usize>,
    /// Its folder.
    pub dir: PathBuf,
    /// Whether it has to run, and why.
    pub status: Status,
    /// A finished, shorter run that differs only in its duration.
    pub continue_from: Option<PathBuf>,
    /// How much work it is.
    pub work: Work,
}

/// Whether a stage has to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has run with these values.
    Done,
    /// It has to run, for this reason.
    ToRun(String),
}

/// Where things are on this machine.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of all pipelines' runs.
    pub runs: PathBuf,
    /// Folder for downloads.
    pub cache: PathBuf,
    /// Where relative paths are looked for.
    pub search: Vec<PathBuf>,
}

impl Plan {
    /// Orders the stages, computes their keys and looks at what is done. The pipeline has been judged: references
    /// lead somewhere and there is no cycle.
    ///
    /// # Errors
    /// `NewerFormat` for a folder of runs that a newer program wrote; `Usage` for a pipeline that was not judged.
    pub fn new(pipeline: &Pipeline, name: &str, places: &Places) -> Result<Self> {
        let dir = places.runs.join(name);
        let world = World { stages: &pipeline.stages, search: &places.search };
        let mut stages: Vec<PlannedStage> = Vec::new();
        // Contents are hashed once, however many stages read them.
        let mut identities = IndexMap::new();
        for (stage, place) in order(pipeline)? {
            let spec = pipeline.stages[&stage].clone();
            let inputs: Fields = place;
            let input = KeyInput {
                format: FORMAT,
                stage: stage.to_string(),
                spec: spec_value(&spec),
                seed: pipeline.seed,
                inputs: inputs.iter().map(|(field, i)| (field.clone(), stages[*i].key.clone())).collect(),
                files: files(spec.stage(), &world, places, &mut identities)?,
            };
            let key = input.key();
            let stage_dir = runs::stage_dir(&dir, &stage, &key);
            let folders = runs::folders_of(&dir, &stage)?;
            let status = status(&input, &stage_dir, &folders)?;
            let continue_from = continued(&input, &stage_dir, &folders);
            let work = Work {
                parameters: world.network(&stage).and_then(parameters),
                ..spec.stage().work(&world, &places.cache)
            };
            let inputs = inputs.into_iter().map(|(_, i)| i).collect();
            stages.push(PlannedStage {
                name: stage,
                spec,
                input,
                key,
                inputs,
                dir: stage_dir,
                status,
                continue_from,
                work,
            });
        }
        let description = pipeline.description.trim().to_owned();
        Ok(Self { pipeline: name.to_owned(), description, seed: pipeline.seed, dir, stages })
    }

    /// The place of a stage.
    ///
    /// # Errors
    /// `Usage` with the closest name.
    pub fn find(&self, flag: &str, name: &str) -> Result<usize> {
        self.stages.iter().position(|stage| stage.name.as_str() == name).ok_or_else(|| {
            let names: Vec<&str> = self.stages.iter().map(|stage| stage.name.as_str()).collect();
            let help = advice(name, &names).unwrap_or_default();
            Error::Usage(format!("`{flag} {name}`: there is no such stage; {help}"))
        })
    }

    /// What the files of a stage that shows what others made are called, without their endings: `report`, and
    /// `report-<stage>` for any but the plan's first; `None` for other stages.
    pub fn report_name(&self, stage: usize) -> Option<String> {
        let is_view = |stage: &PlannedStage| stage.spec.stage().is_view();
        let shown = self.stages.get(stage).filter(|stage| is_view(stage))?;
        let is_first = self.stages.iter().position(is_view) == Some(stage);
        Some(if is_first { "report".to_owned() } else { format!("report-{}", shown.name) })
    }

    /// A stage and all that it reads, directly or through others.
    pub fn ancestors(&self, stage: usize) -> Vec<usize> {
        let mut wanted = vec![false; self.stages.len()];
        wanted[stage] = true;
        for i in (0..=stage).rev() {
            if wanted[i] {
                self.stages[i].inputs.iter().for_each(|input| wanted[*input] = true);
            }
        }
        (0..self.stages.len()).filter(|i| wanted[*i]).collect()
    }
}

/// The fields in which a stage names others, with their places in the plan.
type Fields = Vec<(String, usize)>;

/// Running order: the order of the file, with inputs first. With each stage, the fields and places of its inputs.
fn order(pipeline: &Pipeline) -> Result<IndexMap<StageName, Fields>> {
    let mut placed: IndexMap<StageName, Fields> = IndexMap::new();
    while placed.len() < pipeline.stages.len() {
        let before = placed.len();
        for (name, spec) in
            pipeline.stages.iter().filter(|(name, _)| !placed.contains_key(*name)).collect::<Vec<_>>()
        {
            let inputs = spec.stage().inputs();
            let places =
                inputs.iter().map(|input| Some((input.field.clone(), placed.get_index_of(input.stage)?)));
            if let Some(places) = places.collect::<Option<Vec<_>>>() {
                placed.insert(name.clone(), places);
                // From the top again, so that the order of the file is kept where it can be.
                break;
            }
        }
        if placed.len() == before {
            return Err(Error::Usage(
                "stages wait for each other, or for one that does not exist".to_owned(),
            ));
        }
    }
    Ok(placed)
}

/// What the files that a stage reads contain.
fn files(
    stage: &dyn Stage,
    world: &World<'_>,
    places: &Places,
    known: &mut IndexMap<PathBuf, Option<String>>,
) -> Result<IndexMap<String, Option<String>>> {
    let mut files = IndexMap::new();
    for (field, location) in stage.locations() {
        let identity = world
            .locate(location)
            .and_then(|path| known.entry(path).or_insert_with_key(|path| identity(path)).clone());
        files.insert(field, identity);
    }
    for (field, Elsewhere { pipeline, stage }) in stage.elsewhere() {
        let found = runs::newest_finished(&places.runs, &pipeline, &stage)?;
        let key = found.and_then(|finished| Some(finished.record.get("key")?.as_str()?.to_owned()));
        files.insert(field, key);
    }
    Ok(files)
}

fn status(input: &KeyInput, dir: &Path, folders: &[StageFolder]) -> Result<Status> {
    if runs::finished(dir)?.is_some() {
        return Ok(Status::Done);
    }
    let own = folders.iter().find(|folder| folder.dir == dir);
    Ok(Status::ToRun(match own {
        Some(folder) if folder.done => "its `artifact.json` is damaged, or its files are gone".to_owned(),
        Some(_) => match runs::last_checkpoint(dir) {
            Some(nimg) => format!("stopped, continues at {}", crate::kimg::Kimg::from_nimg(nimg)),
            None => "begun, but not finished".to_owned(),
        },
        None => match folders.first() {
            Some(previous) => reason::changed(input, &previous.record),
            None => "has not run yet".to_owned(),
        },
    }))
}

/// The longest finished run that is not longer and differs only in its duration.
fn continued(input: &KeyInput, dir: &Path, folders: &[StageFolder]) -> Option<PathBuf> {
    let lineage = input.lineage()?.to_string();
    let wanted = duration(&input.spec)?;
    let length = |folder: &StageFolder| {
        let same = folder.record.get("lineage").and_then(serde_json::Value::as_str) == Some(&lineage);
        let length = folder.record.get("spec").and_then(duration)?;
        (same && folder.done && folder.dir != dir && length < wanted).then_some(length)
    };
    let of_length = |folder: &StageFolder| length(folder).map(|length| (length, folder.dir.clone()));
    folders.iter().filter_map(of_length).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, dir)| dir)
}
