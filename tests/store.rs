//! One store: finished work is found wherever it was made, damage is noticed and mended, processes share the work.
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![cfg(unix)]

mod program;

use std::{
    fs::{self, File},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Child,
    thread::sleep,
    time::Duration,
};

use program::{Bench, SCORES, Said, TEACHER, folder, json, lines, serve, signal, wait, works_in};

const SAMPLES: &str = "
  samples:
    generate: { network: teacher, sampler: { edm: { num_steps: 2 } }, seeds: 0-7 }
";

fn pipeline() -> String {
    format!("{TEACHER}  {}{SCORES}", SAMPLES.trim_start_matches("\n  "))
}

fn scores(report: &Path) -> String {
    json(report)["table"]["rows"].to_string()
}

#[test]
fn a_table_shows_what_the_checked_in_file_means_and_not_the_newest_run() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    let table = bench.write(
        "t.yaml",
        "stages:\n  table:\n    report: { caption: T, columns: [fd_pixels_100], rows: [{ label: A, scores: { pipeline: p, stage: scores } }] }\n",
    );
    let shown = || {
        bench.sida(&["run", &table]).exits(0);
        scores(&bench.runs().join("t/report.json"))
    };
    let nothing = shown();
    assert!(nothing.contains(r#""has_run":false"#), "{nothing}");
    for page in ["t/report.html", "t/report.md"] {
        assert!(fs::read_to_string(bench.runs().join(page)).unwrap().contains("has not run"), "{page}");
    }
    bench.sida(&["run", &file]).exits(0);
    let base = shown();
    assert_ne!(base, nothing);
    bench.sida(&["run", &file, "--set", "seed=7"]).exits(0);
    assert_eq!(shown(), base, "a variant is never taken for it, though it is newer");
    // Another content of the file is another pipeline, which has not run.
    bench.write("p.yaml", format!("seed: 3\n{}", pipeline()));
    assert_eq!(shown(), nothing);
    bench.write("p.yaml", pipeline());
    assert_eq!(shown(), base);
    fs::remove_file(&file).unwrap();
    let said = bench.sida(&["run", &table]).exits(2);
    assert!(said.err.contains("there is no pipeline file `p.yaml`"), "{}", said.err);
}

#[test]
fn other_weights_of_inception_are_another_measurement() {
    let bench = Bench::new();
    let scores = "  scores:\n    evaluate: { network: teacher, metrics: [{ is: { images: 10 } }] }\n";
    let file = bench.write("p.yaml", format!("{TEACHER}{scores}"));
    let key = |weights: &str| {
        let path = bench.write("inception.pth", weights);
        let plan = bench.command(&["plan", &file, "--json"]).env("SIDA_INCEPTION", path).output().unwrap();
        let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
        let stages = plan["stages"].as_array().unwrap().clone();
        let of = |name: &str| stages.iter().find(|stage| stage["stage"] == name).unwrap()["key"].clone();
        [of("teacher"), of("scores")]
    };
    let [first, again, other] = [key("a"), key("a"), key("b")];
    assert_eq!(first, again);
    assert_eq!(first[0], other[0]);
    assert_ne!(first[1], other[1]);
}

#[test]
fn a_page_says_what_was_asked_for() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    bench.sida(&["run", &file, "--set", "seed=7"]).exits(0);
    let provenance = json(&bench.runs().join("p/report.json"))["provenance"].clone();
    let asked = &provenance["invocation"];
    assert_eq!(asked["file"], file.as_str());
    assert_eq!(asked["sha256"].as_str().unwrap().len(), 64);
    assert!(asked["command"].as_str().unwrap().ends_with("--set seed=7"), "{asked}");
    assert_eq!(provenance["seed"], 7);
    let html = fs::read_to_string(bench.runs().join("p/report.html")).unwrap();
    for part in [asked["sha256"].as_str().unwrap(), "--set seed=7"] {
        assert!(html.contains(part), "{part}");
    }
    // The way from a row to its stage.
    let link =
        html.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|href| href.contains("scores-"));
    assert!(bench.runs().join("p").join(link.unwrap()).join("artifact.json").is_file());
}

