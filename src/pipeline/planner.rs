//! `Planner`: pipelines -> plans. What many of them share, as the points of a sweep do, is looked at once.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;

use super::{
    contents::Contents,
    elsewhere, expected, home,
    key::{FORMAT, KeyInput, StageKey},
    order::order,
    plan::{Lineage, Places, Plan, PlannedStage, Status},
    reason,
    spec::Pipeline,
    store::{self, StageFolder, State, Store},
};
use crate::{
    Result,
    kimg::Kimg,
    nn::NetworkConfig,
    report,
    stage_name::StageName,
    stages::{Stage, World, work::parameters},
};

/// Plans pipelines as things are at one moment: it does not see what happens to files while it lives.
pub struct Planner<'a> {
    places: &'a Places,
    store: Store,
    contents: Contents,
    /// Parameters of networks, by what describes them.
    parameters: HashMap<String, Option<u64>>,
    /// What lies in the store.
    looks: HashMap<StageKey, Look>,
    folders: HashMap<StageName, Vec<StageFolder>>,
    /// The plans of other pipelines whose stages are shown, by name.
    pub(super) others: IndexMap<String, Plan>,
}

/// What a look at a stage's folder told.
#[derive(Clone)]
struct Look {
    dir: PathBuf,
    /// `None` where nothing lies there.
    status: Option<Status>,
    continue_from: Option<PathBuf>,
    /// Of a training that was begun, the images that it has seen.
    begins_at: u64,
}

impl<'a> Planner<'a> {
    /// One that has looked at nothing yet.
    pub fn new(places: &'a Places) -> Self {
        Self {
            places,
            store: Store::of(&places.runs),
            contents: Contents::new(places),
            parameters: HashMap::new(),
            looks: HashMap::new(),
            folders: HashMap::new(),
            others: IndexMap::new(),
        }
    }

