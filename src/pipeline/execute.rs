//! `Stages`: runs stages for real, on a device.

use std::{path::Path, time::Duration};

use burn::tensor::Device;
use serde_json::{Value, json};

use super::{
    crew::Order,
    plan::{Places, Plan, PlannedStage},
    run::{Begin, Execute, Running},
    selection::Selection,
};
use crate::{
    BURN_VERSION, Error, Result, kernels,
    kimg::Kimg,
    ranks::Ranks,
    report::Invocation,
    seed::Seed,
    stages::{
        Artifact, Context, Downloads,
        cost::Rates,
        download::{missing, none_missing},
    },
    stop::Stop,
};

/// Runs stages on a device.
#[derive(Debug)]
pub struct Stages<'a> {
    /// Where tensors live.
    pub device: Device,
    /// The device, in words.
    pub device_name: String,
    /// Where things are on this machine.
    pub places: &'a Places,
    /// When this run began, such as `2026-11-22 23:59 UTC`.
    pub date: String,
    /// What was asked for.
    pub invocation: Invocation,
    /// Of a sweep, the point that runs.
    pub point: Option<PointAt>,
    /// Set by SIGINT, SIGTERM and SIGHUP.
    pub stop: Stop,
    /// The processes that work on this run together.
    pub ranks: Ranks,
}

/// A point of a sweep.
#[derive(Clone, Debug)]
pub struct PointAt {
    /// Its place among the points.
    pub number: usize,
    /// What it is called.
    pub label: String,
    /// In a search, how long it trains now.
    pub rung: Option<Kimg>,
}

impl Stages<'_> {
    /// Judges the device by the stages that will run, before the first of them does. Then downloads what they read from
    /// addresses: keys depend on that. Says whether anything new came; the plan is an old one then.
    ///
    /// # Errors
    /// The device cannot do what a stage says; what a download can do; `Interrupted`.
    pub fn prepare(&self, plan: &Plan, selection: &Selection) -> Result<bool> {
        let runs = |(i, _): &(usize, &PlannedStage)| selection.runs(plan, *i);
        let stages = || plan.stages.iter().enumerate().filter(runs).map(|(_, stage)| stage);
        for stage in stages() {
            let refused = |error| Error::Unusable(format!("stage `{}`: {error}", stage.name));
            stage.spec.stage().runs_on(&self.device).map_err(refused)?;
        }
        self.fetch_all(stages())
    }

    /// Downloads what stages read from addresses and the cache does not have; says whether keys depend on what came.
    pub(super) fn fetch_all<'a>(&self, stages: impl Iterator<Item = &'a PlannedStage>) -> Result<bool> {
        let Places { cache, search, web, .. } = self.places;
        let (addresses, stages) = (self.places.addresses(), stages.collect::<Vec<_>>());
        if web.offline {
            let of = |stage: &&PlannedStage| missing(stage.name.as_str(), stage.spec.stage(), cache);
            none_missing(&stages.iter().flat_map(of).collect::<Vec<_>>(), cache)?;
        }
        let mut any = false;
        for stage in stages {
            let name = stage.name.as_str();
            let downloads = Downloads { name, cache, addresses: &addresses, search, web, stop: &self.stop };
            any |= downloads.fetch_all(stage.spec.stage())?;
        }
        Ok(any)
    }

    /// What the stages after this one take, where all of that is known of this device.
    fn after(&self, running: &Running<'_>) -> Option<Duration> {
        if !self.ranks.are_one() {
            return None;
        }
        let works = running.after.iter().map(|i| &running.plan.stages[*i].work);
        let loads: Option<Vec<_>> = works.map(|work| work.loads.as_deref()).collect();
        let seconds =
            Rates::read(&self.places.cache).seconds(&self.device_name, loads?.into_iter().flatten())?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Makes a stage, together with `ranks`.
    pub(super) fn work(&self, stage: &PlannedStage, running: &Running<'_>, ranks: Ranks) -> Result<Artifact> {
        let report_name = running.plan.stages.iter().position(|s| s.name == stage.name);
        let report_name = report_name.and_then(|i| running.plan.report_name(i)).unwrap_or_default();
        let addresses = self.places.addresses();
        let mut context = Context {
            device: self.device.clone(),
            seed: Seed(running.plan.seed).stage(&stage.name),
            name: &stage.name,
            pipeline: &running.plan.pipeline,
            point: self.point.as_ref().map(|point| &*point.label),
            description: &running.plan.description,
            pipeline_seed: running.plan.seed,
            device_name: &self.device_name,
            date: &self.date,
            invocation: &self.invocation,
            key: &stage.key.to_string(),
            dir: &stage.dir,
            home: &running.plan.home,
            report_name: &report_name,
            cache: &self.places.cache,
            addresses: &addresses,
            search: &self.places.search,
            web: &self.places.web,
            continue_from: stage.continue_from.clone(),
            finished: &running.finished,
            elsewhere: stage.elsewhere.clone(),
            stop: &self.stop,
            lease: running.lease,
            after: self.after(running),
            ranks,
        };
        let (name, told) = (&stage.name, stage.spec.stage().told(&context));
        tracing::info!(stage = %name, state = "begins", "{name}: {told}");
        kernels::allow_tf32(stage.spec.stage().tf32());
        stage.spec.stage().run(&mut context)
    }
}

impl Execute for Stages<'_> {
    fn execute(&mut self, stage: &PlannedStage, running: &Running<'_>) -> Result<Artifact> {
        if self.stop.requested() {
            return Err(Error::Interrupted);
        }
        if self.ranks.are_one() || !stage.spec.stage().is_spread() {
            return self.work(stage, running, Ranks::alone());
        }
        self.ranks.tell(|| Order::make(self.point.as_ref(), stage))?;
        let made = self.work(stage, running, self.ranks.clone());
        let together = self.ranks.end_of_stage(made.as_ref().err());
        let artifact = made?;
        together.map(|()| artifact)
    }

    fn provenance(&self) -> Value {
        json!({
            "sida": env!("CARGO_PKG_VERSION"),
            "burn": BURN_VERSION,
            "cuda": cfg!(feature = "cuda"),
            "device": self.device_name,
            "threads": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            "ranks": self.ranks.count(),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "date": self.date,
        })
    }

    fn stopped(&self) -> bool {
        self.stop.requested()
    }

    fn begin(&mut self, stage: &PlannedStage, what: &Begin) {
        let (name, verb) = (&stage.name, stage.spec.verb());
        match what {
            Begin::Done => {
                tracing::info!(stage = %name, state = "done", "{name}: done before ({})", folder(&stage.dir));
            }
            Begin::Left => tracing::debug!(stage = %name, state = "left out", "{name}: left out"),
            Begin::Waits(holder) => {
                tracing::info!(stage = %name, state = "waits", "{name}: {holder} makes it, waiting");
            }
            Begin::Runs(why) => {
                tracing::info!(stage = %name, state = "runs", reason = why, "{name}: {verb} runs ({why})");
            }
        }
    }

    fn end(&mut self, stage: &PlannedStage, seconds: f64) {
        let name = &stage.name;
        tracing::info!(stage = %name, state = "finished", seconds, "{name}: finished after {seconds:.1} s");
    }
}

fn folder(dir: &Path) -> String {
    dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
