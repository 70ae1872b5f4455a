//! `Walk`: goes through a plan, skips what is done, runs what is not and nobody else makes, keeps the records.

use std::{collections::BTreeSet, fs, time::Instant};

use super::{
    home, outcome,
    plan::{Plan, Status},
    run::{Begin, Execute, Running, Summary},
    selection::Selection,
    stage_record::{Cost, record},
    store::{self, Divergence, State},
};
use crate::{
    Error, Result,
    checkpoint::{Asked, Holder, Lease, Watch, atomic},
    peak_memory::PeakMemory,
    stage_name::StageName,
    stages::Finished,
};

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
                let stage = &self.plan.stages[i];
                match look {
                    Look::Done(finished) => {
                        self.summary.skipped.push(stage.name.clone());
                        self.summary.add(stage, finished);
                    }
                    Look::Ran(finished) => {
                        self.summary.ran.push(stage.name.clone());
                        self.summary.add(stage, finished);
                    }
                    Look::Left => executor.begin(stage, &Begin::Left),
                    Look::Early => self.open.push(i),
                    Look::Busy(holder) => {
                        if self.said.insert(i) {
                            executor.begin(stage, &Begin::Waits(holder));
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
        let thorough = self.is_read_next(i);
        if let State::Done(finished) = store::state(&stage.dir, thorough)? {
            return self.done(i, finished, executor);
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
        let reason = match store::state(&stage.dir, thorough)? {
            State::Done(finished) => return self.done(i, finished, executor),
            // The same values give the same numbers.
            State::Diverged(divergence) if divergence.holds(stage.spec.stage()) => {
                let Divergence { kimg, seen, .. } = divergence;
                tracing::warn!(
                    "{0}: it diverged in an earlier run; `--force {0}` tries again, as another `guard` does",
                    stage.name
                );
                return Err(Error::Diverged { stage: stage.name.to_string(), kimg, seen });
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
        let is_open = |input: &&usize| !self.summary.has(&self.plan, **input);
        if stage.spec.stage().is_view() {
            // What is left out is shown as such.
            return Ok(!stage.inputs.iter().filter(is_open).any(|input| self.selection.wants(*input)));
        }
        let mut open = stage.inputs.iter().filter(is_open);
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
        let is_partial = stage.inputs.iter().any(|input| !self.summary.has(&self.plan, *input));
        let reason = if is_partial { Some("without what is left out".to_owned()) } else { self.reason(i) };
        let is_new = reason.is_some();
        executor.begin(stage, &reason.map_or(Begin::Done, Begin::Runs));
        let record = record(&self.plan, stage, &executor.provenance());
        let running = self.running(i, None);
        let artifact = executor.execute(stage, &running)?;
        let finished = Finished::new(self.plan.home.clone(), artifact, record);
        Ok(if is_new { Look::Ran(finished) } else { Look::Done(finished) })
    }

    fn done(&self, i: usize, finished: Finished, executor: &mut impl Execute) -> Result<Look> {
        let stage = &self.plan.stages[i];
        executor.begin(stage, &Begin::Done);
        home::link(&self.plan.home, &stage.dir)?;
        Ok(Look::Done(finished))
    }

    /// Whether a stage that has to run will read this one: whatever its size and time, its contents are looked at first.
    fn is_read_next(&self, i: usize) -> bool {
        self.plan.stages.iter().enumerate().any(|(reader, stage)| {
            let runs = stage.status != Status::Done
                && !self.summary.has(&self.plan, reader)
                && self.selection.wants(reader);
            runs && !stage.spec.stage().is_view() && stage.inputs.contains(&i)
        })
    }

    /// What a stage may see.
    fn running<'a>(&'a self, i: usize, lease: Option<&'a Lease>) -> Running<'a> {
        let plan = &self.plan;
        let names = plan.ancestors(i).into_iter().filter(|a| *a != i).map(|a| &plan.stages[a].name);
        let seen = names.filter_map(|name| Some((name.clone(), self.summary.finished.get(name)?.clone())));
        let runs = |other: &usize| {
            let stage = &plan.stages[*other];
            let is_open = stage.status != Status::Done || self.selection.force.contains(other);
            *other != i && is_open && self.selection.wants(*other) && !self.summary.has(plan, *other)
        };
        let after = (0..plan.stages.len()).filter(runs).collect();
        Running { plan, finished: seen.collect(), after, lease }
    }

    fn make(&self, i: usize, executor: &mut impl Execute, lease: &Lease) -> Result<Finished> {
        let (plan, stage) = (&self.plan, &self.plan.stages[i]);
        fs::create_dir_all(&stage.dir).map_err(Error::io("create the folder", &stage.dir))?;
        atomic::remove_leftovers(&stage.dir);
        // Wall time adds up over interruptions, and the peak is that of all processes.
        let before = Cost::so_far(&stage.dir)?;
        let (started, memory) = (Instant::now(), PeakMemory::begin());
        let mut record = record(plan, stage, &executor.provenance());
        record["seconds"] = before.seconds.into();
        record["peak_memory_mib"] = before.peak_memory_mib.into();
        store::write_record(&stage.dir, &record)?;
        let running = self.running(i, Some(lease));
        let outcome = executor.execute(stage, &running);
        let seconds = started.elapsed().as_secs_f64();
        lease.check()?;
        record["seconds"] = (before.seconds + seconds).into();
        record["peak_memory_mib"] = before.peak_with(memory.mib()).into();
        if outcome.is_ok() {
            record["finished"] = true.into();
        }
        if let Err(Error::Diverged { kimg, seen, .. }) = &outcome {
            record["diverged"] = serde_json::json!(Divergence::new(*kimg, seen.clone(), stage.spec.stage()));
        }
        // An error of the stage says more than one about its record.
        let recorded = store::write_record(&stage.dir, &record);
        let artifact = outcome?;
        recorded?;
        store::write_artifact(&stage.dir, &artifact)?;
        executor.end(stage, seconds);
        Ok(Finished::new(stage.dir.clone(), artifact, record))
    }
}