    /// Orders the stages, computes their keys and looks at what is done. The pipeline has been judged: references
    /// lead somewhere and there is no cycle. `home` is its own folder of runs.
    ///
    /// # Errors
    /// `NewerFormat` and `Unusable` for folders of runs that another version of the program wrote; `Usage` for a pipeline
    /// that was not judged, and for a stage of another pipeline that there is not.
    pub fn plan(&mut self, pipeline: &Pipeline, name: &str, home: PathBuf) -> Result<Plan> {
        let search = &self.places.search;
        let mut plan = self.without_views(pipeline, name, home, search)?;
        for i in 0..plan.stages.len() {
            let stage = &plan.stages[i];
            if !stage.spec.stage().is_view() {
                continue;
            }
            let found = elsewhere::find(stage.spec.stage(), self.places, self)?;
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

    /// The same, but nothing is known of stages that only show what others made. `search` are the folders in which
    /// relative paths are looked for.
    pub(super) fn without_views(
        &mut self,
        pipeline: &Pipeline,
        name: &str,
        home: PathBuf,
        search: &[PathBuf],
    ) -> Result<Plan> {
        let world = World { stages: &pipeline.stages, search };
        let own = home::stages(&home)?;
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
                files: self.contents.of(spec.stage(), &world),
                expected: expected::shown(spec.stage(), &inputs, &stages),
            };
            let mut endless = spec.clone();
            let duration = endless.stage_mut().duration().map(std::mem::take);
            let lineage = duration.map(|duration_kimg| {
                let input = KeyInput { values: endless.values(), ..input.clone() };
                Lineage { key: input.key(), duration_kimg }
            });
            let key = input.key();
            let Look { dir, status, continue_from, begins_at } =
                self.look(&stage, spec.stage(), &key, lineage.as_ref())?;
            let status = status.map_or_else(|| absent(&input, &self.store, &own), Ok)?;
            let mut work = spec.stage().work(&world, &self.places.cache);
            let network = world.network(&stage);
            work.network = network.cloned();
            work.parameters = network.and_then(|network| self.parameters(network));
            work.memory_bytes = network.zip(work.parameters).and_then(|(network, parameters)| {
                let stage = spec.stage();
                stage.memory_bytes(&stage.pace()?, network, parameters, 1)
            });
            if status != Status::Done {
                work.loads = spec.stage().loads(&world, begins_at);
                work.disk_bytes = spec.stage().disk_bytes(&world, work.parameters);
            }
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
        Ok(Plan { pipeline: name.to_owned(), description, seed: pipeline.seed, home, stages })
    }

    fn parameters(&mut self, network: &NetworkConfig) -> Option<u64> {
        let described = serde_json::to_string(network).ok()?;
        *self.parameters.entry(described).or_insert_with(|| parameters(network))
    }

    fn look(
        &mut self,
        name: &StageName,
        stage: &dyn Stage,
        key: &StageKey,
        lineage: Option<&Lineage>,
    ) -> Result<Look> {
        if let Some(known) = self.looks.get(key) {
            return Ok(known.clone());
        }
        let dir = self.store.dir(name, key)?;
        let to_run = |reason: String| Some(Status::ToRun(reason));
        let mut begins_at = 0;
        let status = match store::state(&dir, false)? {
            State::Done(_) => Some(Status::Done),
            State::Damaged(problem) => to_run(format!("{problem}: it is made again")),
            State::Begun(Some(nimg)) => {
                begins_at = nimg;
                to_run(format!("stopped, continues at {}", Kimg::from_nimg(nimg)))
            }
            State::Begun(None) => to_run("begun, but not finished".to_owned()),
            State::Diverged(divergence) => {
                let again = if divergence.holds(stage) {
                    "`--force` tries again"
                } else {
                    "its `guard` has changed: it is tried again"
                };
                to_run(format!("diverged at {}; {again}", Kimg(divergence.kimg)))
            }
            State::Absent => None,
        };
        let continue_from = match lineage {
            Some(lineage) if status != Some(Status::Done) => self.shorter(lineage, name, &dir)?,
            _ => None,
        };
        let continue_from = continue_from.map(|(length, dir)| {
            begins_at = begins_at.max(length.nimg());
            dir
        });
        let look = Look { dir, status, continue_from, begins_at };
        self.looks.insert(key.clone(), look.clone());
        Ok(look)
    }

    /// The longest finished run that is shorter and of the same lineage, and how long it is.
    fn shorter(
        &mut self,
        lineage: &Lineage,
        stage: &StageName,
        dir: &Path,
    ) -> Result<Option<(Kimg, PathBuf)>> {
        let folders = match self.folders.get(stage) {
            Some(known) => known,
            None => self.folders.entry(stage.clone()).or_insert(self.store.all_of(stage)?),
        };
        let key = lineage.key.to_string();
        let length = |record: &serde_json::Value| {
            let known = record.get("lineage")?;
            (known.get("key")?.as_str()? == key).then(|| known.get("duration_kimg")?.as_f64())?
        };
        let folders = folders.iter().filter(|folder| folder.done && folder.dir != dir);
        let lengths = folders.filter_map(|folder| Some((length(&folder.record)?, &folder.dir)));
        let shorter = lengths.filter(|(length, _)| *length < lineage.duration_kimg.0);
        Ok(shorter.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(length, dir)| (Kimg(length), dir.clone())))
    }
}

/// Why a stage of which nothing lies in the store has to run: what this pipeline made before under its name, the newest
/// last, says what changed.
fn absent(input: &KeyInput, store: &Store, own: &[String]) -> Result<Status> {
    let named = |name: &&String| name.rsplit_once('-').is_some_and(|(of, _)| of == input.stage);
    let folders = own.iter().filter(named).map(|name| store.folder(name)).collect::<Result<Vec<_>>>()?;
    Ok(Status::ToRun(match folders.into_iter().flatten().max_by_key(|folder| folder.modified) {
        Some(before) => reason::changed(input, &before.record),
        None => "has not run yet".to_owned(),
    }))
}
