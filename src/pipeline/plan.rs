//! `Plan`: stages in running order, with their keys, whether they are done, and why not.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Serialize;

use super::{
    contents::Contents,
    elsewhere, home,
    key::{FORMAT, KeyInput, StageKey},
    order::order,
    reason,
    spec::Pipeline,
    store::{self, Divergence, State, Store},
};
use crate::{
    Error, Result,
    kimg::Kimg,
    report,
    stage_name::StageName,
    stages::{Addresses, Elsewhere, Finished, StageSpec, Work, World, work::parameters},
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
    /// Its own folder of runs: pages, and links to its stages.
    pub home: PathBuf,
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
    /// Its folder in the store.
    pub dir: PathBuf,
    /// Whether it has to run, and why.
    pub status: Status,
    /// Of a training, what it is but for its length.
    pub lineage: Option<Lineage>,
    /// A finished, shorter run of the same lineage.
    pub continue_from: Option<PathBuf>,
    /// The finished stages of other pipelines that it shows.
    pub elsewhere: IndexMap<Elsewhere, Finished>,
    /// How much work it is.
    pub work: Work,
}

/// A training, however long it is: runs of one lineage continue each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lineage {
    /// The key without the length.
    pub key: StageKey,
    /// The length.
    pub duration_kimg: Kimg,
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

impl Places {
    /// The own folder of runs of a pipeline or a sweep.
    pub fn home(&self, name: &str) -> PathBuf {
        self.runs.join(name)
    }

    /// What came from addresses, as the store remembers it.
    pub fn addresses(&self) -> Addresses {
        Addresses::new(&Store::of(&self.runs).root().join("addresses"))
    }
}

impl Plan {
    /// Orders the stages, computes their keys and looks at what is done. The pipeline has been judged: references
    /// lead somewhere and there is no cycle. `home` is its own folder of runs.
    ///
    /// # Errors
    /// `NewerFormat` and `Unusable` for folders of runs that another version of the program wrote; `Usage` for a pipeline
    /// that was not judged, and for a stage of another pipeline that there is not.
    pub fn new(pipeline: &Pipeline, name: &str, home: PathBuf, places: &Places) -> Result<Self> {
        let mut plan = Self::without_views(pipeline, name, home, places)?;
        for i in 0..plan.stages.len() {
            let stage = &plan.stages[i];
            if !stage.spec.stage().is_view() {
                continue;
            }
            let found = elsewhere::find(stage.spec.stage(), places)?;
            let open = stage.inputs.iter().find(|input| plan.stages[**input].status != Status::Done);
            let shown = plan.report_name(i).and_then(|name| report::key(&plan.home, &name));
            let status = match (open, shown) {
                (Some(open), _) => {
                    Status::ToRun(format!("it shows `{}`, which has to run", plan.stages[*open].name))
                }
                (None, Some(key)) if key == stage.key.to_string() => Status::Done,
                (None, Some(_)) => Status::ToRun("its pages show something else".to_owned()),
                (None, None) => Status::ToRun("its pages are not there".to_owned()),
            };
            let stage = &mut plan.stages[i];
            (stage.status, stage.elsewhere) = (status, found);
        }
        Ok(plan)
    }

    /// The same, but nothing is known of stages that only show what others made.
    pub(super) fn without_views(
        pipeline: &Pipeline,
        name: &str,
        home: PathBuf,
        places: &Places,
    ) -> Result<Self> {
        let world = World { stages: &pipeline.stages, search: &places.search };
        let store = Store::of(&places.runs);
        let own = home::stages(&home)?;
        let mut contents = Contents::new(places);
        let mut stages: Vec<PlannedStage> = Vec::new();
        for (stage, inputs) in order(pipeline)? {
            let spec = pipeline.stages[&stage].clone();
            let input = KeyInput {
                format: FORMAT,
                stage: stage.to_string(),
                verb: spec.verb(),
                values: spec.values(),
                seed: pipeline.seed,
                inputs: inputs.iter().map(|(field, i)| (field.clone(), stages[*i].key.clone())).collect(),
                files: contents.of(spec.stage(), &world),
            };
            let mut endless = spec.clone();
            let duration = endless.stage_mut().duration().map(std::mem::take);
            let lineage = duration.map(|duration_kimg| {
                let input = KeyInput { values: endless.values(), ..input.clone() };
                Lineage { key: input.key(), duration_kimg }
            });
            let key = input.key();
            let dir = store.dir(&stage, &key)?;
            let status = status(&input, &dir, &store, &own)?;
            let continue_from = match &lineage {
                Some(lineage) if status != Status::Done => shorter(lineage, &stage, &dir, &store)?,
                _ => None,
            };
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
                dir,
                status,
                lineage,
                continue_from,
                elsewhere: IndexMap::new(),
                work,
            });
        }
        let description = pipeline.description.trim().to_owned();
        Ok(Self { pipeline: name.to_owned(), description, seed: pipeline.seed, home, stages })
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

fn status(input: &KeyInput, dir: &Path, store: &Store, own: &[String]) -> Result<Status> {
    Ok(Status::ToRun(match store::state(dir, false)? {
        State::Done(_) => return Ok(Status::Done),
        State::Damaged(problem) => format!("{problem}: it is made again"),
        State::Begun(Some(nimg)) => format!("stopped, continues at {}", Kimg::from_nimg(nimg)),
        State::Diverged(Divergence { kimg, .. }) => {
            format!("diverged at {}; `--force` tries again", Kimg(kimg))
        }
        State::Begun(None) => "begun, but not finished".to_owned(),
        State::Absent => {
            // What this pipeline made before under the stage's name, the newest last.
            let named = |name: &&String| name.rsplit_once('-').is_some_and(|(of, _)| of == input.stage);
            let folders =
                own.iter().filter(named).map(|name| store.folder(name)).collect::<Result<Vec<_>>>()?;
            match folders.into_iter().flatten().max_by_key(|folder| folder.modified) {
                Some(before) => reason::changed(input, &before.record),
                None => "has not run yet".to_owned(),
            }
        }
    }))
}

/// The longest finished run that is shorter and of the same lineage.
fn shorter(lineage: &Lineage, stage: &StageName, dir: &Path, store: &Store) -> Result<Option<PathBuf>> {
    let key = lineage.key.to_string();
    let length = |record: &serde_json::Value| {
        let known = record.get("lineage")?;
        (known.get("key")?.as_str()? == key).then(|| known.get("duration_kimg")?.as_f64())?
    };
    let folders = store.all_of(stage)?.into_iter().filter(|folder| folder.done && folder.dir != dir);
    let lengths = folders.filter_map(|folder| Some((length(&folder.record)?, folder.dir)));
    let shorter = lengths.filter(|(length, _)| *length < lineage.duration_kimg.0);
    Ok(shorter.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, dir)| dir))
}
