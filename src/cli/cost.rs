//! What a plan costs: time, hours of a GPU, bytes on a disk; and `sida plan --measure`.

use std::{collections::HashSet, time::SystemTime};

use serde_json::{Value, json};

use super::{columns::bytes, device, run::date, signals};
use crate::{
    Result,
    kernels::{self, Memory},
    pipeline::{Places, PlannedStage, Status},
    stages::{
        cost::{Load, Rate, Rates, measure},
        microbatch,
        progress::human,
    },
    suggestion::listed,
    terminal,
};

/// What is known of how fast a device is.
pub(super) struct Prices {
    rates: Rates,
    /// The device, in words: the one that is asked for, or the one that was seen last at what has to run.
    device: Option<String>,
    /// Its memory, where it is asked for.
    memory: Option<Memory>,
}

/// What several stages cost together.
#[derive(Default)]
pub(super) struct Total {
    seconds: f64,
    disk_bytes: u64,
    /// The stages whose time, and those whose size is not known.
    timeless: Vec<String>,
    sizeless: Vec<String>,
    /// Whether a stage has a device do something.
    works: bool,
    /// The days on which rates were seen: the first and the last.
    seen: Option<[String; 2]>,
}

impl Prices {
    /// What the cache knows of stages that have to run, and of a device; measures what it does not know, where asked to.
    ///
    /// # Errors
    /// `NoDevice`; `Interrupted`; whatever devices can do.
    pub(super) fn find<'a>(
        stages: impl Iterator<Item = &'a PlannedStage> + Clone,
        asked: Option<&str>,
        measures: bool,
        places: &Places,
    ) -> Result<Self> {
        let mut rates = Rates::read(&places.cache);
        let mut known = HashSet::new();
        let open = stages.filter(|stage| stage.status != Status::Done && known.insert(stage.key.clone()));
        let loads: Vec<(&PlannedStage, &Load)> =
            open.flat_map(|stage| stage.work.loads.iter().flatten().map(move |load| (stage, load))).collect();
        let Some(asked) = asked.or_else(|| measures.then_some("auto")) else {
            let device = rates.last_device(loads.iter().map(|(_, load)| &load.task));
            return Ok(Self { rates, device, memory: None });
        };
        let (device, name) = device::choose(asked)?;
        let memory = kernels::memory(&device);
        if measures {
            let stop = signals::listen()?;
            // Recipes that differ in what costs nothing are one task.
            let mut tried = HashSet::new();
            for (stage, Load { task, images }) in loads {
                if *images == 0 || !tried.insert(task.described().to_string()) {
                    continue;
                }
                let (of, what) = (&stage.name, task.words());
                match measure(task, &device, &places.cache, &stop)? {
                    Err(why) => terminal::note(&format!("  {of}, {what}: not measured: {why}")),
                    Ok(images_per_second) => {
                        let digits = usize::from(images_per_second < 10.0) * 2;
                        terminal::note(&format!("  {of}, {what}: {images_per_second:.digits$} images/s"));
                        let (device, seen) = (name.clone(), date(SystemTime::now()));
                        rates.keep(task, Rate { device, images_per_second, seen, by_run: false, task: what });
                    }
                }
            }
        }
        Ok(Self { rates, device: Some(name), memory })
    }

    /// The micro-batch that `auto` comes to on the device that was asked for, with one rank; otherwise the one that is written.
    pub(super) fn microbatch(&self, stage: &PlannedStage) -> Option<u32> {
        let pace = stage.spec.stage().pace()?;
        if !pace.is_open() {
            return Some(pace.microbatch_size());
        }
        let (parameters, network) = (stage.work.parameters?, stage.work.network.as_ref()?);
        let memory = self.memory?.share(1);
        microbatch::largest(stage.spec.stage(), &pace, network, parameters, [1, memory])
    }

    /// Seconds of a stage that has to run; `None` where that is not known.
    pub(super) fn seconds(&self, stage: &PlannedStage) -> Option<f64> {
        if stage.status == Status::Done {
            return None;
        }
        let loads = stage.work.loads.as_ref()?;
        if loads.is_empty() {
            return Some(0.0);
        }
        self.rates.seconds(self.device.as_deref()?, loads)
    }

    /// The same of a GPU, in hours.
    pub(super) fn gpu_hours(&self, seconds: Option<f64>) -> Option<f64> {
        let is_gpu = self.device.as_ref().is_some_and(|name| !name.starts_with("CPU"));
        seconds.filter(|_| is_gpu).map(|seconds| seconds / 3600.0)
    }

    /// Words about a stage that has to run.
    pub(super) fn notes(&self, stage: &PlannedStage) -> Vec<String> {
        let mut notes = Vec::new();
        if is_open(stage) {
            notes.push(self.microbatch(stage).map_or_else(
                || "micro-batches as large as fit (`--device` says how large)".to_owned(),
                |size| format!("micro-batches of {size}, which fit"),
            ));
        }
        if stage.status == Status::Done {
            return notes;
        }
        let seconds = self.seconds(stage).filter(|seconds| *seconds >= 0.5);
        notes.extend(seconds.map(|seconds| self.time(seconds)));
        notes.extend(
            stage
                .work
                .disk_bytes
                .filter(|bytes| *bytes >= 1 << 20)
                .map(|on_disk| format!("at most {} of disk", bytes(on_disk))),
        );
        notes
    }

    /// `about 5 min 12 s`, with GPU-hours.
    fn time(&self, seconds: f64) -> String {
        let about =
            format!("about {}", human(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default()));
        match self.gpu_hours(Some(seconds)) {
            Some(hours) => format!("{about}, {hours:.2} GPU-hours"),
            None => about,
        }
    }

    /// What stages cost that have to run; those that several points share cost once.
    pub(super) fn total<'a>(&self, stages: impl Iterator<Item = &'a PlannedStage>) -> Total {
        let (mut total, mut known) = (Total::default(), HashSet::new());
        for stage in stages.filter(|stage| stage.status != Status::Done) {
            if stage.spec.stage().is_view() || !known.insert(&stage.key) {
                continue;
            }
            let name = stage.name.to_string();
            total.works |= stage.work.loads.as_ref().is_none_or(|loads| !loads.is_empty());
            match self.seconds(stage) {
                Some(seconds) => total.seconds += seconds,
                None => total.timeless.push(name.clone()),
            }
            match stage.work.disk_bytes {
                Some(bytes) => total.disk_bytes += bytes,
                None => total.sizeless.push(name),
            }
            for load in stage.work.loads.iter().flatten() {
                let rate = self.device.as_ref().and_then(|device| self.rates.of(device, &load.task));
                let Some(day) = rate.map(|rate| rate.seen.chars().take(10).collect::<String>()) else {
                    continue;
                };
                let [first, last] = total.seen.get_or_insert_with(|| [day.clone(), day.clone()]);
                (*first, *last) = (day.clone().min(first.clone()), day.max(last.clone()));
            }
        }
        total
    }
}

