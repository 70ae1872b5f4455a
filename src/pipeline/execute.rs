//! `Stages`: runs stages for real, on a device.

use std::path::Path;

use burn::tensor::Device;
use serde_json::{Value, json};

use super::{
    plan::{Places, PlannedStage},
    run::{Begin, Execute, Running},
    runs,
};
use crate::{
    BURN_VERSION, Result,
    seed::Seed,
    stages::{Artifact, Context, Stop},
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
    /// Set by SIGINT, SIGTERM and SIGHUP.
    pub stop: Stop,
}

impl Execute for Stages<'_> {
    fn execute(&mut self, stage: &PlannedStage, running: &Running<'_>) -> Result<Artifact> {
        if self.stop.requested() {
            return Err(crate::Error::Interrupted);
        }
        let report_name = running.plan.stages.iter().position(|s| s.name == stage.name);
        let report_name = report_name.and_then(|i| running.plan.report_name(i)).unwrap_or_default();
        let found = stage.spec.stage().elsewhere().into_iter().filter_map(|(_, elsewhere)| {
            let found = runs::newest_finished(&self.places.runs, &elsewhere.pipeline, &elsewhere.stage);
            found.map(|found| Some((elsewhere, found?))).transpose()
        });
        let elsewhere = found.collect::<Result<_>>()?;
        let mut context = Context {
            device: self.device.clone(),
            seed: Seed(running.plan.seed).stage(&stage.name),
            name: &stage.name,
            pipeline: &running.plan.pipeline,
            description: &running.plan.description,
            pipeline_seed: running.plan.seed,
            device_name: &self.device_name,
            date: &self.date,
            dir: &stage.dir,
            pipeline_dir: running.report_dir,
            report_name: &report_name,
            cache: &self.places.cache,
            search: &self.places.search,
            continue_from: stage.continue_from.clone(),
            finished: &running.finished,
            elsewhere,
            stop: &self.stop,
        };
        stage.spec.stage().run(&mut context)
    }

    fn provenance(&self) -> Value {
        json!({
            "sida": env!("CARGO_PKG_VERSION"),
            "burn": BURN_VERSION,
            "cuda": cfg!(feature = "cuda"),
            "device": self.device_name,
            "threads": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "date": self.date,
        })
    }

    fn begin(&mut self, stage: &PlannedStage, what: &Begin) {
        let (name, verb) = (&stage.name, stage.spec.verb());
        match what {
            Begin::Done => tracing::info!("{name}: done before ({})", folder(&stage.dir)),
            Begin::Left => tracing::info!("{name}: left out"),
            Begin::Runs(why) => tracing::info!("{name}: {verb} runs ({why})"),
        }
    }

    fn end(&mut self, stage: &PlannedStage, seconds: f64) {
        tracing::info!("{}: finished after {seconds:.1} s", stage.name);
    }
}

fn folder(dir: &Path) -> String {
    dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
