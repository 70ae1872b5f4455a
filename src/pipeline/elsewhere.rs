//! Stages of other pipelines, found by the key that the checked-in file of that pipeline gives them.

use indexmap::IndexMap;

use super::{
    plan::{Places, Plan},
    planner::Planner,
    source::{Parsed, Source},
    store::{self, State},
};
use crate::{
    Error, Result,
    stages::{Elsewhere, Finished, Stage, World},
};

/// What a stage shows of other pipelines, as far as it has run: never a variant's, never an older file's.
///
/// # Errors
/// `Usage` where there is no such file or no such stage in it; `Mistakes` of the file.
pub(super) fn find(
    stage: &dyn Stage,
    places: &Places,
    planner: &mut Planner<'_>,
) -> Result<IndexMap<Elsewhere, Finished>> {
    let mut found = IndexMap::new();
    for (_, elsewhere) in stage.elsewhere() {
        let name = &elsewhere.pipeline;
        if !planner.others.contains_key(name) {
            let plan = plan(name, places, planner)?;
            planner.others.insert(name.clone(), plan);
        }
        let plan = &planner.others[name];
        let there = plan.stages.iter().find(|stage| stage.name == elsewhere.stage);
        let there = there.ok_or_else(|| {
            Error::Usage(format!("`{name}` has no stage `{}`, which a table shows", elsewhere.stage))
        })?;
        if let State::Done(finished) = store::state(&there.dir, false)? {
            found.insert(elsewhere, finished);
        }
    }
    Ok(found)
}

fn plan(name: &str, places: &Places, planner: &mut Planner<'_>) -> Result<Plan> {
    let world = World { stages: &IndexMap::new(), search: &places.search };
    let file = world.pipeline(name).ok_or_else(|| {
        Error::Usage(format!("there is no pipeline file `{name}.yaml`, whose results a table shows"))
    })?;
    let source = Source::read(&file)?;
    match source.parse_without_baselines(&[])? {
        Parsed::Pipeline(pipeline) => {
            planner.without_views(&pipeline, name, places.home(name), &source.search)
        }
        Parsed::Sweep(..) => {
            Err(Error::Usage(format!("`{name}` is a sweep, and a table shows a pipeline's stages")))
        }
    }
}
