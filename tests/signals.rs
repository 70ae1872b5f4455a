//! What signals do to the real program, and limits of the system: it ends in time, in words, and loses nothing.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

mod program;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use program::{Bench, Said, TEACHER, folder, signal, wait, works_in};

/// A machine may be busy: so many times as long as is promised.
const BUSY: u32 = 3;

/// Iterations of 64 micro-batches in each phase.
const DISTILLATION: &str = "
  sid:
    distill:
      teacher: teacher
      dataset: digits
      method: { sid: { alpha: 1.0 } }
      generator: { lr: 1.0e-3 }
      fake_score: { lr: 1.0e-3 }
      duration_kimg: 3
      batch_size: 1024
      microbatch_size: 16
      augment: 0
      status_every_kimg: 1
      checkpoint_every_kimg: 1000
      snapshots: { every_kimg: 1000 }
";

/// One micro-batch, which takes a minute.
const LONG_STEP: &str = "
  step:
    train_teacher: { dataset: digits, network: { ddpmpp: { img_resolution: 8, img_channels: 1, label_dim: 10, model_channels: 64 } },
      duration_kimg: 60, batch_size: 20000, augment: 0 }
";

fn ends_within(child: Child, promised: Duration) -> Said {
    let asked = Instant::now();
    let said = Said::end(child);
    assert!(asked.elapsed() < promised * BUSY, "it took {:?}\n{}", asked.elapsed(), said.err);
    said
}