#[test]
fn a_sweep_takes_what_its_base_has_and_another_spelling_is_no_other_file() {
    let bench = Bench::inside();
    fs::create_dir(bench.path("datasets")).unwrap();
    let digits = program::root().join("datasets/digits-8x8.zip");
    fs::copy(&digits, bench.path("datasets/digits-8x8.zip")).unwrap();
    bench.write("p.yaml", pipeline());
    bench.write(
        "s.yaml",
        "base: p.yaml\naxes:\n  steps: { paths: [stages.scores.evaluate.sampler.edm.num_steps], values: [2, 3] }\n",
    );
    bench.sida(&["run", "p.yaml"]).exits(0);
    let said = bench.sida(&["plan", "s.yaml"]).exits(0);
    assert!(said.out.contains("2 points, 1 stage to run in all"), "one evaluation: {}", said.out);
    std::os::unix::fs::symlink(&digits, bench.path("link.zip")).unwrap();
    let absolute = digits.display().to_string();
    for path in ["./datasets/../datasets/digits-8x8.zip", "link.zip", &absolute] {
        let set = format!("stages.digits.prepare_dataset.source.edm.path={path}");
        let said = bench.sida(&["run", "p.yaml", "--set", &set]).exits(0);
        assert!(said.out.contains("nothing to do: 5 stages"), "{path}: {}", said.out);
    }
    // What no folder refers to any more is listed, and goes when that is asked for.
    let said = bench.sida(&["gc"]).exits(0);
    assert!(said.out.contains("every stage belongs"), "{}", said.out);
    fs::remove_dir_all(bench.path("runs/p")).unwrap();
    assert!(bench.sida(&["gc"]).exits(0).out.contains("4 stages"));
    assert!(bench.sida(&["run", "p.yaml"]).exits(0).out.contains("1 stage ran, 4 were done before"));
    fs::remove_dir_all(bench.path("runs/p")).unwrap();
    assert!(bench.sida(&["gc", "--delete"]).exits(0).out.contains("4 stages removed"));
    assert!(bench.sida(&["run", "p.yaml"]).exits(0).out.contains("5 stages ran"));
}

#[test]
fn an_address_counts_by_what_came_from_it() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    let digits = fs::read(program::root().join("datasets/digits-8x8.zip")).unwrap();
    // The same images in a zip with a comment.
    let mut commented = digits.clone();
    let length = commented.len() - 2;
    commented[length..].copy_from_slice(&[1, 0]);
    commented.push(b'x');
    let files = [("one/a.zip", digits.clone()), ("other/b.zip", digits), ("changed/a.zip", commented)];
    let [one, other, changed] = files.map(|(name, bytes)| {
        let folder = bench.path(name).parent().unwrap().to_path_buf();
        fs::create_dir(&folder).unwrap();
        bench.write(name, bytes);
        serve(folder)
    });
    let run = |address: &str, name: &str| {
        let set = format!("stages.digits.prepare_dataset.source.edm.path={address}/{name}");
        bench.sida(&["run", &file, "--until", "teacher", "--set", &set])
    };
    assert!(run(&one, "a.zip").exits(0).out.contains("2 stages ran"));
    assert!(run(&one, "a.zip").exits(0).out.contains("nothing to do"));
    assert!(run(&other, "b.zip").exits(0).out.contains("nothing to do"), "a mirror");
    // The cache is gone, and so is the dataset; the same comes again, and what was made from it stays.
    fs::remove_dir_all(bench.path("cache")).unwrap();
    assert!(run(&one, "a.zip").exits(0).out.contains("nothing to do"));
    // Something else comes: as if that address had been changed's.
    let note = |address: &str| {
        let location = sida::location::Location::new(format!("{address}/a.zip"));
        let sida::location::Resolved::Url(url) = location.resolve().unwrap() else { panic!("an address") };
        let notes = bench.runs().join("_store/addresses");
        sida::stages::download::cached(&notes, &url).with_added_extension("json")
    };
    let text = fs::read_to_string(note(&one)).unwrap();
    fs::write(note(&changed), text.replace(&one, &changed)).unwrap();
    fs::remove_dir_all(bench.path("cache")).unwrap();
    let said = run(&changed, "a.zip").exits(0);
    assert!(said.err.contains("has other contents than before"), "{}", said.err);
    assert!(said.out.contains("2 stages ran, 0 were done before"), "{}", said.out);
}

