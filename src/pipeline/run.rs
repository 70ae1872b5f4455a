//! Running a plan: who does a stage's work, what it may see, and what came of it.

use std::{thread::sleep, time::Duration};

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{
    key::StageKey,
    plan::{Plan, PlannedStage},
    selection::Selection,
    store::{self, State},
    walk::{Pass, Walk},
};
use crate::{
    Error, Result,
    checkpoint::{Holder, Lease},
    report::Verdict,
    stage_name::StageName,
    stages::{Artifact, Finished},
};

/// How long to wait at first before looking again at what others make, and at last.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(250)];

/// Runs one stage. The program brings the real one, tests bring a mock.
pub trait Execute {
    /// Does the stage's work in its folder, which exists.
    ///
    /// # Errors
    /// Whatever the stage's work can do; `Interrupted` after a stop.
    fn execute(&mut self, stage: &PlannedStage, running: &Running<'_>) -> Result<Artifact>;

    /// What `stage.json` says about program and machine.
    fn provenance(&self) -> Value {
        json!({})
    }

    /// Whether to stop waiting for others.
    fn stopped(&self) -> bool {
        false
    }

    /// Called before every stage of the run.
    fn begin(&mut self, _stage: &PlannedStage, _what: &Begin) {}

    /// Called after every stage that ran, with its wall time in this process.
    fn end(&mut self, _stage: &PlannedStage, _seconds: f64) {}
}

/// What happens to a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It has run with these values.
    Done,
    /// It runs, for this reason.
    Runs(String),
    /// It has not run, and is not asked for.
    Left,
    /// Another process makes it.
    Waits(Holder),
}

/// What a running stage may see of the run.
#[derive(Debug)]
pub struct Running<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// All stages that this one reads, directly or through others.
    pub finished: IndexMap<StageName, Finished>,
    /// The stages that have to run after this one, by place in the plan.
    pub after: Vec<usize>,
    /// That this process makes the stage; a view needs none.
    pub lease: Option<&'a Lease>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// Stages that ran now.
    pub ran: Vec<StageName>,
    /// Stages that were done before.
    pub skipped: Vec<StageName>,
    /// The stage that runs, or at which the run ended.
    pub running: Option<StageName>,
    /// Everything that is finished, in running order.
    pub finished: IndexMap<StageName, Finished>,
}

impl Summary {
    pub(super) fn has(&self, plan: &Plan, stage: usize) -> bool {
        self.finished.contains_key(&plan.stages[stage].name)
    }

    /// Notes a finished stage, with what the plan expects of it.
    pub(super) fn add(&mut self, stage: &PlannedStage, mut finished: Finished) {
        finished.expected = stage.spec.stage().expected().to_vec();
        self.finished.insert(stage.name.clone(), finished);
    }

    /// All verdicts on expectations, with the stages that measured what is judged.
    pub fn verdicts(&self) -> Vec<(&StageName, Verdict)> {
        let of_stage = |(name, finished)| Finished::verdicts(finished).map(move |verdict| (name, verdict));
        self.finished.iter().flat_map(of_stage).collect()
    }

    /// `ExpectationsNotMet` where a verdict is bad.
    ///
    /// # Errors
    /// As it says.
    pub fn judge(&self) -> Result<()> {
        let verdicts = self.verdicts();
        let failed = verdicts.iter().filter(|(_, verdict)| !verdict.pass).count();
        if failed == 0 { Ok(()) } else { Err(Error::ExpectationsNotMet { failed, total: verdicts.len() }) }
    }
}

/// Runs a plan. The first error ends it; what was finished before stays finished.
///
/// # Errors
/// What a stage returns, and `Io` for folders.
pub fn run(plan: &Plan, selection: &Selection, executor: &mut impl Execute) -> Result<Summary> {
    let mut walk = Walk::begin(plan.clone(), selection.clone())?;
    let mut waiting = Waiting::default();
    let ended = loop {
        let waited = match walk.pass(executor) {
            Ok(Pass::Ended) => break Ok(()),
            Ok(Pass::Waits) => waiting.wait(executor),
            Err(error) => Err(error),
        };
        if waited.is_err() {
            break waited;
        }
    };
    walk.end(ended)
}

/// What a plan finds finished, without writing anything; `None` where something that is asked for has to run.
///
/// # Errors
/// `NewerFormat`.
pub fn finished(plan: &Plan, selection: &Selection) -> Result<Option<Summary>> {
    let mut summary = Summary::default();
    for (i, stage) in plan.stages.iter().enumerate().filter(|(_, stage)| !stage.spec.stage().is_view()) {
        match store::state(&stage.dir, false)? {
            State::Done(finished) if !selection.force.contains(&i) => {
                summary.skipped.push(stage.name.clone());
                summary.add(stage, finished);
            }
            _ if selection.wants(i) => return Ok(None),
            _ => {}
        }
    }
    Ok(Some(summary))
}

/// Waits for other processes: a moment at first, and longer and longer, so that nobody waits much longer than he has to.
#[derive(Debug)]
pub struct Waiting(Duration);

impl Default for Waiting {
    fn default() -> Self {
        Self(LOOK_AGAIN[0])
    }
}

impl Waiting {
    /// Waits until it is time to look again.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn wait(&mut self, executor: &impl Execute) -> Result<()> {
        if executor.stopped() {
            return Err(Error::Interrupted);
        }
        sleep(self.0);
        self.0 = (self.0 * 5 / 4).min(LOOK_AGAIN[1]);
        Ok(())
    }
}

/// Keys of stages that failed, so that a sweep does not try them again at every point.
#[derive(Debug, Default)]
pub struct Failed(Vec<(StageKey, String)>);

impl Failed {
    /// The stage of a plan that is known to fail.
    pub fn known(&self, plan: &Plan) -> Option<Error> {
        let mut known = plan.stages.iter().filter_map(|stage| {
            let (_, why) = self.0.iter().find(|(key, _)| *key == stage.key)?;
            Some(Error::Unusable(format!("`{}` failed at an earlier point: {why}", stage.name)))
        });
        known.next()
    }

    /// Notes the stage at which a run of a plan failed.
    pub fn note(&mut self, plan: &Plan, stage: &StageName, error: &Error) {
        let failed = plan.stages.iter().find(|planned| planned.name == *stage);
        self.0.extend(failed.map(|planned| (planned.key.clone(), error.to_string())));
    }
}
