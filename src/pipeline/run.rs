//! Walks a plan: skips what is done, runs what is not and nobody else makes, keeps the records.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{
    home,
    key::{FORMAT, StageKey},
    outcome,
    plan::{Plan, PlannedStage, Status},
    store::{self, State},
};
use crate::{
    Error, Result,
    checkpoint::{Asked, Holder, Lease, Watch, atomic},
    report::{self, Verdict},
    stage_name::StageName,
    stages::{Artifact, Finished},
};

/// How long to wait before looking again at what others make.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

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
    /// That this process makes the stage; a view needs none.
    pub lease: Option<&'a Lease>,
}

/// Which stages to run, by place in the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these; all where `None`.
    pub wanted: Option<BTreeSet<usize>>,
    /// These run again though they are done: what `--force` names, and what reads it.
    pub force: BTreeSet<usize>,
}

impl Selection {
    /// From `--only`, `--until` and `--force`.
    ///
    /// # Errors
    /// `Usage` for a stage that does not exist, for both `--only` and `--until`, and for an `--only` whose inputs
    /// have not run.
    pub fn new(plan: &Plan, only: Option<&str>, until: Option<&str>, force: &[String]) -> Result<Self> {
        let mut force: BTreeSet<usize> =
            force.iter().map(|name| plan.find("--force", name)).collect::<Result<_>>()?;
        // Inputs come first in a plan, so one pass finds everything that reads a forced stage.
        for (i, stage) in plan.stages.iter().enumerate() {
            if stage.inputs.iter().any(|input| force.contains(input)) {
                force.insert(i);
            }
        }
        let wanted = match (only, until) {
            (Some(_), Some(_)) => {
                return Err(Error::Usage("`--only` and `--until` cannot both be given".to_owned()));
            }
            (Some(name), None) => {
                let stage = plan.find("--only", name)?;
                let open = plan.stages[stage].inputs.iter().find(|i| plan.stages[**i].status != Status::Done);
                if let Some(open) = open {
                    let open = &plan.stages[*open].name;
                    return Err(Error::Usage(format!(
                        "`--only {name}` needs `{open}`, which has not run: `--until {name}` runs both"
                    )));
                }
                Some(BTreeSet::from([stage]))
            }
            (None, Some(name)) => Some(plan.ancestors(plan.find("--until", name)?).into_iter().collect()),
            (None, None) => None,
        };
        if let Some(wanted) = &wanted {
            force.retain(|stage| wanted.contains(stage));
        }
        Ok(Self { wanted, force })
    }

    /// Whether a stage is asked for.
    pub(super) fn wants(&self, stage: usize) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&stage))
    }

    /// Removes what another run showed where this one will show something.
    ///
    /// # Errors
    /// `Io` for a file that cannot be removed.
    fn remove_reports(&self, plan: &Plan) -> Result<()> {
        let asked = (0..plan.stages.len()).filter(|i| self.wants(*i));
        asked.filter_map(|i| plan.report_name(i)).try_for_each(|name| report::remove(&plan.home, &name))
    }

    /// Forgets the results of the forced stages, once: a run that is interrupted then continues as any other.
    ///
    /// # Errors
    /// `Io` for a folder that cannot be removed; `Busy` where another process makes one.
    fn clear(&self, plan: &Plan) -> Result<()> {
        for stage in self.force.iter().map(|i| &plan.stages[*i]).filter(|stage| stage.dir.exists()) {
            match Lease::ask(&store::lease(&stage.dir), &mut Watch::default())? {
                Asked::Busy(holder) => {
                    return Err(Error::Busy { path: stage.dir.clone(), holder: holder.to_string() });
                }
                Asked::Held(_lease) => {
                    fs::remove_dir_all(&stage.dir).map_err(Error::io("remove the folder", &stage.dir))?;
                }
            }
        }
        Ok(())
    }
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
    fn has(&self, plan: &Plan, stage: usize) -> bool {
        self.finished.contains_key(&plan.stages[stage].name)
    }

    /// All verdicts on expectations, with the stages that gave them.
    pub fn verdicts(&self) -> Vec<(&StageName, &Verdict)> {
        let scores = self.finished.iter().filter_map(|(name, finished)| match &finished.artifact {
            Artifact::Scores(scores) => Some((name, scores)),
            _ => None,
        });
        scores
            .flat_map(|(name, scores)| scores.expectations.iter().map(move |verdict| (name, verdict)))
            .collect()
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
    let ended = loop {
        let waited = match walk.pass(executor) {
            Ok(Pass::Ended) => break Ok(()),
            Ok(Pass::Waits) => wait(executor),
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
                summary.finished.insert(stage.name.clone(), finished);
            }
            _ if selection.wants(i) => return Ok(None),
            _ => {}
        }
    }
    Ok(Some(summary))
}

