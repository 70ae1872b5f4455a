//! `sida plan --format`: the printed files are what they were, are what their readers take, and hold other people's text
//! as text.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use program::{Bench, SCORES, TEACHER, root};
use serde_json::{Value, json};

const FORMATS: [(&str, &str); 5] = [
    ("commands", "commands.sh"),
    ("slurm", "slurm.sbatch"),
    ("kubernetes", "kubernetes.yaml"),
    ("snakemake", "Snakefile"),
    ("github", "github.yaml"),
];

/// What the shell does not run, and what no format replaces.
const HOSTILE: &str = r#"it's "$(touch pwned)" `touch pwned` ${{ secrets.A }} {input} $(HOME) $$ \ ; # é"#;

#[track_caller]
fn printed(bench: &Bench, file: &str, format: &str, more: &[&str]) -> String {
    bench.sida(&[&["plan", file, "--format", format], more].concat()).exits(0).out
}

/// Demands that a shell can read a text.
#[track_caller]
fn shell_reads(text: &str) {
    let output = Command::new("bash").args(["-n", "-c", text]).output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
}

/// The documents of a YAML file, each of which obeys a schema.
#[track_caller]
fn documents(text: &str, schema: &str) -> Vec<Value> {
    let schema = root().join("tests/spread/schemas").join(schema);
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let judge = jsonschema::validator_for(&schema).unwrap();
    let documents = text.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    documents
        .inspect(|document| {
            let wrong: Vec<String> = judge.iter_errors(document).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{wrong:?}\n{document:#}");
        })
        .collect()
}

#[test]
fn the_files_of_a_small_sweep_are_what_they_were() {
    let bench = Bench::new();
    let mut other = Vec::new();
    for (format, file) in FORMATS {
        let said = printed(&bench, "tests/pipelines/sweep-small.yaml", format, &["--runs", "runs"]);
        let golden = root().join("tests/spread/golden").join(file);
        if env::var_os("UPDATE_SPREAD").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != said {
            other.push(format!("{file}:\n{said}"));
        }
    }
    assert!(other.is_empty(), "UPDATE_SPREAD=1 writes the files anew:\n{}", other.join("\n"));
}

/// Those that are run on every change as well (`.ci/ranks`), and those that nothing here can run.
#[test]
fn readers_take_the_files_that_start_ranks() {
    let file = |name: &str| fs::read_to_string(root().join("docs/launch").join(name)).unwrap();
    ["torchrun.sh", "mpirun.sh", "slurm.sbatch"].iter().for_each(|name| shell_reads(&file(name)));
    let job = &documents(&file("pytorchjob.yaml"), "pytorchjob-kubeflow-v1.json")[0];
    let container = &job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"].as_array().unwrap()[..2], ["sida", "run"].map(Value::from));
    let task = &documents(&file("skypilot.yaml"), "skypilot-task.json")[0];
    shell_reads(task["run"].as_str().unwrap());
    let wrong = file("pytorchjob.yaml").replace("nprocPerNode", "procsPerNode");
    assert!(std::panic::catch_unwind(|| documents(&wrong, "pytorchjob-kubeflow-v1.json")).is_err());
}

#[test]
fn their_readers_take_them() {
    let golden = |file: &str| fs::read_to_string(root().join("tests/spread/golden").join(file)).unwrap();
    shell_reads(&golden("commands.sh"));
    shell_reads(&golden("slurm.sbatch"));
    let jobs = documents(&golden("kubernetes.yaml"), "job-batch-v1.json");
    assert_eq!((jobs.len(), &jobs[0]["spec"]["completions"]), (2, &json!(2)));
    assert_eq!((&jobs[0]["spec"]["suspend"], &jobs[1]["spec"]["suspend"]), (&Value::Null, &json!(true)));
    for (job, fail) in jobs.iter().zip(["FailIndex", "FailJob"]) {
        let rules = job["spec"]["podFailurePolicy"]["rules"].as_array().unwrap();
        let codes = |code: i64| {
            let of = |rule: &&Value| {
                rule["onExitCodes"]["values"].as_array().is_some_and(|v| v.contains(&json!(code)))
            };
            rules.iter().find(of).map(|rule| rule["action"].as_str().unwrap())
        };
        assert_eq!([1, 2, 3, 4, 130].map(codes), [None, Some(fail), Some(fail), Some(fail), Some("Ignore")]);
    }
    let workflow = &documents(&golden("github.yaml"), "github-workflow.json")[0];
    assert_eq!(workflow["jobs"]["points"]["strategy"]["matrix"]["point"], json!([1, 2]));
}

/// A sweep whose axis, values and settings, and a file whose name would do harm anywhere.
fn hostile(bench: &Bench, file: &str) -> String {
    bench.write("p.yaml", format!("{TEACHER}{SCORES}"));
    let values = json!([
        HOSTILE,
        "\n touch pwned\n#SBATCH --wrap=x\n",
        "\u{2028}touch pwned\u{85}- x: y",
        "'''\"\"\""
    ]);
    let axes = json!({ HOSTILE: { "paths": ["stages.table.report.caption"], "values": values } });
    bench.write(file, json!({ "base": "p.yaml", "axes": axes }).to_string())
}

/// Runs a script with a `sida` that only says its arguments, one per line.
#[track_caller]
fn arguments(bench: &Bench, script: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let folder = bench.path("bin");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("sida"), "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
    Command::new("chmod").arg("+x").arg(folder.join("sida")).status().unwrap();
    let path = format!("{}:{}", folder.display(), env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-e", "-c", script])
        .env("PATH", path)
        .envs(variables.iter().copied())
        .current_dir(bench.path(""));
    let output = bash.output().unwrap();
    assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
    assert!(!bench.path("pwned").exists(), "{script}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn nothing_that_somebody_wrote_is_obeyed() {
    let bench = Bench::new();
    let file = hostile(&bench, &format!("{}.yaml", HOSTILE.replace('/', "")));
    let set = format!("stages.table.report.rows.0.label={}", json!(HOSTILE));
    let runs = bench.runs().display().to_string();
    let words = ["run", &file, "--runs", &runs, "--set", &set].map(str::to_owned).to_vec();
    let with = |more: &[&str]| {
        [&words[..], &more.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()].concat()
    };

    let commands = printed(&bench, &file, "commands", &["--set", &set]);
    let all = (1..=4).flat_map(|point| with(&["--point", &point.to_string()])).chain(words.clone());
    assert_eq!(arguments(&bench, &commands, &[]), all.collect::<Vec<_>>());

    let script = printed(&bench, &file, "slurm", &["--set", &set]);
    let options = script.lines().filter(|line| line.starts_with("#SBATCH"));
    assert_eq!(options.filter(|line| line.contains("--wrap")).count(), 0);
    assert_eq!(arguments(&bench, &script, &[("SLURM_ARRAY_TASK_ID", "3")]), with(&["--point", "3"]));
    let collects = script.lines().find_map(|line| line.split_once("--wrap=")).unwrap().1;
    assert_eq!(arguments(&bench, &format!("bash -c {collects}"), &[]), words);

    let jobs = documents(&printed(&bench, &file, "kubernetes", &["--set", &set]), "job-batch-v1.json");
    for (job, more) in jobs.iter().zip([&["--point", "3"][..], &[]]) {
        let command = job["spec"]["template"]["spec"]["containers"][0]["command"][2].as_str().unwrap();
        // What a cluster makes of it: `$(NAME)` is a variable's value, `$$` a dollar.
        assert!(!command.replace("$$", "").contains("$(HOME)"), "{command}");
        let command = command.replace("$$", "$");
        assert_eq!(arguments(&bench, &command, &[("JOB_COMPLETION_INDEX", "2")]), with(more));
    }

    // Paths of these have signs of their own.
    for format in ["snakemake", "github"] {
        let said = bench.sida(&["plan", &file, "--format", format]).exits(2);
        said.complains(&["signs that mean something else", "--runs"]);
    }
    let other = hostile(&bench, "s.yaml");
    let words: Vec<String> =
        words.into_iter().map(|word| if word == file { other.clone() } else { word }).collect();
    let file = other;
    let text = printed(&bench, &file, "github", &["--set", &set]);
    let workflow = &documents(&text, "github-workflow.json")[0];
    let mut steps = workflow["jobs"]["table"]["steps"].as_array().unwrap().iter();
    let run = steps.find_map(|step| step["run"].as_str().filter(|run| run.starts_with("sida run"))).unwrap();
    // What the runner makes of it: an expression is its value.
    let run = run.replace("${{ '${{' }}", "\u{1}");
    assert!(!run.contains("${{"), "{run}");
    assert_eq!(arguments(&bench, &run.replace('\u{1}', "${{"), &[]), words);

    let text = printed(&bench, &file, "snakemake", &["--set", &set]);
    let mut shells = text.lines().filter_map(|line| line.trim().strip_prefix("shell: "));
    let last = serde_json::from_str::<String>(shells.next_back().unwrap()).unwrap();
    let formatted = last.replace("{threads}", "1").replace("{{", "{").replace("}}", "}");
    assert_eq!(arguments(&bench, &formatted, &[]), words);
    let only_comments = |line: &str| {
        line.is_empty()
            || line.starts_with(['#', ' '])
            || line.starts_with("rule ")
            || line.starts_with("THREADS")
    };
    assert!(text.lines().all(only_comments), "{text}");
}

#[test]
fn what_no_file_can_say_is_refused() {
    let bench = Bench::new();
    let base = bench.write("p.yaml", format!("{TEACHER}{SCORES}"));
    let sweep = bench.write("s.yaml", "base: p.yaml\naxes: { seed: { paths: [seed], values: [0, 1] } }\n");
    for (format, _) in FORMATS {
        bench.sida(&["plan", &base, "--format", format]).exits(2).complains(&["is one pipeline"]);
        bench.sida(&["plan", &sweep, "--format", format, "--json"]).exits(2);
        bench.sida(&["plan", &sweep, "--format", format, "--resolved"]).exits(2);
        let set = "description=https://me:hunter2@example.org/?token=abc";
        let said = bench.sida(&["plan", &sweep, "--format", format, "--set", set]).exits(2);
        assert!(!said.err.contains("hunter2") && !said.err.contains("=abc"), "{}", said.err);
    }
    // Where a stage will lie follows from what an address gives.
    let remote = TEACHER.split("  teacher:").next().unwrap().to_owned()
        + "  teacher: { load_teacher: { weights: { edm_pickle: \"https://example.org/net.pkl\" } } }\n"
        + SCORES;
    bench.write("p.yaml", remote);
    let said = bench.sida(&["plan", &sweep, "--format", "snakemake"]).exits(2);
    said.complains(&["`https://example.org/net.pkl`", "--point 1 --until teacher"]);
    printed(&bench, &sweep, "github", &[]);
    bench.write("p.yaml", TEACHER.replace("digits-8x8.zip", "absent.zip"));
    let said = bench.sida(&["plan", &sweep, "--format", "snakemake"]).exits(2);
    said.complains(&["`datasets/absent.zip`, which is not here yet", "put it there"]);
}

#[test]
fn a_thousand_points_are_shared_where_no_more_tasks_are_possible() {
    let bench = Bench::new();
    bench.write("p.yaml", TEACHER);
    let values = (0..1001).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let sweep = bench.write(
        "s.yaml",
        format!("base: p.yaml\naxes: {{ seed: {{ paths: [seed], values: [{values}] }} }}\n"),
    );
    let script = printed(&bench, &sweep, "slurm", &[]);
    assert!(script.contains("\n#SBATCH --array=1-1000\n") && script.contains("MaxArraySize"), "{script}");
    assert!(script.trim_end().ends_with(" --points \"$SLURM_ARRAY_TASK_ID/1000\""), "{script}");
    assert!(script.contains("\n#      1  seed=0, seed=1000\n"), "{script}");
    let workflow = &documents(&printed(&bench, &sweep, "github", &[]), "github-workflow.json")[0];
    let points = &workflow["jobs"]["points"];
    assert_eq!(points["strategy"]["matrix"]["share"].as_array().unwrap().len(), 256);
    let run = points["steps"].as_array().unwrap().iter().filter_map(|step| step["run"].as_str()).next_back();
    assert!(run.unwrap().ends_with("--points \"$SHARE/256\""), "{run:?}");
    assert_eq!(
        printed(&bench, &sweep, "commands", &[]).lines().last().unwrap().matches("--point").count(),
        0
    );
}

#[test]
fn the_tasks_of_a_search_take_what_is_next() {
    let bench = Bench::new();
    bench.write("p.yaml", format!("{TEACHER}{SCORES}"));
    let axes = "axes: { lr: { paths: [stages.teacher.train_teacher.lr], values: [0.001, 0.002] } }";
    let search = "search: { halving: { keep: 0.5, rungs_kimg: [0.1, 0.3] } }";
    let table = "table: { cell: { stage: scores, metric: fd_pixels_100 } }";
    let sweep = bench.write("s.yaml", format!("base: p.yaml\n{axes}\n{search}\n{table}\n"));
    for format in ["commands", "slurm", "kubernetes"] {
        let text = printed(&bench, &sweep, format, &[]);
        assert!(!text.contains("--point") && text.contains("what is next in the search"), "{text}");
    }
    for format in ["snakemake", "github"] {
        let said = bench.sida(&["plan", &sweep, "--format", format]).exits(2);
        said.complains(&["is a search", "`slurm`"]);
    }
}

#[test]
fn the_plan_as_json_says_all_of_every_point() {
    let bench = Bench::new();
    bench.write("p.yaml", TEACHER);
    let axes = r#"{ seed: { paths: [seed], values: [0, 1] }, x: { paths: [description], values: ["https://me:hunter2@h/a", b] } }"#;
    let sweep = bench.write("s.yaml", format!("base: p.yaml\naxes: {axes}\n"));
    let said = bench.sida(&["plan", &sweep, "--json"]).exits(0).out;
    assert!(!said.contains("hunter2"));
    let points = serde_json::from_str::<Value>(&said).unwrap()["points"].clone();
    assert_eq!(points.as_array().unwrap().len(), 4);
    assert_eq!(
        (&points[2]["number"], &points[2]["at"]),
        (&json!(3), &json!({ "seed": 1, "x": "https://***:***@h/a" }))
    );
    for stage in points[2]["plan"]["stages"].as_array().unwrap() {
        let (key, folder) = (stage["key"].as_str().unwrap(), stage["folder"].as_str().unwrap());
        assert_eq!(key.len(), 32);
        assert!(
            PathBuf::from(folder).ends_with(Path::new("_store").join(format!(
                "{}-{}",
                stage["stage"].as_str().unwrap(),
                &key[..8]
            ))),
            "{folder}"
        );
    }
}
