//! What `sida plan --format` prints really makes the sweep: commands in a shell, a task of an array that is stopped, the
//! jobs of a workflow, which share no folder.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use program::{Bench, SCORES, Said, TEACHER, folders, root, signal, wait};
use serde_json::Value;

/// A shell that finds the program by its name, in a folder.
fn shell(script: &str, folder: &Path) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_sida")).parent().unwrap().display();
    let mut bash = Command::new("bash");
    bash.args(["-e", "-c", script]).current_dir(folder);
    bash.env("PATH", format!("{bin}:{}", env::var("PATH").unwrap())).env_remove("SIDA_RUNS");
    bash
}

/// What a shell said on standard error, where it succeeded.
#[track_caller]
fn well(output: Output) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// Points that differ in what is measured, and share a teacher.
fn sweep(folder: &Path) -> &'static str {
    fs::create_dir_all(folder).unwrap();
    let axis = "paths: [stages.scores.evaluate.sampler.edm.num_steps], values: [2, 3]";
    fs::write(folder.join("p.yaml"), format!("{TEACHER}{SCORES}")).unwrap();
    fs::write(folder.join("s.yaml"), format!("base: p.yaml\naxes: {{ steps: {{ {axis} }} }}\n")).unwrap();
    std::os::unix::fs::symlink(root().join("datasets"), folder.join("datasets")).unwrap();
    "s.yaml"
}

fn printed(folder: &Path, format: &str) -> String {
    let plan = format!("sida plan s.yaml --format {format}");
    String::from_utf8(shell(&plan, folder).output().unwrap().stdout).unwrap()
}

#[test]
fn the_commands_make_the_points_and_the_table() {
    let bench = Bench::new();
    let runs = bench.runs().display().to_string();
    let sweep = ["plan", "tests/pipelines/sweep-small.yaml", "--runs", &runs, "--format", "commands"];
    let output = shell(&bench.sida(&sweep).exits(0).out, root()).output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = well(output);
    assert_eq!(said.matches("distill runs").count(), 2, "what the table needs: {said}");
    assert_eq!(said.matches("train_teacher runs").count(), 1, "{said}");
    assert!(table.contains("(fd_pixels_200 of `sid_scores`)"), "{table}");
    assert!(bench.runs().join("sweep-small/sweep.json").is_file());
}

#[test]
fn a_task_of_an_array_is_stopped_by_the_signal_of_its_shell_and_saves() {
    let bench = Bench::inside();
    sweep(&bench.path(""));
    let longer = "sed -i 's/duration_kimg: 0.3/duration_kimg: 30/' p.yaml";
    well(shell(longer, &bench.path("")).output().unwrap());
    let script = printed(&bench.path(""), "slurm");
    let mut task = shell(&script, &bench.path(""));
    task.env("SLURM_ARRAY_TASK_ID", "2").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = task.spawn().unwrap();
    let store = bench.runs().join("_store");
    let teacher = || folders(&store, "teacher").into_iter().next();
    let learns = |_: &_| teacher().is_some_and(|dir| dir.join("stats.jsonl").is_file());
    assert!(wait(&mut child, learns), "{}", Said::end(child).err);
    signal(&child, "TERM");
    let said = Said::end(child).exits(130);
    assert!(said.err.contains("point 2: steps=3"), "{}", said.err);
    let plan = bench.sida(&["plan", "s.yaml", "--json"]).exits(0).out;
    assert!(plan.contains("stopped, continues at"), "{plan}");
}

/// A runner of workflows, as far as these need one: every job has a folder of its own, and artifacts lie in `kept`.
struct Runner {
    jobs: Value,
    kept: PathBuf,
}

impl Runner {
    /// Runs a job's steps, with a number for its place in the matrix, and returns what they said.
    #[track_caller]
    fn run(&self, job: &str, number: &str, folder: &Path) -> String {
        sweep(folder);
        let mut said = String::new();
        for step in self.jobs[job]["steps"].as_array().unwrap() {
            let with = |name: &str| {
                step["with"][name].as_str().map(|text| text.replace("${{ matrix.point }}", number))
            };
            if let Some(run) = step["run"].as_str().filter(|run| !run.contains("cargo install")) {
                said += &well(shell(run, folder).env("POINT", number).output().unwrap());
            } else if step["uses"].as_str().is_some_and(|uses| uses.contains("upload")) {
                self.keep(&with("name").unwrap(), &with("path").unwrap(), folder);
            } else if step["uses"].as_str().is_some_and(|uses| uses.contains("download")) {
                let from = with("name").map_or(self.kept.clone(), |name| self.kept.join(name));
                let to = folder.join(with("path").unwrap());
                fs::create_dir_all(&to).unwrap();
                well(Command::new("cp").arg("-r").arg(from.join(".")).arg(to).output().unwrap());
            }
        }
        said
    }

    /// Files, and what links lead to; of a single folder what is in it. Times are lost.
    fn keep(&self, name: &str, paths: &str, folder: &Path) {
        let kept = self.kept.join(name);
        fs::create_dir_all(&kept).unwrap();
        for path in paths.lines() {
            let script = match path.strip_prefix('!') {
                Some(left_out) => {
                    format!("rm -r {}/{}", kept.display(), Path::new(left_out).file_name().unwrap().display())
                }
                None if folder.join(path).is_dir() => format!("cp -rL {path}/. {}", kept.display()),
                None => format!("cp -rL --parents {path} {}", kept.display()),
            };
            well(shell(&script, folder).output().unwrap());
        }
    }
}

#[test]
fn the_jobs_of_a_workflow_put_together_what_each_made() {
    let bench = Bench::inside();
    sweep(&bench.path("home"));
    let workflow: Value = serde_saphyr::from_str(&printed(&bench.path("home"), "github")).unwrap();
    let runner = Runner { jobs: workflow["jobs"].clone(), kept: bench.path("kept") };
    let trained = |said: &str| said.matches("train_teacher runs").count();
    let measured = |said: &str| said.matches("evaluate runs").count();
    let shared = runner.run("shared", "", &bench.path("shared"));
    assert_eq!((trained(&shared), measured(&shared)), (1, 0), "{shared}");
    for point in ["1", "2"] {
        let said = runner.run("points", point, &bench.path(&format!("point-{point}")));
        assert_eq!((trained(&said), measured(&said)), (0, 1), "{said}");
        let kept = bench.path("kept").join(format!("point-{point}"));
        assert_eq!((folders(&kept, "scores").len(), folders(&kept, "teacher").len()), (1, 0));
    }
    let table = bench.path("table");
    let said = runner.run("table", "", &table);
    assert_eq!((trained(&said), measured(&said)), (0, 0), "{said}");
    assert!(!said.contains("made again"), "{said}");
    let pages = bench.path("kept/pages/runs/s");
    assert!(pages.join("sweep.json").is_file());
    assert!(
        pages.join("points/steps=2/report.html").is_file()
            && pages.join("points/steps=3/report.html").is_file()
    );
    assert!(folders(&pages.join("points/steps=2"), "scores").is_empty(), "pages, and no stages");
    well(shell("sida verify runs && sida gc", &table).output().unwrap());
}
