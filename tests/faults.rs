//! Any call that opens, writes, renames or syncs may fail: the run ends with a clear error or with the right result, and the next
//! one heals what is left. 100 faults by a seed (`SIDA_FAULTS_SEED`); `SIDA_FAULTS=all` tries every call.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(target_os = "linux")]

mod program;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use program::{Bench, Said, TEACHER, lines, root};

const FAULTS: usize = 100;

/// What comes after a teacher.
const REST: &str = "
  sid:
    distill:
      teacher: teacher
      dataset: digits
      method: { sid: { alpha: 1.0 } }
      duration_kimg: 0.128
      batch_size: 32
      augment: 0
      status_every_kimg: 0.064
      checkpoint_every_kimg: 0.064
      snapshots: { every_kimg: 0.064, metrics: [{ frechet_distance: { detector: pixels, images: 20 } }] }
  images: { generate: { network: sid, images: 4 } }
  scores:
    evaluate:
      network: sid
      reference: digits
      metrics: [{ frechet_distance: { detector: pixels, images: 50 } }]
      expect: [{ metric: fd_pixels_50, at_most: 1000 }]
  table:
    report: { caption: Digits, columns: [nfe, fd_pixels_50], rows: [{ label: SiD, scores: { stage: scores }, images: images }] }
";

/// The system's errors, and whether all later calls of the kind fail with the first.
const ERRORS: [(&str, i32, bool); 5] = [
    ("EIO", 5, false),
    ("ENOSPC", 28, true),
    ("EDQUOT", 122, false),
    ("EACCES", 13, true),
    ("EROFS", 30, false),
];

/// The library that makes calls fail, compiled by what links Rust programs.
fn library() -> PathBuf {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fail.so");
    let source = root().join("tests/faults/fail.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    library
}

/// What is asked of the library.
#[derive(Clone, Copy, Debug)]
struct Fault {
    /// Which call, from 1 on.
    at: usize,
    error: (&'static str, i32, bool),
}

/// Runs the pipeline with a fault or without; counts the calls.
fn run(bench: &Bench, library: &Path, fault: Option<Fault>) -> (Said, usize) {
    let count = bench.path("count");
    let plain = bench.command(&["run", &bench.path("p.yaml").display().to_string(), "--device", "cpu"]);
    let mut command = Command::new(plain.get_program());
    command
        .args(plain.get_args())
        .current_dir(root())
        .envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.env("RAYON_NUM_THREADS", "1").env("LD_PRELOAD", library).env("FAIL_BELOW", bench.runs());
    command.env("FAIL_COUNT", &count);
    if let Some(Fault { at, error: (_, number, on) }) = fault {
        command.env("FAIL_AT", at.to_string()).env("FAIL_WITH", number.to_string());
        command.env("FAIL_ON", u8::from(on).to_string());
    }
    let said = Said::end(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let count = fs::read_to_string(count).map_or(0, |text| text.trim().parse().unwrap());
    (said, count)
}

/// What a run leaves that others use: weights, images, scores, tables; without what is about time.
fn made(bench: &Bench) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut made = BTreeMap::new();
    let mut folders = vec![bench.runs()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            // A pipeline's folder refers to the store, by links or in another way.
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(bench.runs()).unwrap().display().to_string();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if ["safetensors", "png", "npz", "csv", "tex", "jsonl"].contains(&ending) {
                made.insert(name, lines(&path));
            }
        }
    }
    made
}

/// What is wrong with how a run ended that met with a fault, and with what the next one made of it.
fn trial(library: &Path, fault: Fault, expected: &BTreeMap<String, Vec<Vec<u8>>>) -> Result<(), String> {
    let bench = Bench::new();
    bench.write("p.yaml", format!("{TEACHER}{REST}"));
    let (said, _) = run(&bench, library, Some(fault));
    let last = said.err.trim_end().lines().last().unwrap_or_default().to_owned();
    match said.code {
        Some(0) if made(&bench) == *expected => {}
        Some(0) => return Err("it ended well, with other results".to_owned()),
        Some(1) if last.starts_with("error: ") && !said.err.contains("panicked") => {}
        code => return Err(format!("it ended with {code:?}:\n{}", said.err)),
    }
    let (healed, _) = run(&bench, library, None);
    if healed.code != Some(0) {
        return Err(format!(
            "the first run: {last}; the next one ended with {:?}:\n{}",
            healed.code, healed.err
        ));
    }
    let made = made(&bench);
    let differs = expected.iter().find(|(name, bytes)| made.get(*name) != Some(bytes));
    let more = made.keys().find(|name| !expected.contains_key(*name));
    match (differs, more) {
        (Some((name, _)), _) => Err(format!("the first run: {last}; the next one made another `{name}`")),
        (None, Some(name)) => Err(format!("the first run: {last}; the next one left `{name}`")),
        (None, None) => Ok(()),
    }
}

/// A generator of numbers, the same for the same seed.
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

#[test]
fn whichever_call_fails_the_run_ends_clearly_and_the_next_one_heals() {
    let library = library();
    let bench = Bench::new();
    bench.write("p.yaml", format!("{TEACHER}{REST}"));
    let (said, calls) = run(&bench, &library, None);
    said.exits(0);
    assert!(calls > 200, "{calls} calls: the library sees what the program does");
    let expected = made(&bench);
    assert!(expected.len() > 10, "{:?}", expected.keys());
    let faults: Vec<Fault> = if env::var("SIDA_FAULTS").is_ok_and(|faults| faults == "all") {
        (1..=calls).map(|at| Fault { at, error: ERRORS[at % ERRORS.len()] }).collect()
    } else {
        let seed = env::var("SIDA_FAULTS_SEED").map_or(1, |seed| seed.parse().unwrap());
        let mut number = numbers(seed);
        (0..FAULTS).map(|_| Fault { at: 1 + number(calls), error: ERRORS[number(ERRORS.len())] }).collect()
    };
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().map_or(1, |threads| threads.get().min(8));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = trial(&library, *fault, &expected) {
                        wrong.lock().unwrap().push(format!("{fault:?}: {problem}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} faults:\n{}", wrong.len(), faults.len(), wrong.join("\n\n"));
}
