//! When the loop reads what iterations come to.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::{
    kernels,
    ranks::Ranks,
    report::Invocation,
    seed::Seed,
    stage_name::StageName,
    stages::{Web, addresses::Addresses, stats_jsonl},
    stop::Stop,
};

#[test]
fn a_multiple_is_passed_once() {
    let steps: Vec<u64> = (0..20).map(|i| i * 64).collect();
    let hits = steps.windows(2).filter(|w| passed(500, w[0], w[1])).count();
    assert_eq!(hits, 2);
    assert!(passed(64, 0, 64));
    assert!(!passed(64, 64, 100));
}

/// Images of an iteration.
const BATCH: u64 = 8;

/// A training that tells what is asked of it. The loss of an iteration is the number of images seen at its end.
#[derive(Default)]
struct Told {
    nimg: u64,
    tells: Arc<Mutex<Vec<String>>>,
    stop: Stop,
    /// It asks to be stopped in the iteration that ends there.
    stops_at: Option<u64>,
    /// The snapshot of that moment cannot be taken.
    fails_at: Option<u64>,
    /// The loss of the iteration that ends there is not a number.
    spoilt_at: Option<u64>,
}

impl Told {
    fn tell(&self, what: &str) {
        self.tells.lock().unwrap().push(format!("{what} {}", self.nimg));
    }
}

impl Training for Told {
    type Iteration = f64;

    fn nimg(&self) -> u64 {
        self.nimg
    }

    fn step(&mut self) -> Result<Pending<f64>> {
        self.nimg += BATCH;
        self.tell("queue");
        if self.stops_at == Some(self.nimg) {
            self.stop.ask();
        }
        let (nimg, tells) = (self.nimg, Arc::clone(&self.tells));
        let loss = if self.spoilt_at == Some(nimg) { f32::NAN } else { nimg as f32 };
        let numbers = kernels::read(Tensor::from_floats([loss], &Device::flex()));
        Ok(Pending::new(numbers, move |mut numbers| {
            tells.lock().unwrap().push(format!("read {nimg}"));
            numbers.next().unwrap()
        }))
    }

    fn quantities(&self, loss: &f64) -> Vec<(&'static str, Quantity)> {
        vec![("loss", Quantity::Mean(*loss))]
    }

    fn vitals(&self, period: &Period) -> Vitals {
        let losses = vec![Loss { name: "the loss", value: period.get("loss").unwrap() }];
        Vitals { losses, error: self.error(period), masked_share: 0.0, spread: None }
    }

    fn error(&self, _: &Period) -> Loss {
        Loss { name: "the error", value: 0.5 }
    }

    fn headline(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn fingerprint(&self) -> u64 {
        self.nimg
    }

    fn state(&self) -> StateDict {
        self.tell("save");
        [("nimg".to_owned(), TensorData::from([self.nimg as f32]))].into_iter().collect()
    }

    fn restore(&mut self, state: &StateDict, _: &str) -> Result<()> {
        self.nimg = state["nimg"].iter::<f64>().next().unwrap() as u64;
        Ok(())
    }

    fn snapshot(&mut self, memory: &mut Memory) -> Result<IndexMap<String, f64>> {
        self.tell("snapshot");
        if self.fails_at == Some(self.nimg) {
            return Err(Error::Interrupted);
        }
        memory.last_snapshot = Some(self.nimg);
        Ok([("score".to_owned(), self.nimg as f64)].into_iter().collect())
    }
}

/// Runs it in a folder, of which it continues what is there: how it ended, and what was asked of it.
fn run_in(dir: &Path, cadence: Cadence<'_>, mut training: Told) -> (Result<Memory>, Vec<String>) {
    let (name, stop, tells) = (StageName::new("told"), training.stop.clone(), Arc::clone(&training.tells));
    let context = Context {
        device: Device::flex(),
        seed: Seed(1),
        name: &name,
        pipeline: "",
        point: None,
        description: "",
        pipeline_seed: 1,
        device_name: "",
        date: "",
        invocation: &Invocation::default(),
        key: "",
        dir,
        home: dir,
        report_name: "",
        cache: dir,
        addresses: &Addresses::new(dir, None),
        search: &[],
        web: &Web::default(),
        continue_from: None,
        finished: &IndexMap::new(),
        elsewhere: IndexMap::new(),
        stop: &stop,
        lease: None,
        ranks: Ranks::alone(),
        after: None,
    };
    let task = Task::Detection { detector: crate::metrics::DetectorName::Pixels, shape: [1, 1] };
    let ended = run(&mut training, cadence, &task, &context);
    let tells = tells.lock().unwrap().clone();
    (ended, tells)
}

const CADENCE: Cadence<'_> = Cadence {
    microbatch: BATCH as u32,
    rounds: 1,
    duration: 56,
    status: 24,
    checkpoint: 40,
    snapshots: None,
    guard: &Guard::Off(crate::training::guard::Off::Off),
};