/// As root nothing is read-only: the program is started as somebody else.
#[test]
fn a_finished_run_that_cannot_be_written_can_be_shown() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    bench.sida(&["run", &file]).exits(0);
    let program = bench.path("sida");
    fs::copy(env!("CARGO_BIN_EXE_sida"), &program).unwrap();
    let mut all = vec![bench.path("")];
    let mut names = Vec::new();
    walk(&bench.path(""), &bench.path(""), &mut names);
    all.extend(names.iter().map(|name| bench.path(name)));
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    for path in all.iter().filter(|path| !path.is_symlink()) {
        let executable = path.is_dir() || *path == program;
        fs::set_permissions(path, mode(if executable { 0o555 } else { 0o444 })).unwrap();
    }
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.args(arguments).current_dir(program::root()).env("SIDA_RUNS", bench.runs());
        command.env("SIDA_CACHE", bench.path("cache"));
        if is_root {
            command.uid(65534).gid(65534);
        }
        command.output()
    };
    // Where strangers may not even read the repository there is nothing to be tested.
    if let Ok(said) = run(&["check", &file])
        && said.status.success()
    {
        let home = bench.runs().join("p").display().to_string();
        for arguments in
            [vec!["run", &file], vec!["plan", &file], vec!["verify", &home], vec!["compare", &home, &home]]
        {
            let said = run(&arguments).unwrap();
            let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
            assert!(said.status.success(), "{arguments:?}: {text}");
            assert!(arguments[0] != "run" || text.contains("what is finished is shown"), "{text}");
        }
        let said = run(&["run", &file, "--set", "seed=5"]).unwrap();
        assert_eq!(said.status.code(), Some(1));
    } else {
        println!("skipped: another user cannot read this repository");
    }
    for path in all.iter().filter(|path| !path.is_symlink()) {
        fs::set_permissions(path, mode(0o755)).unwrap();
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// As damage of a disk: the time of the file says nothing.
fn flip_silently(path: &Path) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    flip(path);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn what_is_damaged_or_gone_is_made_again() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline());
    bench.sida(&["run", &file]).exits(0);
    let dir = bench.runs().join("p");
    let [teacher, samples] = ["teacher", "samples"].map(|stage| folder(&dir, stage));
    let weights = teacher.join("network.safetensors");
    let files = [samples.join("grid.png"), samples.join("images/000003.png"), weights.clone()];
    let whole: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    let home = dir.display().to_string();
    bench.sida(&["verify", &home]).exits(0);
    let harms = ["is gone", "was changed after it was made", "bytes and had"];
    let harm = |what: &str, path: &Path| match what {
        "is gone" => fs::remove_file(path).unwrap(),
        "bytes and had" => fs::write(path, "cut").unwrap(),
        _ => flip(path),
    };
    for (i, path) in files.iter().enumerate() {
        for what in harms {
            harm(what, path);
            let what = if i == 1 && what == "is gone" { "holds 7 of 8 files" } else { what };
            let said = bench.sida(&["verify", &home]).exits(1);
            assert!(said.out.contains("damaged: ") && said.out.contains(what), "{}", said.out);
            let said = bench.sida(&["run", &file]).exits(0);
            assert!(said.err.contains(what) && said.err.contains("made again"), "{}", said.err);
            assert!(said.out.contains("1 stage ran"), "{}", said.out);
            assert!(fs::read(path).unwrap() == whole[i], "{} is not what it was", path.display());
            assert!(bench.sida(&["run", &file]).exits(0).out.contains("nothing to do"));
        }
    }
    // What somebody is about to read is read first, whatever its time says.
    flip_silently(&weights);
    let said =
        bench.sida(&["run", &file, "--set", "stages.scores.evaluate.sampler.edm.num_steps=3"]).exits(0);
    assert!(said.err.contains("`network.safetensors` was changed"), "{}", said.err);
    assert!(fs::read(&weights).unwrap() == whole[2]);
    let said = bench.sida(&["verify", &bench.runs().display().to_string(), "--json"]).exits(0);
    assert!(said.out.contains(r#""ok": true"#), "{}", said.out);
    bench.sida(&["verify", "nowhere"]).exits(2);
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let bench = Bench::new();
    let long = pipeline().replace("duration_kimg: 0.3", "duration_kimg: 1");
    let file = bench.write("p.yaml", &long);
    let straight = bench.path("straight").display().to_string();
    bench.sida(&["run", &file, "--runs", &straight, "--until", "teacher"]).exits(0);
    let dir = bench.runs().join("p");
    let there = |dir: &PathBuf| dir.join("checkpoint-0000000416/checkpoint.json").exists();
    let mut child = bench.start(&["run", &file, "--until", "teacher"]);
    let ready = |_: &Child| program::folders(&dir, "teacher").iter().any(there);
    assert!(wait(&mut child, ready));
    signal(&child, "KILL");
    Said::end(child);
    let teacher = folder(&dir, "teacher");
    let newest = fs::read_dir(&teacher).unwrap().flatten().map(|entry| entry.path());
    let newest = newest.filter(|path| path.join("checkpoint.json").exists()).max().unwrap();
    flip_silently(&newest.join("state.safetensors"));
    bench.sida(&["verify", &dir.display().to_string()]).exits(1);
    let said = bench.sida(&["run", &file, "--until", "teacher"]).exits(0);
    assert!(said.err.contains("passed over") && said.err.contains("continues at"), "{}", said.err);
    let other = folder(&Path::new(&straight).join("p"), "teacher");
    for name in ["network.safetensors", "stats.jsonl"] {
        let [left, right] = [&teacher, &other].map(|dir| lines(&dir.join(name)));
        assert!(left == right, "{name}");
    }
}

#[test]
fn processes_that_are_killed_at_any_moment_end_with_the_same_bits() {
    const KILLS: u64 = 12;
    let kills = std::env::var("SIDA_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let bench = Bench::new();
    // So long that most of them meet a training.
    let long = format!("duration_kimg: {}", kills as f64 * 0.6);
    let file = bench.write("p.yaml", pipeline().replace("duration_kimg: 0.3", &long));
    let straight = bench.path("straight").display().to_string();
    bench.sida(&["run", &file, "--runs", &straight]).exits(0);
    // Moments that differ from run to run of this loop, and do not depend on luck.
    let mut unfinished = 0;
    for i in 0..kills {
        let both = [bench.start(&["run", &file]), bench.start(&["run", &file])];
        sleep(Duration::from_millis(20 + (i * 67) % 400));
        let (first, second) = if i % 2 == 0 { (0, 1) } else { (1, 0) };
        signal(&both[first], "KILL");
        sleep(Duration::from_millis(i % 5 * 20));
        signal(&both[second], if i % 3 == 0 { "KILL" } else { "TERM" });
        both.into_iter().for_each(|child| drop(Said::end(child)));
        let open = |dir: &PathBuf| !dir.join("artifact.json").exists();
        unfinished += u64::from(program::folders(&bench.runs().join("p"), "teacher").iter().any(open));
    }
    assert!(unfinished > 0, "no kill met a training: make it longer");
    println!("{unfinished} of {kills} kills met a training");
    bench.sida(&["run", &file]).exits(0);
    let [left, right] = [bench.runs(), PathBuf::from(&straight)].map(|runs| runs.join("p"));
    for (stage, names) in [
        ("teacher", vec!["network.safetensors", "stats.jsonl"]),
        ("samples", vec!["grid.png", "images/000007.png"]),
    ] {
        for name in names {
            let [a, b] = [&left, &right].map(|dir| lines(&folder(dir, stage).join(name)));
            assert!(a == b, "{stage}: {name}");
        }
    }
    assert_eq!(scores(&left.join("report.json")), scores(&right.join("report.json")));
    let names = |runs: &Path| {
        let mut names = Vec::new();
        walk(runs, runs, &mut names);
        names.sort();
        names
    };
    assert_eq!(names(&bench.runs()), names(Path::new(&straight)), "nothing half-written stays behind");
}

fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        names.push(path.strip_prefix(root).unwrap().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            walk(root, &path, names);
        }
    }
}