/// What a training hands on, and where it ended.
fn weights(runs: &Path, stage: &str) -> Vec<u8> {
    let dir = folder(&runs.join("p"), stage);
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let is_weights = |name: &str| name.ends_with(".safetensors");
    files.retain(|path| is_weights(path.file_name().unwrap().to_str().unwrap()));
    assert!(!files.is_empty());
    files.iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Whether the newest checkpoint is of the middle of an iteration.
fn is_half(dir: &Path) -> bool {
    let checkpoints = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    let newest = checkpoints.filter(|path| path.join("state.safetensors").is_file()).max();
    let state = newest.map(|path| fs::read(path.join("state.safetensors")).unwrap());
    state.is_some_and(|state| state.windows(16).any(|name| name == b"fake_score_phase"))
}

#[test]
fn a_long_step_is_stopped_in_its_middle_and_ends_with_the_same_bits() {
    let (whole, stopped) = (Bench::new(), Bench::new());
    let text = format!("{TEACHER}{DISTILLATION}");
    let file = whole.write("p.yaml", &text);
    whole.sida(&["run", &file]).exits(0);
    let file = stopped.write("p.yaml", &text);
    stopped.sida(&["run", &file, "--until", "teacher"]).exits(0);
    let (mut stops, mut halves) = (0, 0);
    for moment in 1..40 {
        let mut child = stopped.start(&["run", &file]);
        wait(&mut child, |child| works_in(child, &stopped.runs()));
        sleep(Duration::from_millis(97 * moment));
        if child.try_wait().unwrap().is_some() {
            Said::end(child).exits(0);
            break;
        }
        let how = ["TERM", "QUIT", "INT"][moment as usize % 3];
        signal(&child, how);
        let said = ends_within(child, Duration::from_secs(2));
        if said.code == Some(0) {
            break;
        }
        said.exits(130).complains(&["interrupted"]);
        stops += 1;
        halves += usize::from(is_half(&folder(&stopped.runs().join("p"), "sid")));
    }
    assert!(stops > 3 && halves > 0, "{stops} stops, {halves} of them between the phases of an iteration");
    assert_eq!(weights(&stopped.runs(), "sid"), weights(&whole.runs(), "sid"));
}

#[test]
fn whatever_is_under_way_ends_within_two_seconds() {
    let bench = Bench::new();
    // One batch of an evaluation takes a minute; so does one of a training, which is cut off.
    let long = "
  scores:
    evaluate: { network: teacher, batch_size: 20000, sampler: { edm: { num_steps: 40 } }, reference: digits,
      metrics: [{ frechet_distance: { detector: pixels, images: 20000 } }] }
  images:
    generate: { network: teacher, images: 20000, batch_size: 20000, sampler: { edm: { num_steps: 40 } } }
";
    let file = bench.write("p.yaml", format!("{TEACHER}{long}{LONG_STEP}"));
    bench.sida(&["run", &file, "--until", "teacher"]).exits(0);
    for (stage, seconds, words) in
        [("scores", 2, "what is finished is saved"), ("images", 2, "is saved"), ("step", 5, "long step")]
    {
        let mut child = bench.start(&["run", &file, "--only", stage]);
        assert!(wait(&mut child, |child| works_in(child, &bench.runs())));
        sleep(Duration::from_millis(1500));
        signal(&child, "TERM");
        ends_within(child, Duration::from_secs(seconds)).exits(130).complains(&["interrupted", words]);
    }
}

#[test]
fn the_second_ctrl_c_ends_it_at_once_but_one_that_arrives_twice_is_one() {
    let bench = Bench::new();
    let text = TEACHER.replace("duration_kimg: 0.3", "duration_kimg: 100");
    let file = bench.write("p.yaml", text);
    let start = || {
        let mut child = bench.start(&["run", &file]);
        let checkpoint = |_: &Child| {
            let dirs = program::folders(&bench.runs().join("p"), "teacher");
            dirs.iter().any(|dir| fs::read_dir(dir).unwrap().flatten().any(|e| e.file_name() != "stage.json"))
        };
        assert!(wait(&mut child, |child| works_in(child, &bench.runs()) && checkpoint(child)));
        child
    };
    // As `timeout` sends it, to the process and to its group.
    let child = start();
    signal(&child, "INT");
    signal(&child, "INT");
    ends_within(child, Duration::from_secs(2)).exits(130).complains(&["interrupted"]);
    // Somebody is impatient while a long step goes on.
    let long = bench.write("p.yaml", format!("{TEACHER}{LONG_STEP}"));
    let mut child = bench.start(&["run", &long, "--only", "step"]);
    assert!(wait(&mut child, |child| works_in(child, &bench.runs())));
    sleep(Duration::from_millis(1500));
    signal(&child, "INT");
    sleep(Duration::from_millis(300));
    signal(&child, "INT");
    ends_within(child, Duration::from_millis(500)).exits(130).complains(&["interrupted twice"]);
    bench.sida(&["verify", bench.runs().to_str().unwrap()]).exits(0);
}

#[test]
fn under_nohup_the_end_of_the_terminal_is_nothing() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", TEACHER.replace("duration_kimg: 0.3", "duration_kimg: 100"));
    let plain = bench.command(&["run", &file]);
    let mut command = Command::new("nohup");
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(plain.get_current_dir().unwrap());
    command.env("SIDA_RUNS", bench.runs()).env("SIDA_CACHE", bench.path("cache"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(wait(&mut child, |child| works_in(child, &bench.runs())));
    signal(&child, "HUP");
    sleep(Duration::from_millis(2500));
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    signal(&child, "TERM");
    ends_within(child, Duration::from_secs(2)).exits(130);
}

/// Runs the program under a limit of the shell's.
fn limited(bench: &Bench, limit: &str, arguments: &[&str]) -> Said {
    let plain = bench.command(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(plain.get_current_dir().unwrap());
    command.env("SIDA_RUNS", bench.runs()).env("SIDA_CACHE", bench.path("cache"));
    Said::end(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

#[test]
fn limits_of_the_system_are_said_and_the_next_run_heals() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", TEACHER);
    // Checkpoints do not fit; then nothing large does.
    let said = limited(&bench, "-f 8", &["run", &file]);
    said.exits(1).complains(&["ulimit -f", "the same command continues"]);
    let large = bench.write("large.yaml", TEACHER.replace("batch_size: 32", "batch_size: 200000"));
    let said = limited(
        &bench,
        "-v 1500000",
        &["run", &large, "--set", "stages.teacher.train_teacher.duration_kimg=300"],
    );
    said.exits(1).complains(&["out of memory", "microbatch_size"]);
    bench.sida(&["run", &file]).exits(0);
}