/// A plan on its way: one of many, where a sweep's points are made side by side by several processes.
#[derive(Debug)]
pub struct Walk {
    plan: Plan,
    selection: Selection,
    /// Stages that are neither finished nor left.
    open: Vec<usize>,
    /// Those of which it was said that another process makes them.
    said: BTreeSet<usize>,
    watch: Watch,
    summary: Summary,
}

/// What came of going through a plan once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Everything that is asked for is finished.
    Ended,
    /// The rest is being made by other processes.
    Waits,
}

/// Waits a moment for other processes.
///
/// # Errors
/// `Interrupted`.
pub fn wait(executor: &impl Execute) -> Result<()> {
    if executor.stopped() {
        return Err(Error::Interrupted);
    }
    sleep(LOOK_AGAIN);
    Ok(())
}

/// What came of a look at a stage.
enum Look {
    /// It was done before, or another process has finished it.
    Done(Finished),
    /// It ran here.
    Ran(Finished),
    /// It is not asked for.
    Left,
    /// What it reads is not finished.
    Early,
    /// Another process makes it.
    Busy(Holder),
}

impl Walk {
    /// Forgets what is forced, and notes that the run has begun.
    ///
    /// # Errors
    /// `Io`; `Busy` where another process makes what is forced.
    pub fn begin(plan: Plan, selection: Selection) -> Result<Self> {
        selection.clear(&plan)?;
        atomic::remove_leftovers_of_the_dead(&plan.home);
        if let Some(store) = plan.stages.iter().find_map(|stage| stage.dir.parent()) {
            atomic::remove_leftovers_of_the_dead(store);
        }
        selection.remove_reports(&plan)?;
        outcome::begin(&plan.home, &plan.pipeline)?;
        let open = (0..plan.stages.len()).collect();
        let (said, watch, summary) = (BTreeSet::new(), Watch::default(), Summary::default());
        Ok(Self { plan, selection, open, said, watch, summary })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What came of it so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Goes through the open stages in their order, until nothing is left but what others make.
    ///
    /// # Errors
    /// What a stage returns.
    pub fn pass(&mut self, executor: &mut impl Execute) -> Result<Pass> {
        loop {
            let open = std::mem::take(&mut self.open);
            let before = open.len();
            for i in open {
                let look = self.look(i, executor)?;
                let name = self.plan.stages[i].name.clone();
                match look {
                    Look::Done(finished) => {
                        self.summary.skipped.push(name.clone());
                        self.summary.finished.insert(name, finished);
                    }
                    Look::Ran(finished) => {
                        self.summary.ran.push(name.clone());
                        self.summary.finished.insert(name, finished);
                    }
                    Look::Left => executor.begin(&self.plan.stages[i], &Begin::Left),
                    Look::Early => self.open.push(i),
                    Look::Busy(holder) => {
                        if self.said.insert(i) {
                            executor.begin(&self.plan.stages[i], &Begin::Waits(holder));
                        }
                        self.open.push(i);
                    }
                }
            }
            if self.open.is_empty() {
                self.summary.running = None;
                return Ok(Pass::Ended);
            }
            if self.open.len() == before {
                return Ok(Pass::Waits);
            }
        }
    }

    /// Notes how the run ended.
    ///
    /// # Errors
    /// What ended it; `Io`.
    pub fn end(mut self, ended: Result<()>) -> Result<Summary> {
        // Others may have finished them in another order.
        let place = |name: &StageName| self.plan.stages.iter().position(|stage| stage.name == *name);
        self.summary.finished.sort_by_cached_key(|name, _| place(name));
        let result = outcome::of(&self.plan.pipeline, &self.summary, ended.as_ref().err());
        let written = outcome::write(&self.plan.home, &result);
        ended?;
        written?;
        Ok(self.summary)
    }

    fn look(&mut self, i: usize, executor: &mut impl Execute) -> Result<Look> {
        let (plan, stage) = (&self.plan, &self.plan.stages[i]);
        self.summary.running = Some(stage.name.clone());
        if stage.spec.stage().is_view() {
            return self.view(i, executor);
        }
        if let Some(finished) = self.whole(i)? {
            executor.begin(stage, &Begin::Done);
            home::link(&plan.home, &stage.dir)?;
            return Ok(Look::Done(finished));
        }
        if !self.selection.wants(i) {
            return Ok(Look::Left);
        }
        if !self.may_begin(i)? {
            return Ok(Look::Early);
        }
        if let Some(parent) = stage.dir.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create the folder", parent))?;
        }
        let lease = match Lease::ask(&store::lease(&stage.dir), &mut self.watch)? {
            Asked::Busy(holder) => return Ok(Look::Busy(holder)),
            Asked::Held(lease) => lease,
        };
        // Whoever had the lease may have finished it.
        let reason = match store::state(&stage.dir, false)? {
            State::Done(finished) => {
                executor.begin(stage, &Begin::Done);
                home::link(&plan.home, &stage.dir)?;
                return Ok(Look::Done(finished));
            }
            State::Damaged(problem) => {
                tracing::warn!("{}: {problem}: it is made again", stage.name);
                store::clear_damaged(&stage.dir)?;
                format!("{problem}: it is made again")
            }
            _ => self.reason(i).unwrap_or_else(|| "its files are gone".to_owned()),
        };
        home::link(&plan.home, &stage.dir)?;
        executor.begin(stage, &Begin::Runs(reason));
        match self.make(i, executor, &lease) {
            Err(Error::LeaseLost { path }) => {
                tracing::warn!("{}: {}", stage.name, Error::LeaseLost { path });
                Ok(Look::Early)
            }
            made => made.map(Look::Ran),
        }
    }

