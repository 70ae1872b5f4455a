//! Several processes work on one run: they come to the bits of one, and end together.
#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(target_os = "linux")]

mod program;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use program::{Bench, Said, json, lines, made_before, signal, wait};

const PIPELINE: &str = "tests/pipelines/quickstart-small.yaml";

/// The command line of the small quickstart, whose trainings several ranks can share.
fn arguments() -> Vec<String> {
    let mut all: Vec<String> = ["run", PIPELINE, "--device", "cpu"].map(str::to_owned).into();
    for stage in ["teacher.train_teacher", "sid.distill", "sida.distill", "sid2a.distill"] {
        all.extend(["--set".to_owned(), format!("stages.{stage}.microbatch_size=4")]);
    }
    all
}

fn run(bench: &Bench, more: &[&str]) -> Said {
    let all = arguments();
    bench.sida(&all.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
}

fn start(bench: &Bench, more: &[&str]) -> Child {
    let all = arguments();
    bench.start(&all.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
}

/// Everything that is the same however many ranks made it, by its place in the store.
fn made(runs: &Path) -> BTreeMap<String, Vec<Vec<u8>>> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, Vec<Vec<u8>>>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() {
                walk(&path, root, found);
            } else if ["safetensors", "npz", "png", "jsonl"].contains(&&*ending) {
                let mut contents = lines(&path);
                if ending == "jsonl" {
                    contents = contents.iter().map(|line| without_ranks(line)).collect();
                }
                found.insert(path.strip_prefix(root).unwrap().display().to_string(), contents);
            } else if path.ends_with("artifact.json") {
                let scores = json(&path)["artifact"]["scores"].to_string().into_bytes();
                found.insert(path.strip_prefix(root).unwrap().display().to_string(), vec![scores]);
            }
        }
    }
    let mut found = BTreeMap::new();
    let store = runs.join("_store");
    walk(&store, &store, &mut found);
    assert!(found.len() > 20, "{:?}", found.keys());
    found
}

/// A line of statistics without what it says of ranks.
fn without_ranks(line: &[u8]) -> Vec<u8> {
    let mut line: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).unwrap();
    line.retain(|name, _| !name.contains("rank"));
    serde_json::to_vec(&line).unwrap()
}

/// What one process makes, from the beginning to the end.
fn of_one() -> &'static Path {
    static RUNS: OnceLock<PathBuf> = OnceLock::new();
    RUNS.get_or_init(|| {
        made_before("of_one_rank", |bench| {
            run(bench, &[]).exits(0);
        })
    })
}

#[track_caller]
fn is_the_same(bench: &Bench) {
    let (found, expected) = (made(&bench.runs()), made(of_one()));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, contents) in &expected {
        assert!(found[name] == *contents, "{name} differs");
    }
}

