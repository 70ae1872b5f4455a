//! `Rates`: how many images per second devices make of tasks, as far as it was seen: a small file in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
};

use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};

use super::task::{Load, Task};
use crate::{BURN_VERSION, checkpoint::atomic, formats::read_small};

const FILE: &str = "rates.json";
/// The most that the file may have.
const LONGEST: u64 = 4 << 20;
/// Tasks that are remembered: those seen last.
const KEPT: usize = 2000;

/// How fast a task was on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The device, in words, with its threads.
    pub device: String,
    /// Images per second.
    pub images_per_second: f64,
    /// When that was seen, such as `2026-11-22 23:59 UTC`.
    pub seen: String,
    /// Whether a run went so fast, and not a short measurement.
    pub by_run: bool,
    /// The task, in words.
    pub task: String,
}

/// What is known of devices and tasks.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    path: PathBuf,
    known: IndexMap<String, Rate>,
}

impl Rates {
    /// What the folder of the cache remembers; nothing where it cannot be read.
    pub fn read(cache: &Path) -> Self {
        let path = cache.join(FILE);
        let known = read_small(&path, "file of rates", LONGEST).ok();
        let known: IndexMap<String, Rate> =
            known.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let is_rate = |rate: &Rate| rate.images_per_second.is_finite() && rate.images_per_second > 0.0;
        Self { path, known: known.into_iter().filter(|(_, rate)| is_rate(rate)).collect() }
    }

    /// How fast a task is on a device, as far as this program has seen it.
    pub fn of(&self, device: &str, task: &Task) -> Option<&Rate> {
        self.known.get(&key(device, task))
    }

    /// Remembers a rate, beside what others have written meanwhile. A cache that cannot be written forgets it.
    pub fn keep(&mut self, task: &Task, rate: Rate) {
        let path = std::mem::take(&mut self.path);
        *self = Self::read(path.parent().unwrap_or(&path));
        let key = key(&rate.device, task);
        // The last one seen comes last.
        self.known.shift_remove(&key);
        self.known.insert(key, rate);
        let too_many = self.known.len().saturating_sub(KEPT);
        self.known.drain(..too_many);
        let written = serde_json::to_vec_pretty(&self.known).unwrap_or_default();
        let folder = fs::create_dir_all(path.parent().unwrap_or(&path));
        if folder.is_err() || atomic::write(&path, &written).is_err() {
            tracing::debug!("`{FILE}` cannot be written: rates are not kept");
        }
    }

    /// The device that was seen last of those that were seen at one of these tasks.
    pub fn last_device<'a>(&self, tasks: impl Iterator<Item = &'a Task>) -> Option<String> {
        let tasks: Vec<&Task> = tasks.collect();
        let devices: IndexSet<&str> = self.known.values().rev().map(|rate| rate.device.as_str()).collect();
        let knows = |device: &&str| tasks.iter().any(|task| self.of(device, task).is_some());
        devices.into_iter().find(knows).map(str::to_owned)
    }

    /// Seconds that loads take on a device; `None` where one of them was never seen.
    pub fn seconds<'a>(&self, device: &str, loads: impl IntoIterator<Item = &'a Load>) -> Option<f64> {
        let of_load = |load: &Load| match load.images {
            0 => Some(0.0),
            images => Some(images as f64 / self.of(device, &load.task)?.images_per_second),
        };
        loads.into_iter().map(of_load).sum()
    }
}

/// Another program may be faster or slower.
fn key(device: &str, task: &Task) -> String {
    let mut described =
        serde_json::json!([env!("CARGO_PKG_VERSION"), BURN_VERSION, device, task.described()]);
    described.sort_all_objects();
    blake3::hash(described.to_string().as_bytes()).to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::DetectorName;

    fn task(side: usize) -> Task {
        Task::Detection { detector: DetectorName::Pixels, shape: [3, side] }
    }

    fn rate(device: &str, images_per_second: f64) -> Rate {
        let (device, task) = (device.to_owned(), "looks".to_owned());
        Rate { device, images_per_second, seen: "today".to_owned(), by_run: false, task }
    }

    #[test]
    fn rates_are_of_one_device_and_one_task_and_unknown_ones_are_no_number() {
        let cache = tempfile::tempdir().unwrap();
        let mut rates = Rates::read(cache.path());
        rates.keep(&task(8), rate("a", 10.0));
        // Of what others wrote meanwhile nothing is lost.
        let mut others = Rates::read(cache.path());
        others.keep(&task(16), rate("a", 5.0));
        rates.keep(&task(8), rate("b", 20.0));
        let rates = Rates::read(cache.path());
        let loads = |side, images| Load { task: task(side), images };
        assert_eq!(rates.seconds("a", &[loads(8, 100), loads(16, 100)]), Some(30.0));
        assert_eq!(rates.seconds("b", &[loads(8, 100), loads(16, 100)]), None);
        assert_eq!(rates.seconds("b", &[loads(8, 100), loads(16, 0)]), Some(5.0));
        assert_eq!(rates.seconds("b", &[]), Some(0.0));
        assert_eq!(rates.last_device([&task(16), &task(8)].into_iter()).unwrap(), "b");
        assert_eq!(rates.last_device([&task(16)].into_iter()).unwrap(), "a");
        assert_eq!(rates.last_device([&task(32)].into_iter()), None);
    }

    #[test]
    fn a_file_that_is_none_says_nothing() {
        let cache = tempfile::tempdir().unwrap();
        for text in ["", "{", "[]", r#"{"a":1}"#] {
            fs::write(cache.path().join(FILE), text).unwrap();
            assert!(Rates::read(cache.path()).known.is_empty(), "{text}");
        }
        for number in ["0", "-1", "null"] {
            let text = format!(
                r#"{{"k":{{"device":"a","images_per_second":{number},"seen":"","by_run":true,"task":""}}}}"#
            );
            fs::write(cache.path().join(FILE), text).unwrap();
            assert!(Rates::read(cache.path()).known.is_empty(), "{number}");
        }
    }
}