    /// Why a stage has to run, as far as that was planned.
    fn reason(&self, i: usize) -> Option<String> {
        match &self.plan.stages[i].status {
            _ if self.selection.force.contains(&i) => Some("`--force` asks for it".to_owned()),
            Status::ToRun(reason) => Some(reason.clone()),
            Status::Done => None,
        }
    }

    /// Whether everything that a stage reads is finished.
    fn may_begin(&self, i: usize) -> Result<bool> {
        let stage = &self.plan.stages[i];
        let mut open = stage.inputs.iter().filter(|input| !self.summary.has(&self.plan, **input));
        if let Some(input) = open.clone().find(|input| !self.selection.wants(**input)) {
            let (name, input) = (&stage.name, &self.plan.stages[*input].name);
            return Err(Error::Unusable(format!(
                "`{name}` needs `{input}`, which is not whole any more: `--until {name}` makes both"
            )));
        }
        Ok(open.next().is_none())
    }

    /// Pages are written in every run that is asked for them.
    fn view(&self, i: usize, executor: &mut impl Execute) -> Result<Look> {
        let stage = &self.plan.stages[i];
        if !self.selection.wants(i) {
            return Ok(Look::Left);
        }
        if !self.may_begin(i)? {
            return Ok(Look::Early);
        }
        let reason = self.reason(i);
        let is_new = reason.is_some();
        executor.begin(stage, &reason.map_or(Begin::Done, Begin::Runs));
        let record = record(&self.plan, stage, &executor.provenance());
        let running = self.running(i, None);
        let artifact = executor.execute(stage, &running)?;
        let finished = Finished { dir: self.plan.home.clone(), artifact, record };
        Ok(if is_new { Look::Ran(finished) } else { Look::Done(finished) })
    }