impl Total {
    /// In words, a line or two.
    pub(super) fn text(&self, prices: &Prices) -> String {
        let but = |names: &[String]| match names {
            [] => String::new(),
            names => {
                let names: Vec<&str> = names
                    .iter()
                    .map(String::as_str)
                    .collect::<std::collections::BTreeSet<_>>()
                    .into_iter()
                    .collect();
                format!(", without {}", listed(&names))
            }
        };
        let disk = format!("at most {} of disk{}", bytes(self.disk_bytes), but(&self.sizeless));
        match (&prices.device, &self.seen) {
            _ if !self.works => format!("in all: {disk}"),
            (Some(device), Some([first, last])) => {
                let when = if first == last { first.clone() } else { format!("{first} to {last}") };
                let time = format!(
                    "in all: {} on {device}, measured {when}{}",
                    prices.time(self.seconds),
                    but(&self.timeless)
                );
                let how = if self.timeless.is_empty() { "" } else { "; `--measure` tries what is not known" };
                format!("{time}{how}\n        {disk}")
            }
            _ => {
                let time =
                    "time: not measured yet; `sida plan FILE --measure` takes some seconds for each network";
                format!("in all: {disk}\n{time}")
            }
        }
    }

    /// As fields of a JSON object.
    pub(super) fn write(&self, into: &mut Value, prices: &Prices) {
        let seconds = (self.seen.is_some() || !self.works).then_some(self.seconds);
        into["device"] = json!(prices.device);
        into["seconds"] = json!(seconds);
        into["gpu_hours"] = json!(prices.gpu_hours(seconds));
        into["seconds_not_known_of"] = json!(self.timeless);
        into["disk_bytes"] = json!(self.disk_bytes);
        into["disk_bytes_not_known_of"] = json!(self.sizeless);
        into["measured"] = json!(self.seen);
    }
}

/// Whether a device has to say how large its micro-batches are.
pub(super) fn is_open(stage: &PlannedStage) -> bool {
    stage.spec.stage().pace().is_some_and(|pace| pace.is_open())
}