#[test]
fn a_sweep_goes_on_with_the_points_that_nobody_makes() {
    let bench = Bench::new();
    bench.write("p.yaml", pipeline());
    let axis = "axes:\n  lr: { paths: [stages.teacher.train_teacher.lr], values: [0.001, 0.002, 0.003] }\n";
    let sweep = bench.write("s.yaml", format!("base: p.yaml\n{axis}"));
    let plan: serde_json::Value =
        serde_json::from_str(&bench.sida(&["plan", &sweep, "--json"]).exits(0).out).unwrap();
    let teacher = |point: usize| {
        let stages = plan["points"][point]["plan"]["stages"].as_array().unwrap();
        let teacher = stages.iter().find(|stage| stage["stage"] == "teacher").unwrap();
        PathBuf::from(teacher["folder"].as_str().unwrap())
    };
    // This process makes the first point's teacher.
    fs::create_dir_all(teacher(0).parent().unwrap()).unwrap();
    let lease = sida::pipeline::store::lease(&teacher(0));
    let asked = sida::checkpoint::Lease::ask(&lease, &mut sida::checkpoint::Watch::default()).unwrap();
    let mut child = bench.start(&["run", &sweep]);
    let others = |_: &Child| [1, 2].iter().all(|point| teacher(*point).join("artifact.json").is_file());
    assert!(wait(&mut child, others), "{}", Said::end(child).err);
    assert!(!teacher(0).join("stage.json").exists());
    drop(asked);
    let said = Said::end(child).exits(0);
    assert!(said.err.contains("makes it, waiting"), "{}", said.err);
    let rows: Vec<&str> = said.out.lines().filter(|line| line.contains("fd_pixels_100")).collect();
    assert!(rows.len() == 3 && rows[0].starts_with("lr=0.001"), "in their order: {}", said.out);
    // A scheduler's processes, each with points of its own; the last command gathers what they made.
    fs::remove_dir_all(bench.runs()).unwrap();
    let trained = |said: &Said| said.err.matches("train_teacher runs").count();
    for point in [["--points", "2/2"], ["--point", "lr=0.001"], ["--point", "3"]] {
        let said = bench.sida(&["run", &sweep, point[0], point[1]]).exits(0);
        assert_eq!(trained(&said), 1, "{point:?}: {}", said.err);
        assert!(!bench.runs().join("s/sweep.md").exists());
    }
    let all = bench.sida(&["run", &sweep]).exits(0);
    assert_eq!((trained(&all), &all.out), (0, &said.out));
    for wrong in
        [["--point", "4"], ["--point", "lr=0.004"], ["--point", "0"], ["--points", "3/2"], ["--points", "x"]]
    {
        bench.sida(&["run", &sweep, wrong[0], wrong[1]]).exits(2).complains(&[wrong[0], wrong[1]]);
    }
    let base = bench.path("p.yaml").display().to_string();
    bench.sida(&["run", &base, "--point", "1"]).exits(2).complains(&["for sweeps"]);
    // Two at once train every teacher once.
    fs::remove_dir_all(bench.runs()).unwrap();
    let both = [(); 2].map(|()| bench.start(&["run", &sweep])).map(|child| Said::end(child).exits(0));
    assert_eq!(both.iter().map(trained).sum::<usize>(), 3, "{}\n{}", both[0].err, both[1].err);
    assert_eq!(both[0].out, both[1].out);
}

