//! `Baselines`: the files that measured values are compared with, each read once while a pipeline is judged.

use std::{cell::RefCell, path::PathBuf, rc::Rc};

use indexmap::IndexMap;

use super::expected;
use crate::{
    location::{Location, Resolved},
    report::{Baseline, Expectation},
    stage_name::StageName,
    stages::{Objection, StageSpec, World},
};

/// The baselines of a pipeline.
pub(super) struct Baselines<'a> {
    /// Where relative paths are looked for.
    pub(super) search: &'a [PathBuf],
    /// Whether what cannot be read is a mistake.
    needed: bool,
    read: RefCell<IndexMap<Location, Rc<Result<Baseline, Objection>>>>,
}

impl<'a> Baselines<'a> {
    /// None has been read.
    pub(super) fn new(search: &'a [PathBuf], needed: bool) -> Self {
        Self { search, needed, read: RefCell::default() }
    }

    /// Fills in what a stage's baselines say of it, and returns what is wrong with them.
    pub(super) fn recall(&self, name: &StageName, spec: &mut StageSpec) -> Vec<Objection> {
        let measured = spec.stage().scores().unwrap_or_default();
        let mut objections = Vec::new();
        for (i, expected) in spec.stage_mut().expected_mut().into_iter().flatten().enumerate() {
            // That it is not measured is said already.
            let Some(location) = expected.baseline.clone().filter(|_| measured.contains(&expected.metric))
            else {
                continue;
            };
            match self.score(&location, name, expected) {
                Ok(()) => {}
                Err(_) if !self.needed => {}
                Err(Objection { problem, help, .. }) => {
                    let field = format!("{}/baseline", expected::field(i));
                    objections.push(Objection { field, problem, help });
                }
            }
        }
        objections
    }

    fn score(
        &self,
        location: &Location,
        stage: &StageName,
        expected: &mut Expectation,
    ) -> Result<(), Objection> {
        let known = self.read.borrow().get(location).cloned();
        let read = known.unwrap_or_else(|| {
            let read = Rc::new(self.open(location));
            self.read.borrow_mut().insert(location.clone(), Rc::clone(&read));
            read
        });
        let baseline = read.as_ref().as_ref().map_err(Clone::clone)?;
        let metric = &expected.metric;
        let score = baseline.score(stage.as_str(), metric).map_err(|why| unusable(location, &why))?;
        if score.spread().is_none() && expected.tolerance.is_none() {
            let problem = format!("`{location}` has one trial of `{metric}`, which has no spread");
            let help = "write a `tolerance:` beside `baseline`, or record more trials";
            return Err(objection(problem, help.to_owned()));
        }
        expected.recorded = Some(score);
        Ok(())
    }

    fn open(&self, location: &Location) -> Result<Baseline, Objection> {
        match location.resolve() {
            Ok(Resolved::Path(_)) => {}
            Ok(Resolved::Url(_)) => {
                return Err(objection(
                    "a baseline is a file, not an address".to_owned(),
                    "download it, and write its path".to_owned(),
                ));
            }
            Err(error) => return Err(Objection::new("", error.to_string())),
        }
        let world = World { stages: &IndexMap::new(), search: self.search };
        let path = world.locate(location).ok_or_else(|| {
            objection(format!("there is no file `{location}`"), format!("{} writes it", command(location)))
        })?;
        Baseline::read(&path).map_err(|why| unusable(location, &why))
    }
}

fn objection(problem: String, help: String) -> Objection {
    Objection::new("", problem).help(help)
}

fn unusable(location: &Location, why: &str) -> Objection {
    objection(format!("`{location}` {why}"), format!("{} writes it anew", command(location)))
}

fn command(location: &Location) -> String {
    format!("`sida run FILE --record {location}`")
}
