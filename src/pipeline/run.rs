//! Walks a plan: skips what is done, runs what is not, keeps the records.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{
    key::{FORMAT, StageKey},
    outcome,
    plan::{Plan, PlannedStage, Status},
    runs,
};
use crate::{
    Error, Result,
    checkpoint::atomic,
    report,
    stage_name::StageName,
    stages::{Artifact, Finished, Verdict},
};

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
}

/// What a running stage may see of the run.
#[derive(Debug)]
pub struct Running<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// All stages that this one reads, directly or through others.
    pub finished: IndexMap<StageName, Finished>,
    /// Where the report goes too.
    pub report_dir: &'a Path,
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
    fn wants(&self, stage: usize) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&stage))
    }

    /// Removes what another run showed where this one will show something.
    ///
    /// # Errors
    /// `Io` for a file that cannot be removed.
    fn remove_reports(&self, plan: &Plan, report_dir: &Path) -> Result<()> {
        let asked = (0..plan.stages.len()).filter(|i| self.wants(*i));
        asked.filter_map(|i| plan.report_name(i)).try_for_each(|name| report::remove(report_dir, &name))
    }

    /// Forgets the results of the forced stages, once: a run that is interrupted then continues as any other.
    ///
    /// # Errors
    /// `Io` for a folder that cannot be removed.
    fn clear(&self, plan: &Plan) -> Result<()> {
        for stage in self.force.iter().map(|i| &plan.stages[*i]).filter(|stage| stage.dir.exists()) {
            fs::remove_dir_all(&stage.dir).map_err(Error::io("remove the folder", &stage.dir))?;
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
pub fn run(
    plan: &Plan,
    selection: &Selection,
    report_dir: &Path,
    executor: &mut impl Execute,
) -> Result<Summary> {
    selection.clear(plan)?;
    selection.remove_reports(plan, report_dir)?;
    outcome::begin(report_dir, &plan.pipeline)?;
    let mut summary = Summary::default();
    let ended = walk(plan, selection, report_dir, executor, &mut summary);
    let result = outcome::of(&plan.pipeline, &summary, ended.as_ref().err());
    let written = outcome::write(report_dir, &result);
    ended?;
    written?;
    Ok(summary)
}

fn walk(
    plan: &Plan,
    selection: &Selection,
    report_dir: &Path,
    executor: &mut impl Execute,
    summary: &mut Summary,
) -> Result<()> {
    for (i, stage) in plan.stages.iter().enumerate() {
        summary.running = Some(stage.name.clone());
        let forced = selection.force.contains(&i);
        let done = runs::finished(&stage.dir)?;
        if let Some(mut finished) = done {
            executor.begin(stage, &Begin::Done);
            if stage.spec.stage().is_view() && stage.inputs.iter().all(|input| summary.has(plan, *input)) {
                finished.artifact =
                    executor.execute(stage, &running(plan, i, &summary.finished, report_dir))?;
                runs::write_artifact(&stage.dir, &finished.artifact)?;
            }
            summary.skipped.push(stage.name.clone());
            summary.finished.insert(stage.name.clone(), finished);
            continue;
        }
        if !selection.wants(i) {
            executor.begin(stage, &Begin::Left);
            continue;
        }
        let reason = match (&stage.status, forced) {
            (_, true) => "`--force` asks for it".to_owned(),
            (Status::ToRun(reason), _) => reason.clone(),
            (Status::Done, _) => "its files are gone".to_owned(),
        };
        executor.begin(stage, &Begin::Runs(reason));
        let finished = run_stage(plan, i, &summary.finished, report_dir, executor)?;
        summary.ran.push(stage.name.clone());
        summary.finished.insert(stage.name.clone(), finished);
    }
    summary.running = None;
    Ok(())
}

/// What a stage may see.
fn running<'a>(
    plan: &'a Plan,
    i: usize,
    finished: &IndexMap<StageName, Finished>,
    report_dir: &'a Path,
) -> Running<'a> {
    let names = plan.ancestors(i).into_iter().filter(|a| *a != i).map(|a| &plan.stages[a].name);
    let seen = names.filter_map(|name| Some((name.clone(), finished.get(name)?.clone())));
    Running { plan, finished: seen.collect(), report_dir }
}

fn run_stage(
    plan: &Plan,
    i: usize,
    finished: &IndexMap<StageName, Finished>,
    report_dir: &Path,
    executor: &mut impl Execute,
) -> Result<Finished> {
    let stage = &plan.stages[i];
    fs::create_dir_all(&stage.dir).map_err(Error::io("create the folder", &stage.dir))?;
    atomic::remove_leftovers(&stage.dir);
    // Wall time adds up over interruptions.
    let before = seconds_so_far(&stage.dir);
    let started = Instant::now();
    let mut record = record(plan, stage, &executor.provenance());
    record["seconds"] = before.into();
    runs::write_record(&stage.dir, &record)?;
    let outcome = executor.execute(stage, &running(plan, i, finished, report_dir));
    let seconds = started.elapsed().as_secs_f64();
    record["seconds"] = (before + seconds).into();
    if outcome.is_ok() {
        record["finished"] = true.into();
    }
    // An error of the stage says more than one about its record.
    let recorded = runs::write_record(&stage.dir, &record);
    let artifact = outcome?;
    recorded?;
    runs::write_artifact(&stage.dir, &artifact)?;
    executor.end(stage, seconds);
    Ok(Finished { dir: stage.dir.clone(), artifact, record })
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
        "lineage": stage.input.lineage(),
        "seed": stage.input.seed,
        "spec": stage.input.spec,
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

    /// Notes the stage at which a plan failed: the first that is not done.
    pub fn note(&mut self, plan: &Plan, error: &Error) {
        let open = plan.stages.iter().find(|stage| !stage.dir.join("artifact.json").is_file());
        if let Some(stage) = open {
            self.0.push((stage.key.clone(), error.to_string()));
        }
    }
}

/// The folder of a point's own report.
pub fn point_dir(pipeline_dir: &Path, label: &str) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._=-".contains(c) { c } else { '_' };
    pipeline_dir.join("points").join(label.chars().map(safe).collect::<String>())
}
