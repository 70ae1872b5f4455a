//! `Meter`: how fast a run does a task, which is remembered for plans.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    rates::{Rate, Rates},
    task::Task,
};
use crate::stages::context::Context;

/// Rates of a shorter time are chances.
const LEAST: Duration = Duration::from_millis(300);

/// Files are not written more often than that for it.
const KEEP_AGAIN: Duration = Duration::from_secs(10);

/// Where the rates of a run are remembered, and of what.
#[derive(Clone, Debug, Default)]
pub(in crate::stages) struct Seen {
    cache: PathBuf,
    /// The device, in words; nothing where rates are not to be kept.
    device: String,
    date: String,
}

impl Seen {
    /// By a stage. With several ranks, a rate is not that of a device.
    pub(in crate::stages) fn by(context: &Context<'_>) -> Self {
        let device = if context.ranks.are_one() { context.device_name } else { "" };
        Self { cache: context.cache.to_owned(), device: device.to_owned(), date: context.date.to_owned() }
    }
}

/// Counts the images of a task, and the time that goes into them.
#[derive(Debug, Default)]
pub(in crate::stages) struct Meter {
    images: u64,
    time: Duration,
    since: Option<Instant>,
    /// The first ones are not counted: kernels are compiled, memory is taken.
    warm: bool,
    kept: Option<Instant>,
}

impl Meter {
    /// Does something that makes so many images, and counts it.
    pub(in crate::stages) fn time<T>(&mut self, images: usize, make: impl FnOnce() -> T) -> T {
        self.on();
        let made = make();
        self.off();
        self.count(images as u64);
        made
    }

    /// Time counts from now on.
    pub(in crate::stages) fn on(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Time does not count until `on`.
    pub(in crate::stages) fn off(&mut self) {
        self.time += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// So many images are made.
    pub(in crate::stages) fn count(&mut self, images: u64) {
        if self.warm {
            self.images += images;
        } else {
            (self.warm, self.time) = (true, Duration::ZERO);
            self.since = self.since.map(|_| Instant::now());
        }
    }

    /// Remembers the rate of something that is under way, no sooner than some seconds after the last time, and in the end.
    pub(in crate::stages) fn keep_now_and_then(&mut self, ends: bool, task: &Task, seen: &Seen) {
        if ends || self.kept.is_none_or(|kept| kept.elapsed() >= KEEP_AGAIN) {
            self.kept = Some(Instant::now());
            self.keep(task, seen);
        }
    }

    /// Remembers the rate, where there is one.
    pub(in crate::stages) fn keep(&mut self, task: &Task, seen: &Seen) {
        if self.since.is_some() {
            self.off();
            self.on();
        }
        if self.time < LEAST || self.images == 0 || seen.device.is_empty() {
            return;
        }
        let rate = Rate {
            device: seen.device.clone(),
            images_per_second: self.images as f64 / self.time.as_secs_f64(),
            seen: seen.date.clone(),
            by_run: true,
            task: task.words(),
        };
        Rates::read(&seen.cache).keep(task, rate);
    }
}
