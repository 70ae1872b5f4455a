//! Sweeps through the real program: what runs, what the page says, and what cannot be said by it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod program;

use std::{fs, path::Path};

use program::{Bench, SCORES, TEACHER, folder, folders, json, lines, signal, wait, works_in};
use serde_json::Value;

/// Ten images of evaluation, two trials, and a second stage that no table here needs.
const OTHER: &str = "
  other:
    evaluate:
      network: teacher
      sampler: { edm: { num_steps: 2 } }
      reference: digits
      metrics: [{ frechet_distance: { detector: pixels, images: 50 } }]
";

fn sweep(bench: &Bench, axes: &str, rest: &str) -> String {
    // So that a few steps make a difference.
    let hasty = TEACHER
        .replace("augment: 0", "augment: 0\n      lr_rampup_kimg: 0\n      ema: { half_life_kimg: 0.02 }");
    bench.write("base.yaml", format!("{hasty}{SCORES}{OTHER}"));
    bench.write("sweep.yaml", format!("base: base.yaml\naxes:\n{axes}\n{rest}\n"))
}

const CELL: &str = "table: { cell: { stage: scores, metric: fd_pixels_100 } }";
const LR: &str = "  lr: { paths: [stages.teacher.train_teacher.lr], values: [1.0e-3, 0.00001] }";
const SEED: &str = "  seed: { paths: [seed], values: [0, 1, 2] }";