/// The ranks that a process has started.
fn children(of: &Child) -> Vec<u32> {
    let tasks = format!("/proc/{0}/task/{0}/children", of.id());
    let text = fs::read_to_string(tasks).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Sends a signal; says whether the process was still there.
fn sent(pid: u32, name: &str) -> bool {
    let mut kill = std::process::Command::new("kill");
    kill.args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

fn is_there(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits until a training is under way, and a while longer.
fn until_it_trains(child: &mut Child, runs: &Path, stage: &str, longer: Duration) {
    let begun = |_: &Child| {
        let folders = fs::read_dir(runs.join("_store")).into_iter().flatten().flatten();
        let is_of =
            |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{stage}-"));
        folders
            .map(|entry| entry.path())
            .any(|path| path.is_dir() && is_of(&path) && path.join("stats.jsonl").is_file())
    };
    assert!(wait(child, begun), "it has ended before it trained");
    sleep(longer);
}

#[test]
fn two_and_four_ranks_make_bit_for_bit_what_one_makes() {
    for ranks in ["2", "4"] {
        let bench = Bench::new();
        let said = run(&bench, &["--ranks", ranks]).exits(0);
        is_the_same(&bench);
        // Only the first speaks.
        assert_eq!(said.err.matches("teacher: train_teacher runs").count(), 1, "{}", said.err);
        let stats =
            lines(&program::folder(&bench.runs().join("quickstart-small"), "teacher").join("stats.jsonl"));
        let last: serde_json::Value = serde_json::from_slice(stats.last().unwrap()).unwrap();
        assert_eq!(last["ranks"].as_f64().unwrap().to_string(), ranks);
        assert!(
            last["slowest_rank"].is_number() && last["slowest_rank_takes"].as_f64().unwrap() >= 1.0,
            "{last}"
        );
    }
}

/// As `torchrun` starts them: each with its variables, and at the port that these name somebody listens already.
#[test]
fn ranks_that_somebody_else_starts_find_each_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let bench = Bench::new();
    let all = arguments();
    let start = |rank: &str| {
        let mut command = bench.command(&all.iter().map(String::as_str).collect::<Vec<_>>());
        command.envs([("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2")]);
        command.envs([("MASTER_ADDR", "a-name-that-resolves-nowhere.invalid"), ("MASTER_PORT", &*port)]);
        command.envs([("TORCHELASTIC_RUN_ID", "test"), ("TORCHELASTIC_RESTART_COUNT", "0")]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let [first, second] = ["0", "1"].map(start).map(Said::end);
    first.exits(0);
    let second = second.exits(0);
    assert_eq!((&*second.out, &*second.err), ("", ""), "the first one speaks for all");
    is_the_same(&bench);
}

#[test]
fn a_rank_that_dies_ends_all_and_any_number_of_ranks_goes_on() {
    let bench = Bench::new();
    for (ranks, stage, longer) in [("2", "teacher", 150), ("4", "sid", 50), ("2", "sida", 100)] {
        let mut child = start(&bench, &["--ranks", ranks]);
        until_it_trains(&mut child, &bench.runs(), stage, Duration::from_millis(longer));
        let Some(&victim) = children(&child).last() else { panic!("there are no ranks") };
        let began = Instant::now();
        assert!(sent(victim, "KILL"));
        let said = Said::end(child).exits(1);
        assert!(began.elapsed() < Duration::from_secs(30));
        let last: usize = ranks.parse().unwrap();
        said.complains(&[&format!("rank {} on `", last - 1), "is lost", "the same command continues"]);
    }
    run(&bench, &[]).exits(0);
    is_the_same(&bench);
}

#[test]
fn the_first_rank_can_die_too_and_nobody_is_left() {
    let bench = Bench::new();
    let mut child = start(&bench, &["--ranks", "3"]);
    // Three do not share 64.
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let mut child = start(&bench, &["--ranks", "2"]);
    until_it_trains(&mut child, &bench.runs(), "teacher", Duration::from_millis(100));
    let others = children(&child);
    signal(&child, "KILL");
    child.wait().unwrap();
    let began = Instant::now();
    while others.iter().any(|pid| is_there(*pid)) {
        assert!(began.elapsed() < Duration::from_secs(30), "a rank is left");
        sleep(Duration::from_millis(20));
    }
    run(&bench, &["--ranks", "2"]).exits(0);
    is_the_same(&bench);
}

#[test]
fn a_stop_of_any_rank_saves_once_and_ends_all() {
    let bench = Bench::new();
    for (of_first, stage) in [(false, "teacher"), (true, "sid")] {
        let mut child = start(&bench, &["--ranks", "2"]);
        until_it_trains(&mut child, &bench.runs(), stage, Duration::from_millis(100));
        let others = children(&child);
        assert!(sent(if of_first { child.id() } else { others[0] }, "TERM"));
        let said = Said::end(child).exits(130).complains(&["interrupted: the state is saved"]);
        assert_eq!(said.err.matches("interrupted").count(), 1, "{}", said.err);
        assert!(others.iter().all(|pid| !is_there(*pid)), "a rank is left");
    }
    run(&bench, &["--ranks", "2"]).exits(0);
    is_the_same(&bench);
}

/// Stopped nine tenths of the time.
#[test]
fn a_slow_rank_only_slows() {
    let bench = Bench::new();
    let mut child = start(&bench, &["--ranks", "2", "--until", "teacher"]);
    until_it_trains(&mut child, &bench.runs(), "teacher", Duration::ZERO);
    let slow = children(&child)[0];
    while is_there(slow) && child.try_wait().unwrap().is_none() {
        sent(slow, "STOP");
        sleep(Duration::from_millis(90));
        sent(slow, "CONT");
        sleep(Duration::from_millis(10));
    }
    Said::end(child).exits(0);
    run(&bench, &[]).exits(0);
    is_the_same(&bench);
}

#[test]
fn what_cannot_be_shared_is_a_mistake_with_what_would_fit() {
    let bench = Bench::new();
    let all = arguments();
    let of = |more: &[&str]| {
        bench.sida(&all.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let said = of(&["--ranks", "3"]).exits(2);
    assert!(
        said.err.contains("`batch_size` 64 is 16 micro-batches of 4, which 3 ranks cannot share equally"),
        "{}",
        said.err
    );
    assert!(said.err.contains("or start 2, 4, 8, 16 ranks"), "{}", said.err);
    let said = bench.sida(&["run", PIPELINE, "--device", "cpu", "--ranks", "4"]).exits(2);
    assert!(said.err.contains("`microbatch_size` could be 16, 8, 4"), "{}", said.err);
    assert!(said.err.contains("quickstart-small.yaml:"), "with its place: {}", said.err);
    assert!(!bench.runs().join("_store").exists(), "nothing was begun");
}

#[test]
fn what_the_environment_says_wrong_is_said() {
    let bench = Bench::new();
    let all = arguments();
    let with = |variables: &[(&str, &str)], more: &[&str]| {
        let mut command =
            bench.command(&all.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>());
        command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Said::end(command.spawn().unwrap()).exits(2)
    };
    let one = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "29400")];
    with(&one, &["--ranks", "2"]).complains(&["leave `--ranks` out"]);
    with(&one[..1], &[]).complains(&["`WORLD_SIZE`", "only one is set"]);
    with(&[&one[..2], &[("MASTER_ADDR", "10.0.0.1"), ("MASTER_PORT", "29400")]].concat(), &[])
        .complains(&["SIDA_SECRET"]);
}

/// Ranks of one run that were started with another seed, as one machine of several may be.
#[test]
fn ranks_that_differ_are_told_the_same() {
    let bench = Bench::new();
    let all = arguments();
    let start = |rank: &str| {
        let seed = format!("seed={rank}");
        let mut command =
            bench.command(&all.iter().map(String::as_str).chain(["--set", &seed]).collect::<Vec<_>>());
        command.envs([("SLURM_PROCID", rank), ("SLURM_NTASKS", "2"), ("SLURM_LOCALID", rank)]);
        command.envs([("SLURM_JOB_NODELIST", "n[1-2]"), ("SLURM_NNODES", "1"), ("SLURM_JOB_ID", "seeds")]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for said in ["0", "1"].map(start).map(Said::end) {
        said.exits(2).complains(&["the ranks differ in", "rank 0 has", "rank 1 on `"]);
    }
}

/// `SIDA_KILLS=50` kills as often as that.
#[test]
fn kills_of_any_rank_at_any_moment_lose_nothing() {
    let kills: u32 = std::env::var("SIDA_KILLS").map_or(6, |text| text.parse().unwrap());
    // Which rank, and when: the same in every run of this test, as far as a machine lets it.
    let mut draw = 1u64;
    let mut next = |below: u64| {
        draw = draw.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (draw >> 33) % below
    };
    let mut bench = Bench::new();
    let mut killed = 0;
    while killed < kills {
        let ranks = [2, 4, 2, 8][next(4) as usize];
        let mut child = start(&bench, &["--ranks", &ranks.to_string()]);
        sleep(Duration::from_millis(100 + next(1200)));
        let victim = next(ranks);
        let pids = [&[child.id()][..], &children(&child)].concat();
        let pid = pids[(victim as usize).min(pids.len() - 1)];
        if child.try_wait().unwrap().is_none() && is_there(pid) && sent(pid, "KILL") {
            killed += 1;
            let ended = Said::end(child);
            assert!(matches!(ended.code, None | Some(1)), "{:?}: {}", ended.code, ended.err);
            let began = Instant::now();
            while pids.iter().any(|pid| is_there(*pid)) {
                assert!(began.elapsed() < Duration::from_secs(30), "a rank is left");
                sleep(Duration::from_millis(20));
            }
        } else {
            Said::end(child).exits(0);
            is_the_same(&bench);
            bench = Bench::new();
        }
    }
    run(&bench, &[]).exits(0);
    is_the_same(&bench);
}

#[test]
fn sums_in_another_order_are_said() {
    let bench = Bench::new();
    let of = |micro: &str| {
        let micro = format!("stages.teacher.train_teacher.microbatch_size={micro}");
        let set = ["--set", "stages.teacher.train_teacher.batch_size=48", "--set", &micro];
        let only = ["run", PIPELINE, "--device", "cpu", "--until", "teacher", "--ranks", "2"];
        bench.sida(&[&only[..], &set].concat()).exits(0).err
    };
    // Three micro-batches each are no sum of the tree's own; four are.
    assert!(
        of("8").contains("2 ranks add up the gradients of 6 micro-batches in another order than one rank")
    );
    assert!(!of("6").contains("another order"));
}

/// As on two machines with copies of a dataset that are not the same.
#[test]
fn ranks_that_read_other_files_do_not_go_on() {
    let bench = Bench::new();
    let file = bench.write("t.yaml", program::TEACHER.replace("datasets/digits-8x8.zip", "data/digits.zip"));
    for rank in ["0", "1"] {
        let folder = bench.path(rank).join("data");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(program::root().join("datasets/digits-8x8.zip"), folder.join("digits.zip")).unwrap();
    }
    swap_two_images(&bench.path("1").join("data/digits.zip"));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let start = |rank: &str| {
        let micro = "stages.teacher.train_teacher.microbatch_size=16";
        let mut command = bench.command(&["run", &file, "--device", "cpu", "--set", micro]);
        command.current_dir(bench.path(rank)).envs([
            ("RANK", rank),
            ("WORLD_SIZE", "2"),
            ("LOCAL_RANK", rank),
        ]);
        command.envs([("MASTER_ADDR", "localhost"), ("MASTER_PORT", &*port)]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for said in ["0", "1"].map(start).map(Said::end) {
        said.exits(1).complains(&[
            "rank 1 on `",
            "the key of `teacher` is",
            "a file that it reads is another one here",
        ]);
    }
}

fn swap_two_images(path: &Path) {
    let mut archive = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let mut entries = Vec::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        entries.push((entry.name().unwrap().into_owned(), bytes));
    }
    let images: Vec<usize> = (0..entries.len())
        .filter(|i| Path::new(&entries[*i].0).extension() == Some("png".as_ref()))
        .collect();
    let other = images.iter().find(|i| entries[**i].1 != entries[images[0]].1).unwrap();
    let (first, second) = (entries[images[0]].1.clone(), entries[*other].1.clone());
    (entries[images[0]].1, entries[*other].1) = (second, first);
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in entries {
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file(name, stored).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    writer.finish().unwrap();
}
