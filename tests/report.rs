//! A report as it comes out of a pipeline, and one whose every word is hostile, in every format.

use std::{collections::BTreeSet, fs::File, io::Read, path::PathBuf};

use indexmap::IndexMap;
use sida::report::{
    self, Chart, Expectation, Grid, Invocation, Line, Mark, MeasuredRow, Overall, Provenance, ReportData,
    Row, RunError, RunResult, Scale, ScoresOf, Snapshot, StageCurves, StageRun, StageSettings, Verdict,
};
use sida::{metrics::Score, stage_name::StageName};

/// A digits pipeline of plausible numbers. Its files are left in the target's temporary folder, to be looked at.
fn realistic() -> ReportData {
    let pixels = "fd_pixels_2000";
    let conv = "fd_random_conv_2000";
    let scores = |p: &[f64], c: &[f64]| {
        IndexMap::from([
            (pixels.to_owned(), Score::of_trials(p.to_vec())),
            (conv.to_owned(), Score::of_trials(c.to_vec())),
        ])
    };
    let measured = [
        (
            "Teacher, Heun 18 steps",
            "teacher_scores",
            35,
            scores(&[0.233, 0.253, 0.273], &[0.0288, 0.031, 0.0272]),
        ),
        ("SiD", "sid_scores", 1, scores(&[0.471, 0.54, 0.41], &[0.09, 0.0951, 0.0847])),
        ("SiDA", "sida_scores", 1, scores(&[0.362, 0.40, 0.33], &[0.056, 0.0601, 0.0514])),
        ("SiD2A", "sid2a_scores", 1, scores(&[0.307, 0.315, 0.299], &[0.061, 0.0587, 0.0634])),
    ];
    let row = |(label, stage, nfe, measured): &(&str, &str, u32, IndexMap<String, Score>)| MeasuredRow {
        asked: Row {
            label: (*label).into(),
            scores: Some(ScoresOf { stage: StageName::new(*stage), pipeline: None }),
            ..Row::default()
        },
        nfe: Some(*nfe),
        measured: measured.clone(),
        folder: Some(format!("{stage}-5e1f0c7a")),
    };
    let expect = |stage: &str, metric: &str, at_most: f64, value: f64| {
        let expected = Expectation {
            metric: metric.into(),
            at_most: Some(at_most),
            source: Some("measured with the reference's networks, 0.471 ± 0.054".into()),
            ..Expectation::default()
        };
        (stage.to_owned(), Verdict { expected, value, pass: value <= at_most, compared: None })
    };
    let mut rows: Vec<MeasuredRow> = measured.iter().map(row).collect();
    rows[2].asked.published.insert(conv.into(), 0.056);
    ReportData {
        caption: "Handwritten digits, one step against the teacher's 35 network evaluations".into(),
        point: None,
        pipeline: "quickstart".into(),
        description: "Trains a tiny EDM teacher on 1,797 real handwritten digits, distills it to one step with SiD, \
                      SiDA and SiD2A, and measures all of them against the teacher. Minutes on a CPU; nothing is \
                      downloaded."
            .into(),
        columns: vec!["nfe".into(), pixels.into(), conv.into()],
        scores: measured.iter().map(|(_, stage, _, scores)| ((*stage).to_owned(), scores.clone())).collect(),
        rows,
        expectations: vec![
            expect("teacher_scores", pixels, 0.35, 0.253),
            expect("sid_scores", pixels, 0.70, 0.4737),
            expect("sida_scores", pixels, 0.50, 0.364),
            expect("sid2a_scores", pixels, 0.45, 0.307),
            expect("sid2a_scores", conv, 0.10, 0.061),
        ],
        curves: vec![training(), distillation("sid", "distill, SiD", false), distillation("sida", "distill, SiDA", true)],
        grids: grids(),
        settings: vec![
            settings("digits", "prepare_dataset", r#"{"source":{"edm":{"path":"datasets/digits-8x8.zip","use_labels":true}}}"#),
            settings("teacher", "train_teacher", r#"{"dataset":"digits","network":{"ddpmpp":{"img_resolution":8,"img_channels":1,"label_dim":10,"model_channels":16,"channel_mult":[1,2]}},"duration_kimg":50,"batch_size":64,"lr":0.002}"#),
            settings("sid", "distill", r#"{"teacher":"teacher","method":{"sid":{"alpha":1.0,"tmax":800}},"generator":{"lr":0.0003},"fake_score":{"lr":0.001}}"#),
        ],
        provenance: Provenance {
            date: "2026-11-22 23:41 UTC".into(),
            key: "0123456789abcdef0123456789abcdef".into(),
            invocation: Invocation {
                file: "pipelines/digits.yaml".into(),
                sha256: "ab".repeat(32),
                command: "sida run pipelines/digits.yaml --set 'seed=<3>'".into(),
                commit: Some("0123abc-dirty".into()),
            },
            seed: 0,
            device: "CPU, 2 threads".into(),
            versions: IndexMap::from(
                [("sida", "0.1.0"), ("Burn", "0.22.1"), ("features", "flex, autodiff"), ("system", "Linux x86-64")]
                    .map(|(name, version)| (name.to_owned(), version.to_owned())),
            ),
            stages: [("digits", "prepare_dataset", 0.21), ("teacher", "train_teacher", 61.4), ("sid", "distill", 48.9), ("sida", "distill", 71.0), ("sid2a", "distill", 52.7), ("teacher_scores", "evaluate", 14.2), ("sid_scores", "evaluate", 14.2), ("sida_scores", "evaluate", 14.2), ("sid2a_scores", "evaluate", 14.2)]
                .map(|(stage, verb, seconds)| StageRun {
                    stage: stage.into(),
                    verb: verb.into(),
                    key: "5e1f0c7ab2949d3380ee".into(),
                    folder: Some(format!("{stage}-5e1f0c7a")),
                    seconds: Some(seconds),
                    device: "CPU".into(),
                    date: "2026-11-22 23:38 UTC".into(),
                    images_per_second: (verb == "distill").then_some(412.3),
                    peak_memory_mib: Some(61.4),
                })
                .into(),
        },
    }
}

fn settings(stage: &str, verb: &str, values: &str) -> StageSettings {
    let values = serde_json::from_str(values).expect("JSON");
    StageSettings { stage: stage.into(), verb: verb.into(), values }
}

/// A falling curve with the noise of small batches.
fn curve(label: &str, kimg: u32, from: f64, to: f64, noise: f64) -> Line {
    let mut state = label.len() as u64 + 7;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1u32 << 24) - 0.5
    };
    let points = (0..=kimg * 4).map(|i| {
        let t = f64::from(i) / 4.0;
        [t, (to + (from - to) * (-5.0 * t / f64::from(kimg)).exp()) * (1.0 + noise * random())]
    });
    Line { label: label.into(), points: points.collect() }
}

fn training() -> StageCurves {
    let chart = |title: &str, unit: &str, lines: Vec<Line>| Chart {
        title: title.into(),
        unit: unit.into(),
        lines,
        ..Chart::default()
    };
    StageCurves {
        stage: "teacher".into(),
        title: "train_teacher".into(),
        charts: vec![
            chart("Loss", "", vec![curve("loss", 50, 1.4, 0.18, 0.2)]),
            chart("Gradient norm", "", vec![curve("norm", 50, 3.0, 0.3, 0.5)]),
            chart("Speed", "s per kimg", vec![curve("speed", 50, 1.3, 1.22, 0.06)]),
        ],
        ..StageCurves::default()
    }
}

fn distillation(stage: &str, title: &str, adversarial: bool) -> StageCurves {
    let marks = if adversarial {
        vec![
            Mark { kimg: 2.0, label: "generator starts".into() },
            Mark { kimg: 14.0, label: "adversarial term".into() },
        ]
    } else {
        Vec::new()
    };
    let mut losses = vec![curve("fake score", 20, 0.9, 0.25, 0.3), curve("generator", 20, 40.0, 2.0, 0.5)];
    if adversarial {
        losses.push(curve("discriminator", 20, 0.69, 0.6, 0.1));
        losses[1].points[30][1] = f64::NAN;
    }
    let distance = |label: &str, values: [f64; 4]| Line {
        label: label.into(),
        points: values.into_iter().zip([5.0, 10.0, 15.0, 20.0]).map(|(v, k)| [k, v]).collect(),
    };
    StageCurves {
        stage: stage.into(),
        title: title.into(),
        charts: vec![
            Chart { title: "Losses".into(), lines: losses, marks, ..Chart::default() },
            Chart {
                title: "Distance of snapshots".into(),
                lines: vec![
                    distance("FD, pixels", [0.76, 0.61, 0.53, 0.471]),
                    distance("FD, random conv", [0.15, 0.12, 0.1, 0.09]),
                ],
                scale: Scale::Linear,
                ..Chart::default()
            },
            Chart {
                title: "Gradient norms".into(),
                lines: vec![curve("fake score", 20, 2.0, 0.4, 0.6), curve("generator", 20, 90.0, 11.0, 0.6)],
                ..Chart::default()
            },
        ],
        snapshots: snapshots(),
        snapshots_taken: 21,
    }
}

/// Four moments of a training, the third the best.
fn snapshots() -> Vec<Snapshot> {
    let snapshot = |(i, value): (usize, f64)| Snapshot {
        kimg: (i + 1) as f64 * 5.0,
        png: sheet(i as u32 * 40, 4),
        path: Some(format!("sid-5e1f0c7a/fakes-{i}.png")),
        measured: Some(("fd_pixels_2000".to_owned(), value)),
        is_best: i == 2,
        is_handed_on: i == 3,
    };
    [0.76, 0.61, 0.44, 0.471].into_iter().enumerate().map(snapshot).collect()
}

/// Real digits stand for all: `side` rows and columns of them.
fn sheet(first: u32, side: u32) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/digits-8x8.zip");
    let mut archive = zip::ZipArchive::new(File::open(path).expect("the digits")).expect("a zip");
    let mut grid = image::GrayImage::new(side * 8, side * 8);
    for i in 0..side * side {
        let mut bytes = Vec::new();
        let name = format!("00000/img{:08}.png", first + i);
        archive.by_name(&name).expect("an image").read_to_end(&mut bytes).expect("readable");
        let tile = image::load_from_memory(&bytes).expect("a PNG").into_luma8();
        image::imageops::replace(&mut grid, &tile, i64::from(i % side * 8), i64::from(i / side * 8));
    }
    let mut png = std::io::Cursor::new(Vec::new());
    grid.write_to(&mut png, image::ImageFormat::Png).expect("a PNG");
    png.into_inner()
}