/// Half a minute: a holder that stands still is given so long.
#[test]
fn a_process_that_was_stopped_too_long_gives_way() {
    let bench = Bench::new();
    let file = bench.write("p.yaml", pipeline().replace("duration_kimg: 0.3", "duration_kimg: 8"));
    let mut first = bench.start(&["run", &file, "--until", "teacher"]);
    let dir = bench.runs().join("p");
    let trains = |child: &Child| {
        works_in(child, &bench.runs())
            && program::folders(&dir, "teacher").iter().any(|dir| dir.join("stats.jsonl").exists())
    };
    assert!(wait(&mut first, trains));
    signal(&first, "STOP");
    let second = bench.sida(&["run", &file, "--until", "teacher"]).exits(0);
    assert!(second.err.contains("makes it, waiting"), "{}", second.err);
    signal(&first, "CONT");
    let first = Said::end(first).exits(0);
    assert!(first.err.contains("is another's now"), "{}", first.err);
    assert!(first.out.contains("0 stages ran") || first.out.contains("1 stage ran"), "{}", first.out);
    bench.sida(&["verify", &dir.display().to_string()]).exits(0);
}

/// Runs a teacher, and puts as many more into the store, all of them finished.
fn with_teachers(bench: &Bench, count: usize) -> String {
    let file = bench.write("p.yaml", pipeline());
    bench.sida(&["run", &file, "--until", "teacher"]).exits(0);
    let teacher = folder(&bench.runs().join("p"), "teacher");
    let record = fs::read_to_string(teacher.join("stage.json")).unwrap();
    let artifact = fs::read(teacher.join("artifact.json")).unwrap();
    for i in 0..count {
        let key = format!("{i:08x}");
        let dir = teacher.with_file_name(format!("teacher-{key}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("stage.json"), record.replace(r#""key": ""#, &format!(r#""key": "{key}"#)))
            .unwrap();
        fs::write(dir.join("artifact.json"), &artifact).unwrap();
    }
    file
}

/// Plans, in seconds.
#[track_caller]
fn planned(bench: &Bench, arguments: &[&str], limit: f64) {
    let started = std::time::Instant::now();
    bench.sida(&[&["plan"], arguments].concat()).exits(0);
    let seconds = started.elapsed().as_secs_f64();
    println!("{arguments:?}: {seconds:.3} s");
    assert!(seconds < limit, "{arguments:?}: {seconds} s; a second on a machine that does nothing else");
}

#[test]
fn ten_thousand_finished_stages_are_planned_in_no_time() {
    let bench = Bench::new();
    let file = with_teachers(&bench, 10_000);
    for set in ["seed=0", "seed=1"] {
        planned(&bench, &[&file, "--set", set], 3.0);
    }
}

#[test]
fn a_thousand_points_are_planned_in_no_time() {
    let bench = Bench::new();
    with_teachers(&bench, 1000);
    let values: Vec<String> = (1..=1000).map(|i| format!("{}", f64::from(i) * 1e-5)).collect();
    let axis = format!("paths: [stages.teacher.train_teacher.lr], values: [{}]", values.join(", "));
    let sweep = bench.write("s.yaml", format!("base: p.yaml\naxes: {{ lr: {{ {axis} }} }}\n"));
    planned(&bench, &[&sweep], 3.0);
    planned(&bench, &[&sweep, "--json"], 3.0);
}
