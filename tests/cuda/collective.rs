//! Sums over processes: what one asks of the driver; and, emulated, two processes that sum, learn, and lose each other.

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::{
    program, rank,
    trace::{self, Trace},
};

/// After which a process hangs. A loaded machine compiles the kernels of two networks meanwhile.
const DEADLINE: Duration = Duration::from_mins(5);

/// With the null driver.
pub(crate) fn counted() -> Vec<Trial> {
    vec![
        Trial::test("a sum over processes is one collective and nothing else", one_collective),
        Trial::test("doctor says whether NCCL is there", doctor),
    ]
}

/// With the emulator.
pub(crate) fn emulated() -> Vec<Trial> {
    let trial = |name, test: fn() -> Result<(), Failed>| Trial::test(name, test);
    vec![
        trial("two processes sum", || all_well("sums", "")),
        trial("two processes learn what one learns", || all_well("learns", "within")),
        trial("two ranks of the program train as one does on a CPU, with NCCL and without", program_trains),
        trial("a rank that dies leaves no numbers", || {
            let [first, second] = two("dies", [2, 2])?;
            said(&first, "lost")?;
            said(&second, "")
        }),
        trial("ranks that do not sum the same get no numbers", || all_well("differs", "lost")),
        trial("ranks that do not agree how many they are do not join", || {
            let [first, second] = two("joins-otherwise", [2, 3])?;
            said(&first, "NCCL does not join as rank 0 of 2 at 127.0.0.1:")?;
            said(&second, "NCCL does not join as rank 1 of 3 at 127.0.0.1:")
        }),
        trial("ranks that did not join get no numbers", || {
            let [first, second] = two("goes-on", [2, 3])?;
            said(&first, "lost").and_then(|()| said(&second, "lost"))
        }),
        trial("a rank waits for the others for so long", || {
            let began = Instant::now();
            for rank in [0, 1] {
                let alone = ended(begin("waits", rank, 2, free_port()?)?)?;
                said(&alone, &format!("NCCL waited 1 s for the others as rank {rank} of 2 at 127.0.0.1:"))?;
            }
            if began.elapsed() < DEADLINE { Ok(()) } else { Err("it does not end".into()) }
        }),
    ]
}

fn one_collective() -> Result<(), Failed> {
    let file = tempfile::NamedTempFile::new()?;
    let done = Command::new(env::current_exe()?)
        .env(rank::ASKED, "counts 1 2 127.0.0.1:1")
        .env(trace::VARIABLE, file.path())
        .output()?;
    said(&done, "mark")?;
    let text = fs::read_to_string(file.path())?;
    let said = String::from_utf8_lossy(&done.stdout);
    let marks = said.lines().filter_map(|line| line.strip_prefix("mark ")?.parse::<usize>().ok());
    let marks: Vec<usize> = marks.collect();
    let [begin, nothing, own, shared] = marks[..] else { return Err(format!("{marks:?}").into()) };
    // To mark is to wait.
    let waits = Trace::read(&text[begin..nothing]).waits;
    for (lines, copies) in [(&text[nothing..own], 0), (&text[own..shared], 1)] {
        let found = Trace::read(lines);
        let others = [found.reads.len(), found.uploads.len(), found.copies, found.waits - waits];
        if (found.collectives, found.launches()) != (1, copies) || others != [0; 4] {
            return Err(format!("one collective and {copies} launches were to be seen in\n{lines}").into());
        }
        // NCCL's stream waits for that of the kernels, which then waits for NCCL's.
        let of = |what: &str| lines.lines().filter_map(|line| line.strip_prefix(what)).collect::<Vec<_>>();
        let (streams, summed) = (of("wait stream "), of("collective all_reduce 100000 f32 stream "));
        let [before, after] = streams[..] else { return Err(lines.into()) };
        let [(there, kernels), (kernels_again, there_again)] =
            [before, after].map(|streams| streams.split_once(" for ").unwrap_or_default());
        if summed != [there] || (there, kernels) != (there_again, kernels_again) || there == kernels {
            return Err(format!("streams do not wait for each other in\n{lines}").into());
        }
    }
    if text.contains("\njoin 1 of 2\n") { Ok(()) } else { Err(text.into()) }
}

fn doctor() -> Result<(), Failed> {
    let libraries = env::var("LD_LIBRARY_PATH")?;
    let driver = Path::new(libraries.split(':').next().unwrap_or_default());
    let without = without_nccl()?;
    for (folder, version) in [(driver, Some("2.27.0")), (without.path(), None)] {
        let sida = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sida"));
            command.args(["doctor", "--device", "cuda:0"]).args(arguments).env("LD_LIBRARY_PATH", folder);
            command.env("SIDA_CACHE", without.path().join("cache")).output()
        };
        // No kernel runs, and so the self-test fails.
        let found: Value = serde_json::from_slice(&sida(&["--json"])?.stdout)?;
        if found["NCCL"] != version.map_or(Value::Null, Value::from) {
            return Err(format!("not {version:?}: {found}").into());
        }
        let text = String::from_utf8_lossy(&sida(&[])?.stdout).into_owned();
        let words = version.unwrap_or("`libnccl.so` was not found");
        let line = text.lines().find(|line| line.trim_start().starts_with("NCCL"));
        if !line.is_some_and(|line| line.contains(words)) {
            return Err(format!("no `{words}` in\n{text}").into());
        }
    }
    Ok(())
}