fn grids() -> Vec<Grid> {
    [
        ("Real images", "1,797 digits", true),
        ("Teacher", "Heun, 18 steps, NFE 35", false),
        ("SiD", "one step", false),
        ("SiDA", "one step", false),
        ("SiD2A", "one step", false),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (caption, note, real))| Grid {
        caption: caption.into(),
        note: note.into(),
        stage: ["digits", "teacher", "sid", "sida", "sid2a"][i].into(),
        real,
        png: sheet(i as u32 * 100, 10),
        path: Some(format!("{caption} grid.png")),
    })
    .collect()
}

fn hostile() -> ReportData {
    const EVIL: &str = "</title><script>alert(1)</script><img src=x onerror=alert(2)> & \"q\" 'a' | \\input{x} $1_2^3 \
                        [l](javascript:x) ]]> %~# `c` \u{1b}[2J\u{202e}\0\nline";
    let mut data = realistic();
    let evil = || EVIL.to_owned();
    (data.caption, data.pipeline, data.description) = (evil(), evil(), evil());
    data.columns.push(evil());
    for row in &mut data.rows {
        row.asked.label = evil();
        row.measured.insert(
            evil(),
            Score { mean: f64::NAN, std: f64::INFINITY, min: f64::NAN, trials: vec![f64::NAN; 2] },
        );
    }
    data.scores.insert(evil(), data.rows[0].measured.clone());
    let expected =
        Expectation { metric: evil(), at_least: Some(1.0), source: Some(evil()), ..Expectation::default() };
    data.expectations.push((evil(), Verdict { expected, value: f64::NAN, pass: false, compared: None }));
    data.curves[0].stage = evil();
    data.curves[0].title = evil();
    let chart = &mut data.curves[2].charts[0];
    (chart.title, chart.unit, chart.lines[0].label, chart.marks[0].label) = (evil(), evil(), evil(), evil());
    (data.grids[0].caption, data.grids[0].note, data.grids[0].path) = (evil(), evil(), Some(evil()));
    data.grids[0].stage = evil();
    let snapshot = &mut data.curves[2].snapshots[0];
    (snapshot.path, snapshot.measured) = (Some(evil()), Some((evil(), f64::NAN)));
    data.settings.push(StageSettings {
        stage: evil(),
        verb: evil(),
        values: serde_json::json!({ EVIL: EVIL }),
    });
    data.provenance.versions.insert(evil(), evil());
    data.provenance.stages[0].stage = evil();
    (data.provenance.date, data.provenance.device) = (evil(), evil());
    data
}