/// What `stats.jsonl` holds: images and mean losses.
fn statistics(dir: &Path) -> Vec<[f64; 2]> {
    let lines = stats_jsonl::read(&dir.join("stats.jsonl"));
    lines.iter().map(|line| ["nimg", "loss"].map(|name| line[name].as_f64().unwrap())).collect()
}

#[test]
fn an_iteration_is_read_when_the_next_is_queued_and_before_anybody_looks_at_the_networks() {
    let dir = tempfile::tempdir().unwrap();
    let snapshots: Snapshots =
        serde_json::from_value(serde_json::json!({ "every_kimg": 0.016, "metrics": [] })).unwrap();
    let cadence = Cadence { snapshots: Some(&snapshots), ..CADENCE };
    let (ended, tells) = run_in(dir.path(), cadence, Told::default());
    ended.unwrap();
    let expected = "snapshot 0, queue 8, queue 16, read 8, read 16, save 16, snapshot 16, queue 24, read 24, queue 32, \
        read 32, save 32, snapshot 32, queue 40, read 40, save 40, queue 48, read 48, save 48, snapshot 48, queue 56, \
        read 56, save 56, snapshot 56, save 56";
    assert_eq!(tells.join(", "), expected);
    assert_eq!(statistics(dir.path()), [[24.0, 16.0], [48.0, 40.0], [56.0, 56.0]]);
}

#[test]
fn what_is_under_way_is_read_before_a_stop_and_counts_when_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (ended, tells) = run_in(dir.path(), CADENCE, Told { stops_at: Some(16), ..Told::default() });
    assert!(matches!(ended, Err(Error::Interrupted)));
    assert_eq!(tells.join(", "), "queue 8, queue 16, read 8, read 16, save 16");
    let (ended, tells) = run_in(dir.path(), CADENCE, Told::default());
    ended.unwrap();
    let expected = "queue 24, read 24, queue 32, queue 40, read 32, read 40, save 40, queue 48, read 48, queue 56, read 56, save 56";
    assert_eq!(tells.join(", "), expected);
    assert_eq!(statistics(dir.path()), [[24.0, 16.0], [48.0, 40.0], [56.0, 56.0]]);
}

#[test]
fn a_snapshot_that_was_not_taken_to_its_end_is_taken_when_the_run_goes_on() {
    let snapshots: Snapshots =
        serde_json::from_value(serde_json::json!({ "every_kimg": 0.032, "metrics": [] })).unwrap();
    let cadence = Cadence { snapshots: Some(&snapshots), ..CADENCE };
    let whole = tempfile::tempdir().unwrap();
    let (expected, _) = run_in(whole.path(), cadence, Told::default());
    let expected = expected.unwrap();
    // The first is due before any checkpoint, the last because the training ends.
    for fails_at in [0, 32, 56] {
        let dir = tempfile::tempdir().unwrap();
        let (ended, tells) =
            run_in(dir.path(), cadence, Told { fails_at: Some(fails_at), ..Told::default() });
        assert!(matches!(ended, Err(Error::Interrupted)));
        assert_eq!(*tells.last().unwrap(), format!("snapshot {fails_at}"));
        let (ended, tells) = run_in(dir.path(), cadence, Told::default());
        assert_eq!(tells[0], format!("snapshot {fails_at}"));
        let memory = ended.unwrap();
        assert_eq!(
            Memory { seconds: 0.0, ..memory },
            Memory { seconds: 0.0, ..expected.clone() },
            "as if nothing had been"
        );
        let metrics = |dir: &Path| std::fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
        assert_eq!(metrics(dir.path()), metrics(whole.path()));
    }
}

#[test]
fn a_run_that_diverges_stops_at_its_status_and_what_was_stopped_in_between_is_not_saved() {
    let dir = tempfile::tempdir().unwrap();
    let (ended, tells) = run_in(dir.path(), CADENCE, Told { spoilt_at: Some(32), ..Told::default() });
    assert!(matches!(ended, Err(Error::Diverged { kimg, .. }) if (kimg - 0.048).abs() < 1e-9));
    // No checkpoint of a spoilt period, and no iteration beyond its status.
    let expected = "queue 8, queue 16, read 8, queue 24, read 16, read 24, queue 32, queue 40, read 32, read 40, queue 48, read 48";
    assert_eq!(tells.join(", "), expected);
    let spoilt = Told { spoilt_at: Some(32), stops_at: Some(32), ..Told::default() };
    let (ended, tells) = run_in(tempfile::tempdir().unwrap().path(), CADENCE, spoilt);
    assert!(matches!(ended, Err(Error::Interrupted)));
    assert_eq!(tells.last().unwrap(), "read 32", "nothing was saved");
}
