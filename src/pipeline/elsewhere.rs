//! Stages of other pipelines, found by the key that the checked-in file of that pipeline gives them.

use indexmap::IndexMap;

use super::{
    plan::{Places, Plan},
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
pub(super) fn find(stage: &dyn Stage, places: &Places) -> Result<IndexMap<Elsewhere, Finished>> {
    let mut found = IndexMap::new();
    let mut plans: IndexMap<String, Plan> = IndexMap::new();
    for (_, elsewhere) in stage.elsewhere() {
        let name = &elsewhere.pipeline;
        let plan = match plans.entry(name.clone()) {
            indexmap::map::Entry::Occupied(known) => known.into_mut(),
            indexmap::map::Entry::Vacant(new) => new.insert(plan(name, places)?),
        };
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

fn plan(name: &str, places: &Places) -> Result<Plan> {
    let world = World { stages: &IndexMap::new(), search: &places.search };
    let file = world.pipeline(name).ok_or_else(|| {
        Error::Usage(format!("there is no pipeline file `{name}.yaml`, whose results a table shows"))
    })?;
    let source = Source::read(&file)?;
    match source.parse(&[])? {
        Parsed::Pipeline(pipeline) => {
            let places = Places { search: source.search.clone(), ..places.clone() };
            Plan::without_views(&pipeline, name, places.home(name), &places)
        }
        Parsed::Sweep(..) => {
            Err(Error::Usage(format!("`{name}` is a sweep, and a table shows a pipeline's stages")))
        }
    }
}
