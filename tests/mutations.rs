//! Damaged files of every kind, in the readers themselves: they answer, never panic, stay within time and memory, say what is
//! wrong in words that no terminal obeys, and write nothing but what they were asked for.
//!
//! `SIDA_MUTATIONS=1000000 cargo test --release --test mutations` for a night; `SIDA_MUTATIONS_SEED` for other ones.
//! A million of seed 20261127 took 38 minutes on two cores and found nothing.
#![expect(unreachable_pub, clippy::unwrap_used, reason = "part of a test, which may fail and has no outside")]

#[path = "mutations/edit.rs"]
mod edit;
#[path = "mutations/random.rs"]
mod random;
#[path = "mutations/targets.rs"]
mod targets;

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use random::Random;
use sida::terminal;
use targets::{Target, all};

/// In CI, in a minute.
const USUAL: usize = 20_000;
/// None of the files is larger than half a megabyte; this allows for a machine that others work on.
const SLOWEST: Duration = Duration::from_secs(10);
/// Whoever takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(2);
const MEMORY: u64 = 1 << 30;

fn asked(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().map_or(usual, |number| number.parse().expect("a number"))
}

/// What is wrong with how a damaged file was read.
fn judged(target: &Target, bytes: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let started = Instant::now();
    let said = catch_unwind(AssertUnwindSafe(|| target.read(&inside, bytes)));
    let (took, left) = (started.elapsed(), fs::read_dir(folder.path()).unwrap().count());
    match said {
        Err(_) => Some("it panicked".to_owned()),
        Ok(_) if took > SLOWEST => Some(format!("it took {took:?}")),
        Ok(_) if left != 1 => Some("something was written outside".to_owned()),
        Ok(said) => said.into_iter().find(|said| said.contains(terminal::is_obeyed)),
    }
}

fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[test]
fn damaged_files_of_every_kind() {
    let (count, seed) = (asked("SIDA_MUTATIONS", USUAL), asked("SIDA_MUTATIONS_SEED", 1) as u64);
    let targets = all();
    let weights: Vec<usize> =
        targets.iter().enumerate().flat_map(|(i, target)| vec![i; target.weight]).collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    let workers = thread::available_parallelism().map_or(1, usize::from).min(4);
    let running: Vec<Mutex<Option<(usize, Instant)>>> = (0..workers).map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for slot in &running {
            let work = || loop {
                let case = next.fetch_add(1, Ordering::Relaxed);
                if case >= count || found.lock().unwrap().len() > 20 {
                    *slot.lock().unwrap() = None;
                    break;
                }
                *slot.lock().unwrap() = Some((case, Instant::now()));
                let mut random = Random(seed.wrapping_mul(0x1000_0000_01b3).wrapping_add(case as u64));
                let target = &targets[*random.pick(&weights)];
                let bytes = target.made(&mut random);
                if let Some(problem) = judged(target, &bytes) {
                    found
                        .lock()
                        .unwrap()
                        .insert(case, format!("{}: {problem}; {}", target.name, kept(target, case, &bytes)));
                }
            };
            scope.spawn(work);
        }
        while running.iter().any(|slot| slot.lock().unwrap().is_some())
            || next.load(Ordering::Relaxed) < count
        {
            thread::sleep(Duration::from_millis(50));
            for slot in &running {
                if let Some((case, since)) = *slot.lock().unwrap() {
                    assert!(since.elapsed() < PATIENCE, "case {case} of seed {seed} hangs");
                }
            }
            if found.lock().unwrap().len() > 20 {
                break;
            }
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "of {count} mutations of seed {seed}: {found:#?}");
    assert!(peak_memory().is_none_or(|peak| peak < MEMORY), "{:?} bytes at once", peak_memory());
}

/// Keeps a file that was read badly, for whoever mends it.
fn kept(target: &Target, case: usize, bytes: &[u8]) -> String {
    let path =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{case}", target.name.replace(' ', "-")));
    fs::write(&path, bytes).map_or_else(|error| error.to_string(), |()| path.display().to_string())
}