#[test]
fn repetitions_are_averaged_and_the_rest_of_the_pipeline_does_not_run() {
    let bench = Bench::new();
    let file = sweep(&bench, &format!("{LR}\n{SEED}"), CELL);
    let said = bench.sida(&["run", &file]).exits(0);
    assert!(said.out.contains("Best FD, pixels: lr=0.001 with"), "{}", said.out);
    let home = bench.runs().join("sweep");
    let written = json(&home.join("sweep.json"));
    let means = |lr: &str| -> Vec<f64> {
        let points = written["points"].as_array().unwrap().iter();
        let of = points.filter(|point| point["label"].as_str().unwrap().starts_with(&format!("lr={lr} ")));
        of.map(|point| point["scores"]["scores"]["fd_pixels_100"]["mean"].as_f64().unwrap()).collect()
    };
    for (i, lr) in ["0.001", "1e-5"].iter().enumerate() {
        let cell = &written["cells"][i];
        assert_eq!(cell["label"], format!("lr={lr}"));
        let means = means(lr);
        assert_eq!(means.len(), 3);
        let mean = means.iter().sum::<f64>() / 3.0;
        assert!((cell["score"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
        assert_eq!(cell["score"]["trials"].as_array().unwrap().len(), 3);
    }
    // One axis that counts: a curve. Each point has a page that says which one it is.
    let page = fs::read_to_string(home.join("sweep.html")).unwrap();
    assert!(page.contains("FD, pixels over lr") && page.contains("over 3 seeds"));
    for point in written["points"].as_array().unwrap() {
        let (label, link) = (point["label"].as_str().unwrap(), point["page"].as_str().unwrap());
        let of_point = fs::read_to_string(home.join(link)).unwrap();
        let title = of_point.lines().find(|line| line.contains("<title>")).unwrap();
        assert!(title.contains(label), "{title}");
        assert!(page.contains(&link.replace('=', "%3D")) && of_point.matches(label).count() >= 2);
        assert_eq!(json(&home.join(link).with_extension("json"))["point"], label);
    }
    assert!(folders(&home.join("points/lr=1e-5_seed=0"), "other").is_empty(), "the table does not need it");
    let again = bench.sida(&["run", &file, "--all"]).exits(0);
    assert!(again.err.contains("other: evaluate runs") && !again.err.contains("teacher: train_teacher runs"));
    folder(&home.join("points/lr=1e-5_seed=0"), "other");
    let forced = bench.sida(&["run", &file, "--force", "other"]).exits(2);
    assert!(forced.err.contains("`scores` does not need it"), "{}", forced.err);
}

#[test]
fn a_point_that_diverged_says_so_in_its_cell_and_is_not_trained_again() {
    let bench = Bench::new();
    let nothing = bench.write("nothing.zip", "no zip");
    let lr = &*format!(
        "  lr: {{ paths: [stages.teacher.train_teacher.lr], values: [1.0e-3, 1.0] }}\n  data: {{ paths: [stages.digits.prepare_dataset.source.edm.path], values: [datasets/digits-8x8.zip, {nothing}] }}"
    );
    let file = sweep(&bench, lr, CELL);
    let said = bench.sida(&["run", &file]).exits(1).complains(&["2 of 4 sweep points failed"]);
    assert!(said.out.contains("diverged: stage `teacher` diverged"), "{}", said.out);
    let written = json(&bench.runs().join("sweep/sweep.json"));
    let ends: Vec<&str> =
        written["points"].as_array().unwrap().iter().map(|p| p["end"].as_str().unwrap()).collect();
    assert_eq!(ends, ["measured", "failed", "diverged", "failed"]);
    assert!(written["points"][1]["message"].as_str().unwrap().contains("nothing.zip"));
    let page = fs::read_to_string(bench.runs().join("sweep/sweep.html")).unwrap();
    assert!(page.contains(">diverged<") && page.contains("nothing.zip"));
    let junit = fs::read_to_string(bench.runs().join("sweep/junit.xml")).unwrap();
    assert!(junit.contains("errors=\"3\"") && junit.matches("<error").count() == 3, "{junit}");

    let only = sweep(&bench, lr.lines().next().unwrap(), CELL);
    for _ in 0..2 {
        let said = bench.sida(&["run", &only]).exits(4).complains(&["1 of 2 sweep points diverged"]);
        assert!(
            !said.err.contains("teacher: train_teacher runs") && said.err.contains("--force teacher"),
            "{}",
            said.err
        );
    }
    let plan = bench.sida(&["plan", &only]).exits(0);
    assert!(plan.out.contains("teacher"), "{}", plan.out);
    let forced = bench.sida(&["run", &only, "--force", "teacher"]).exits(4);
    assert_eq!(forced.err.matches("teacher: train_teacher runs").count(), 2);
    bench.sida(&["run", &only, "--point", "2"]).exits(4);
}

#[test]
fn what_the_command_line_sets_is_never_lost() {
    let bench = Bench::new();
    let file = sweep(&bench, LR, CELL);
    let refused = bench.sida(&["run", &file, "--set", "stages.teacher.train_teacher.lr=0.5"]).exits(2);
    for part in ["sweep.yaml:3:17:", "sets what the axis `lr` varies", "axes.lr.values=[...]"] {
        assert!(refused.err.contains(part), "{}", refused.err);
    }
    let set = ["--set", "axes.lr.values=[0.5]", "--set", "seed=7"];
    let plan = bench.sida(&[&["plan", &file, "--json"][..], &set].concat()).exits(0);
    let plan: Value = serde_json::from_str(&plan.out).unwrap();
    assert_eq!(plan["points"].as_array().unwrap().len(), 1);
    assert_eq!(plan["points"][0]["plan"]["seed"], 7);
    let wrong = bench
        .sida(&[
            "check",
            &bench.write("w.yaml", "base: base.yaml\naxes: { lr: { paths: [seed], values: [1, 1.0] } }"),
        ])
        .exits(2);
    assert!(wrong.err.contains("stands twice"));
    let nowhere = bench.sida(&["plan", &file, "--set", "axes.rl.values=[1]"]).exits(2);
    assert!(nowhere.err.contains("did you mean `lr`?"), "{}", nowhere.err);
    bench.sida(&["run", &file, "--until", "teacher", "--point", "lr=1.0e-5"]).exits(0);
    assert!(bench.runs().join("sweep/points/lr=1e-5").is_dir());
    assert!(!bench.runs().join("sweep/sweep.json").exists(), "one point is no sweep");
    bench.sida(&["run", &file, "--point", "lr=2"]).exits(2).complains(&["has 2 points and not that one"]);
}

/// Everything of a sweep but times: weights and statistics of the trainings, and the numbers of its page.
fn results(bench: &Bench) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut found: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for stage in
        fs::read_dir(bench.runs().join("_store")).unwrap().flatten().filter(|entry| entry.path().is_dir())
    {
        for file in fs::read_dir(stage.path()).unwrap().flatten().map(|entry| entry.path()) {
            let name = file.strip_prefix(bench.runs()).unwrap().display().to_string();
            let counts =
                ["safetensors", "jsonl", "png"].iter().any(|e| file.extension().is_some_and(|of| of == *e));
            found.extend(counts.then(|| (name, lines(&file))));
        }
    }
    let mut page = json(&bench.runs().join("sweep/sweep.json"));
    page.as_object_mut().unwrap().remove("provenance");
    found.push(("sweep.json".to_owned(), vec![page.to_string().into_bytes()]));
    for name in ["sweep.csv", "sweep.tex"] {
        found.push((name.to_owned(), lines(&bench.runs().join("sweep").join(name))));
    }
    found.sort();
    found
}

#[test]
fn a_search_stops_the_worse_half_and_goes_on_with_the_better_whoever_runs_it() {
    let axes =
        "  lr: { paths: [stages.teacher.train_teacher.lr], values: [1.0e-6, 1.0e-5, 1.0e-4, 1.0e-3, 0.3] }";
    // Three statuses in all.
    let guard = "set: { stages.teacher.train_teacher.guard: { patience: 2 } }";
    let rest =
        format!("{CELL}\n{guard}\nsearch: {{ halving: {{ keep: 0.5, rungs_kimg: [0.1, 0.2, 0.3] }} }}");
    let one = Bench::new();
    let file = sweep(&one, axes, &rest);
    // The one that diverges is a result, too.
    one.sida(&["run", &file]).exits(4);
    let written = json(&one.runs().join("sweep/sweep.json"));
    let points = written["points"].as_array().unwrap();
    let rungs = |i: usize| -> Vec<f64> {
        points[i]["rungs"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    // What halving means, from the values themselves: of all that are at a rung, the better half goes on.
    let mut live: Vec<usize> = (0..points.len()).collect();
    for (rung, kimg) in [0.1, 0.2, 0.3].into_iter().enumerate() {
        let mut ranked: Vec<usize> = live.iter().copied().filter(|i| rungs(*i).len() > rung).collect();
        ranked.sort_by(|a, b| rungs(*a)[rung].total_cmp(&rungs(*b)[rung]));
        for i in live.iter().filter(|i| !ranked.contains(i)) {
            assert_eq!(points[*i]["end"], "diverged", "{i} at {kimg} kimg");
        }
        if rung == 2 {
            assert!(ranked.iter().all(|i| points[*i]["end"] == "measured") && !ranked.is_empty());
            let best = written.pointer("/best/label");
            assert!(best.is_none() || best == Some(&points[ranked[0]]["label"]), "{best:?}");
            live = ranked;
            break;
        }
        let on = ranked.split_off(0).into_iter().take(live.len().div_ceil(2)).collect::<Vec<_>>();
        for i in live.iter().filter(|i| !on.contains(i) && points[**i]["end"] != "diverged") {
            assert_eq!(points[*i]["stopped_at_kimg"], kimg, "{i}");
        }
        live = on;
    }
    let ended = |end: &str| points.iter().filter(|point| point["end"] == end).count();
    assert!(ended("stopped") >= 2 && ended("diverged") == 1, "{written}");
    let page = fs::read_to_string(one.runs().join("sweep/sweep.html")).unwrap();
    assert!(page.contains("<h2>Search</h2>") && page.contains("stopped at 0.1 kimg"));

    // A longer training that continued is the same as one without a search.
    let label = points[live[0]]["label"].as_str().unwrap();
    let plain = Bench::new();
    let alone = sweep(&plain, axes, CELL);
    plain.sida(&["run", &alone, "--point", label]).exits(0);
    let weights = |bench: &Bench| -> Vec<Vec<u8>> {
        let home = bench.runs().join("sweep/points").join(label);
        // Of the last rung.
        let artifact = |dir: &Path| json(&dir.join("artifact.json"))["artifact"]["network"].clone();
        let teachers = folders(&home, "teacher").into_iter().filter(|dir| artifact(dir)["nimg"] == 320);
        teachers.map(|dir| fs::read(dir.join(artifact(&dir)["weights"].as_str().unwrap())).unwrap()).collect()
    };
    assert_eq!(weights(&plain).len(), 1);
    assert_eq!(weights(&one), weights(&plain));

    let two = Bench::new();
    let file = sweep(&two, axes, &rest);
    let children = [two.start(&["run", &file]), two.start(&["run", &file])];
    for child in children {
        program::Said::end(child).exits(4);
    }
    assert!(results(&one) == results(&two), "two processes give what one gives");
    one.sida(&["run", &sweep(&one, axes, &rest), "--points", "1/2"])
        .exits(2)
        .complains(&["points wait for each other"]);
}

#[test]
fn a_sweep_that_was_killed_and_shared_ends_with_the_same_bytes() {
    let one = Bench::new();
    one.sida(&["run", &sweep(&one, &format!("{LR}\n{SEED}"), CELL)]).exits(0);
    let two = Bench::new();
    let file = sweep(&two, &format!("{LR}\n{SEED}"), CELL);
    let mut first = two.start(&["run", &file]);
    assert!(wait(&mut first, |child| works_in(child, &two.runs())));
    let second = two.start(&["run", &file]);
    signal(&first, "KILL");
    first.wait().unwrap();
    program::Said::end(second).exits(0);
    assert!(results(&one) == results(&two));
}

#[test]
fn labels_are_text_in_every_format() {
    let bench = Bench::new();
    let axes = "  'x</td><script>|\\input{a}': { paths: [description], values: ['=cmd()', \"a\\nb|c\", '\\end{tabular}&'] }";
    let file = sweep(&bench, axes, "set: { stages.scores.evaluate.trials: 2 }");
    bench.sida(&["run", &file]).exits(0);
    let home = bench.runs().join("sweep");
    let text = |name: &str| fs::read_to_string(home.join(name)).unwrap();
    let page = text("sweep.html");
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    assert!(
        text("sweep.md")
            .lines()
            .filter(|line| line.starts_with('|'))
            .all(|line| line.matches(" |").count() == 4)
    );
    assert_eq!(text("sweep.csv").lines().count(), 4);
    assert_eq!(fs::read_dir(home.join("points")).unwrap().count(), 3);
    let written = json(&home.join("sweep.json"));
    assert!(
        written["points"]
            .as_array()
            .unwrap()
            .iter()
            .all(|point| home.join(point["page"].as_str().unwrap()).is_file())
    );
}