/// A limit that SiD does not meet.
fn fail(data: &mut ReportData, at_most: f64) {
    let verdict = &mut data.expectations[1].1;
    (verdict.expected.at_most, verdict.pass) = (Some(at_most), false);
}

#[test]
fn files_of_a_realistic_report() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).expect("a folder");
    let files = report::write(&folder, "report", &realistic()).expect("written");
    let names = ["report.html", "report.md", "report.json", "report.csv", "report.tex"];
    assert_eq!(files, names.map(|name| folder.join(name)));
    let html = std::fs::read_to_string(folder.join("report.html")).expect("the page");
    for (open, close) in [
        ("<section", "</section>"),
        ("<table", "</table>"),
        ("<figure", "</figure>"),
        ("<svg", "</svg>"),
        ("<td", "</td>"),
    ] {
        assert_eq!(html.matches(open).count(), html.matches(close).count(), "{open}");
    }
    assert_eq!(html.matches("<svg").count(), 9);
    assert_eq!(html.matches("data:image/png;base64,").count(), 5 + 2 * 4);
    // A failing one, to be looked at too.
    let mut failing = realistic();
    fail(&mut failing, 0.4);
    std::fs::write(folder.join("failing.html"), report::html(&failing)).expect("written");
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"));
}

#[test]
fn the_json_is_the_contract() {
    let json = report::json(&realistic());
    assert_eq!(json["pipeline"], "quickstart");
    assert_eq!(json["verdict"], "pass");
    let score = &json["scores"]["sid_scores"]["fd_pixels_2000"];
    assert!((score["mean"].as_f64().expect("a number") - (0.471 + 0.54 + 0.41) / 3.0).abs() < 1e-12);
    assert!((score["min"].as_f64().expect("a number") - 0.41).abs() < 1e-12);
    assert_eq!(score["trials"].as_array().map(Vec::len), Some(3));
    let first = &json["expectations"][0];
    assert_eq!(
        (&first["stage"], &first["metric"], &first["at_most"], &first["value"], &first["pass"]),
        (&"teacher_scores".into(), &"fd_pixels_2000".into(), &0.35.into(), &0.253.into(), &true.into())
    );
    assert!(first["source"].is_string());
}