fn program_trains() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("t.yaml");
    fs::write(&file, program::TEACHER)?;
    let sida = |runs: &Path, device: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sida"));
        command.arg("run").arg(&file).args(["--device", device]).current_dir(program::root());
        for setting in ["duration_kimg=0.1", "status_every_kimg=0.05", "microbatch_size=16"] {
            command.args(["--set", &format!("stages.teacher.train_teacher.{setting}")]);
        }
        command.env("SIDA_RUNS", runs).env("SIDA_CACHE", folder.path().join("cache"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let losses = |runs: &Path| -> Result<Vec<f64>, Failed> {
        let stages =
            fs::read_dir(runs.join("_store"))?.flatten().map(|entry| entry.path().join("stats.jsonl"));
        let text = stages.filter_map(|path| fs::read_to_string(path).ok()).collect::<String>();
        let line = |line| serde_json::from_str::<Value>(line).ok()?["loss"].as_f64();
        Ok(text.lines().filter_map(line).collect())
    };
    let alone = folder.path().join("alone");
    said(&sida(&alone, "cpu").output()?, "")?;
    let expected = losses(&alone)?;
    let without = without_nccl()?;
    let libraries = env::var("LD_LIBRARY_PATH")?;
    for (name, libraries, words) in [
        ("with", &*libraries, ""),
        ("without", without.path().to_str().unwrap_or_default(), "rank 0 finds no NCCL"),
    ] {
        let (runs, port) = (folder.path().join(name), free_port()?.to_string());
        let begin = |rank: &str| {
            let mut command = sida(&runs, "cuda");
            command.env("LD_LIBRARY_PATH", libraries).envs([("RANK", rank), ("LOCAL_RANK", rank)]);
            command.envs([("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2")]);
            command.envs([("MASTER_ADDR", "localhost"), ("MASTER_PORT", &*port)]);
            command.spawn()
        };
        let (first, second) = (begin("0")?, begin("1")?);
        let second = thread::spawn(|| ended(second));
        let first = ended(first)?;
        let second = second.join().expect("it waits")?;
        said(&first, "2 stages ran").and_then(|()| said(&second, ""))?;
        let warned = String::from_utf8_lossy(&first.stderr).into_owned();
        let found = losses(&runs)?;
        let near = |(found, expected): (&f64, &f64)| (found - expected).abs() < 1e-5 * expected.abs();
        if found.len() != 2 || !found.iter().zip(&expected).all(near) || !warned.contains(words) {
            return Err(format!("{name} NCCL: {found:?} instead of {expected:?}\n{warned}").into());
        }
    }
    Ok(())
}

/// A folder with the driver's libraries but for NCCL.
fn without_nccl() -> Result<tempfile::TempDir, Failed> {
    let libraries = env::var("LD_LIBRARY_PATH")?;
    let driver = Path::new(libraries.split(':').next().unwrap_or_default());
    let without = tempfile::tempdir()?;
    for name in ["libcuda.so", "libcuda.so.1", "libnvrtc.so"] {
        std::os::unix::fs::symlink(driver.join(name), without.path().join(name))?;
    }
    Ok(without)
}

/// Two ranks do something, and it goes well for both; each says these words.
fn all_well(what: &str, words: &str) -> Result<(), Failed> {
    let [first, second] = two(what, [2, 2])?;
    said(&first, words).and_then(|()| said(&second, words))
}

/// Two ranks, each of which believes that there are so many.
fn two(what: &str, ranks: [usize; 2]) -> Result<[Output; 2], Failed> {
    let port = free_port()?;
    let (first, second) = (begin(what, 0, ranks[0], port)?, begin(what, 1, ranks[1], port)?);
    let second = thread::spawn(|| ended(second));
    Ok([ended(first)?, second.join().expect("it waits")?])
}

fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn begin(what: &str, rank: usize, ranks: usize, port: u16) -> Result<Child, Failed> {
    let mut command = Command::new(env::current_exe()?);
    command.env(rank::ASKED, format!("{what} {rank} {ranks} 127.0.0.1:{port}"));
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// What a process said, when it has ended; one that does not end is ended.
fn ended(mut child: Child) -> Result<Output, Failed> {
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > DEADLINE {
            child.kill()?;
            let output = child.wait_with_output()?;
            return Err(format!("a rank hangs: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(child.wait_with_output()?)
}

fn said(output: &Output, words: &str) -> Result<(), Failed> {
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && text.contains(words) {
        print!("{text}");
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}, no `{words}`: {text}\n{error}", output.status).into())
}