    /// A finished stage with nothing wrong. What somebody is about to read is read here first.
    fn whole(&self, i: usize) -> Result<Option<Finished>> {
        let (plan, stage) = (&self.plan, &self.plan.stages[i]);
        let to_be_read = plan.stages.iter().enumerate().any(|(reader, it)| {
            let runs =
                it.status != Status::Done && !self.summary.has(plan, reader) && self.selection.wants(reader);
            runs && !it.spec.stage().is_view() && it.inputs.contains(&i)
        });
        Ok(match store::state(&stage.dir, to_be_read)? {
            State::Done(finished) => Some(finished),
            State::Damaged(problem) if to_be_read && self.selection.wants(i) => {
                // So that a second look, which believes sizes and times, finds it, too.
                tracing::warn!("{}: {problem}: it is made again", stage.name);
                if let Asked::Held(_lease) = Lease::ask(&store::lease(&stage.dir), &mut Watch::default())? {
                    store::clear_damaged(&stage.dir)?;
                }
                None
            }
            _ => None,
        })
    }

    /// What a stage may see.
    fn running<'a>(&'a self, i: usize, lease: Option<&'a Lease>) -> Running<'a> {
        let plan = &self.plan;
        let names = plan.ancestors(i).into_iter().filter(|a| *a != i).map(|a| &plan.stages[a].name);
        let seen = names.filter_map(|name| Some((name.clone(), self.summary.finished.get(name)?.clone())));
        Running { plan, finished: seen.collect(), lease }
    }

    fn make(&self, i: usize, executor: &mut impl Execute, lease: &Lease) -> Result<Finished> {
        let (plan, stage) = (&self.plan, &self.plan.stages[i]);
        fs::create_dir_all(&stage.dir).map_err(Error::io("create the folder", &stage.dir))?;
        atomic::remove_leftovers(&stage.dir);
        // Wall time adds up over interruptions.
        let before = seconds_so_far(&stage.dir);
        let started = Instant::now();
        let mut record = record(plan, stage, &executor.provenance());
        record["seconds"] = before.into();
        store::write_record(&stage.dir, &record)?;
        let running = self.running(i, Some(lease));
        let outcome = executor.execute(stage, &running);
        let seconds = started.elapsed().as_secs_f64();
        lease.check()?;
        record["seconds"] = (before + seconds).into();
        if outcome.is_ok() {
            record["finished"] = true.into();
        }
        // An error of the stage says more than one about its record.
        let recorded = store::write_record(&stage.dir, &record);
        let artifact = outcome?;
        recorded?;
        store::write_artifact(&stage.dir, &artifact)?;
        executor.end(stage, seconds);
        Ok(Finished { dir: stage.dir.clone(), artifact, record })
    }
}

fn seconds_so_far(dir: &Path) -> f64 {
    let record =
        fs::read(dir.join("stage.json")).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    record.and_then(|record| record.get("seconds")?.as_f64()).unwrap_or(0.0)
}

fn record(plan: &Plan, stage: &PlannedStage, provenance: &Value) -> Value {
    let folder = |i: &usize| -> (String, Value) {
        let input = &plan.stages[*i];
        (input.name.to_string(), file_name(&input.dir).into())
    };
    json!({
        "format": FORMAT,
        "pipeline": plan.pipeline,
        "stage": stage.name,
        "key": stage.key,
        "lineage": stage.lineage,
        "seed": stage.input.seed,
        "verb": stage.input.verb,
        "values": stage.input.values,
        "inputs": stage.input.inputs,
        "files": stage.input.files,
        "folders": stage.inputs.iter().map(folder).collect::<serde_json::Map<_, _>>(),
        "continued_from": stage.continue_from.as_deref().map(file_name),
        "provenance": provenance,
        "finished": false,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
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