/// The values of an attribute, in the order of the page.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    html.split(&begin).skip(1).map(|rest| rest.split('"').next().expect("a value")).collect()
}

#[test]
fn every_link_within_the_page_leads_to_one_place() {
    for data in [realistic(), hostile()] {
        let html = report::html(&data);
        let ids = values(&html, "id");
        let named: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), named.len(), "an anchor is there twice: {ids:?}");
        let links: Vec<&str> =
            values(&html, "href").into_iter().filter_map(|link| link.strip_prefix('#')).collect();
        let lost: Vec<_> = links.iter().filter(|link| !named.contains(*link)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        // Rows, pictures and trainings lead to their stages, stages to their curves.
        for link in
            ["stage-sid_scores", "stage-sida", "stage-sid2a", "training-sid", "sample-1", "snapshot-sid-3"]
        {
            assert!(links.contains(&link), "{link}");
        }
    }
}

#[test]
fn each_picture_is_in_the_page_once_and_can_be_closed() {
    let html = report::html(&realistic());
    let pictures: Vec<&str> =
        values(&html, "src").into_iter().filter(|source| source.starts_with("data:image/png")).collect();
    // Both trainings are of the same digits.
    assert_eq!((pictures.len(), pictures.iter().collect::<BTreeSet<_>>().len()), (13, 5 + 4));
    assert_eq!(html.matches("class=\"close\"").count(), pictures.len());
    assert!(
        html.contains(r##"class="close" href="#sample-2-small""##) && html.contains(r#"id="sample-2-small""#)
    );
    assert!(html.contains("@media print"));
}

#[test]
fn the_best_snapshot_is_marked_and_each_has_its_time() {
    let html = report::html(&realistic());
    let strip = html.split("class=\"strip\"").nth(1).and_then(|rest| rest.split("class=\"charts\"").next());
    let figures: Vec<&str> = strip.expect("a strip").split("<figure").skip(1).collect();
    let [times, best, handed_on] = ["15 kimg", "best<", "handed on<"]
        .map(|word| figures.iter().map(|figure| figure.contains(word)).collect::<Vec<_>>());
    assert_eq!(times, [false, false, true, false]);
    assert_eq!((best, handed_on), (vec![false, false, true, false], vec![false, false, false, true]));
    assert!(figures[3].contains("of 4 among 21; below the time, FD, pixels ↓"), "{}", figures[3]);
}

#[test]
fn what_a_cell_says_is_said_once() {
    let mut data = realistic();
    let html = report::html(&data);
    assert!(!html.contains("<table class=\"expected\"") && !html.contains("xpectations</h2>"));
    assert_eq!(
        html.matches("measured with the reference&#39;s").count()
            + html.matches("measured with the reference's").count(),
        1
    );
    data.expectations[1].1.expected.metric = "is_2000".into();
    let html = report::html(&data);
    let table = html.split("Further expectations</h2>").nth(1).and_then(|rest| rest.split("</table>").next());
    let table = table.expect("a table of what no cell shows");
    assert!(table.matches("<tr>").count() == 2 && table.contains("is_2000"), "{table}");
}

#[test]
fn one_failed_expectation_fails_the_report() {
    let mut data = realistic();
    fail(&mut data, 0.3);
    assert_eq!(data.verdict(), Overall::Fail);
    assert_eq!(report::json(&data)["verdict"], "fail");
    assert!(report::html(&data).contains("4 of 5 expectations met"));
    let text = report::text(&data);
    assert!(text.contains("✗ sid_scores: fd_pixels_2000 is 0.4737, expected at most 0.3"), "{text}");
    assert!(text.trim_end().ends_with("FAIL: 4 of 5 expectations met"));
}

#[test]
fn where_nothing_is_expected_nothing_passes() {
    let mut data = ReportData { expectations: Vec::new(), ..realistic() };
    let says = |data: &ReportData, sentence: &str| {
        assert_eq!((data.verdict(), report::json(data)["verdict"].as_str()), (Overall::None, Some("none")));
        for text in [report::text(data), report::markdown(data), report::html(data)] {
            assert!(
                text.contains("NO VERDICT") && text.contains(sentence) && !text.contains("PASS"),
                "{text}"
            );
        }
    };
    says(&data, "nothing was expected of the numbers");
    data.rows.iter_mut().for_each(|row| row.measured.clear());
    says(&data, "nothing was measured");
}

#[test]
fn published_evaluations_are_shown() {
    let published = IndexMap::from([("nfe".to_owned(), 35.0), ("fid50k_full".to_owned(), 1.97)]);
    let row = |label: &str, nfe| MeasuredRow {
        asked: Row { label: label.into(), published: published.clone(), ..Row::default() },
        nfe,
        ..MeasuredRow::default()
    };
    let data = ReportData {
        columns: vec!["nfe".into(), "fid50k_full".into()],
        rows: vec![row("as published", None), row("the same", Some(35)), row("another", Some(1))],
        ..ReportData::default()
    };
    let cells: Vec<String> = report::markdown(&data)
        .lines()
        .filter(|line| line.contains("1.970"))
        .map(|line| line.split('|').nth(2).unwrap().trim().to_owned())
        .collect();
    assert_eq!(cells, ["35 (published)", "35", "35 (published) / 1"]);
    let csv = report::csv(&data);
    assert!(
        csv.starts_with("label,nfe,nfe_published,fid50k_full,") && csv.contains("as published,,35,"),
        "{csv}"
    );
}

#[test]
fn ci_is_told_what_failed_and_what_ended_the_run() {
    let mut data = realistic();
    fail(&mut data, 0.3);
    let run = RunResult {
        pipeline: "quick<start>".into(),
        expectations: vec![data.expectations[1].clone()],
        errors: vec![RunError {
            stage: Some("sida".into()),
            message: "stage `sida` diverged\u{1b}[2J & <more>".into(),
        }],
        ..RunResult::default()
    };
    let junit = report::junit(&run);
    for part in [
        r#"<testsuites name="quick&lt;start&gt;" tests="2" skipped="0" failures="1" errors="1""#,
        r#"classname="quick&lt;start&gt;.sid_scores""#,
        "fd_pixels_2000 is 0.4737, expected at most 0.3",
        r#"<testcase name="sida ends" classname="quick&lt;start&gt;.sida">"#,
        "stage `sida` diverged",
    ] {
        assert!(junit.contains(part), "`{part}` is not in\n{junit}");
    }
    assert!(!junit.contains('\u{1b}') && !junit.contains("time=\"-"), "{junit}");
}

#[test]
fn the_terminal_table() {
    let text = report::text(&realistic());
    let lines: Vec<&str> = text.lines().skip(2).take(6).collect();
    assert_eq!(
        lines,
        [
            "                           nfe   fd_pixels_2000                    fd_random_conv_2000",
            "  ────────────────────────────────────────────────────────────────────────────────────",
            "  Teacher, Heun 18 steps    35    0.253 ± 0.016                        0.0290 ± 0.0016",
            "  SiD                        1    0.474 ± 0.053                        0.0899 ± 0.0042",
            "  SiDA                       1    0.364 ± 0.029   0.0560 (published) / 0.0558 ± 0.0036",
            "  SiD2A                      1    0.307 ± 0.007                        0.0610 ± 0.0019",
        ]
    );
}

#[test]
fn hostile_words_stay_words() {
    let data = hostile();
    let html = report::html(&data);
    assert!(!html.contains("<script") && !html.contains("<img src=x"));
    assert!(html.contains("&lt;script&gt;alert(1)"));
    assert_eq!(html.matches("</title>\n").count(), 1);

    let run = RunResult {
        pipeline: data.pipeline.clone(),
        expectations: data.expectations.clone(),
        ..RunResult::default()
    };
    let junit = report::junit(&run);
    assert!(!junit.contains("<script") && !junit.contains('\u{1b}') && !junit.contains('\0'));
    assert_eq!(junit.matches("<testcase").count(), 6);

    let markdown = report::markdown(&data);
    assert!(!markdown.contains("<script") && !markdown.contains("](javascript"));
    let table: Vec<&str> = markdown.lines().skip_while(|l| !l.starts_with("| |")).take(6).collect();
    for line in table {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 6, "{line}");
    }

    let latex = report::latex(&data);
    assert!(!latex.contains("\\input") && latex.contains("\\textbackslash{}input\\{x\\}"));
    assert_eq!(latex.matches("\\\\\n").count(), 5);

    assert_eq!(report::csv(&data).matches("\r\n").count(), 5);
    assert_eq!(report::csv(&data).lines().count(), 5);
    let text = report::text(&data);
    assert!(!text.contains('\u{1b}') && !text.contains('\0') && !text.contains('\u{202e}'));
}

#[test]
fn what_is_no_number_is_a_dash_or_null() {
    let data = hostile();
    let json = serde_json::to_string(&report::json(&data)).expect("JSON");
    assert!(!json.contains("NaN") && !json.contains("inf"));
    let back: serde_json::Value = serde_json::from_str(&json).expect("JSON again");
    assert_eq!(back["verdict"], "fail");
    assert!(back["expectations"][5]["value"].is_null());
    for text in [
        report::html(&data),
        report::markdown(&data),
        report::latex(&data),
        report::csv(&data),
        report::text(&data),
    ] {
        assert!(!text.contains("NaN") && !text.contains("inf,") && !text.contains(">inf"));
    }
}

#[test]
fn an_empty_report_is_a_page() {
    let html = report::html(&ReportData::default());
    assert!(html.contains("</html>") && html.contains("nothing was measured"));
    assert!(report::text(&ReportData::default()).contains("NO VERDICT: nothing was measured"));
    assert_eq!(report::json(&ReportData::default())["verdict"], "none");
}
