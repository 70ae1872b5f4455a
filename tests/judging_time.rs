//! Files of every kind that anybody sends are judged in a moment, however large: up to the 4 MiB that are read at all.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sida::pipeline::{Mistake, Source};

/// A file takes less than two seconds of a processor; this one may be slow.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 5 });
const LARGEST: usize = 4 << 20;
static ALONE: Mutex<()> = Mutex::new(());

const DATASET: &str =
    "stages:\n  d:\n    prepare_dataset: { source: { edm: { path: datasets/digits-8x8.zip } } }\n";
const TEACHER: &str = "  t:
    train_teacher:
      dataset: d
      network: { ddpmpp: { img_resolution: 8, img_channels: 1 } }
      duration_kimg: 1
      batch_size: 4
      augment: 0
";

/// A beginning, and then as many lines as there are, or as fit.
fn lines(begin: &str, count: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = begin.to_owned();
    for i in 0..count {
        let line = line(i);
        if text.len() + line.len() > LARGEST {
            break;
        }
        text += &line;
    }
    text
}

/// The processor's time that this process took, where the system tells it: a busy machine makes nothing slower then.
fn clock(since: Instant) -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace());
    let ticks: Option<u64> =
        fields.and_then(|fields| fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().ok()).sum());
    ticks.map_or_else(|| since.elapsed(), |ticks| Duration::from_millis(10 * ticks))
}

/// Judges a text as a file of a folder, and says how many mistakes it has.
#[track_caller]
fn judged(folder: &Path, name: &str, text: String) -> Vec<Mistake> {
    assert!(text.len() <= LARGEST, "{name} is a file that is read");
    let path = folder.join(format!("{name}.yaml"));
    fs::write(&path, text).unwrap();
    // One at a time: they are timed.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let since = Instant::now();
    let started = clock(since);
    let mistakes = Source::read(&path).unwrap().judge(&[]).err().unwrap_or_default();
    let text = sida::pipeline::mistake::as_error(mistakes.clone()).to_string();
    let took = clock(since).saturating_sub(started);
    println!("{name}: {} mistakes in {:.2} s", mistakes.len(), took.as_secs_f64());
    assert!(took < PATIENCE, "{name} took {took:?}");
    assert!(text.len() < 1 << 20, "{name}: {} bytes are more than anybody reads", text.len());
    mistakes
}

fn distill(name: &str, teacher: &str, more: &str) -> String {
    let values = format!("teacher: {teacher}, method: {{ sid: {{}} }}, augment: 0, batch_size: 4{more}");
    format!("  {name}:\n    distill: {{ duration_kimg: 1, {values} }}\n")
}

#[test]
fn many_stages_are_judged_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let judged = |name: &str, text: String| judged(folder.path(), name, text).len();
    let begin = format!("{DATASET}{TEACHER}");
    let dataset = |i| format!("  d{i}:\n    prepare_dataset: {{ source: {{ edm: {{ path: x.zip }} }} }}\n");
    assert_eq!(judged("stages", lines("stages:\n", 20_000, dataset)), 0);
    let follows = |i: usize| i.checked_sub(1).map_or("t".to_owned(), |i| format!("x{i}"));
    assert_eq!(judged("chain", lines(&begin, 20_000, |i| distill(&format!("x{i}"), &follows(i), ""))), 0);
    let back = |i: usize| distill(&format!("x{}", 19_999 - i), &follows(19_999 - i), "");
    assert_eq!(judged("backwards", lines(&begin, 20_000, back)), 0);
    let around = |i: usize| distill(&format!("x{i}"), &format!("x{}", (i + 1) % 20_000), "");
    assert_eq!(judged("ring", lines(&begin, 20_000, around)), 1);
    let star = |i: usize| distill(&format!("x{i}"), "t", ", dataset: d");
    assert_eq!(judged("star", lines(&begin, 20_000, star)), 0);
}

#[test]
fn many_mistakes_are_found_and_the_first_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let judged = |name: &str, text: String| judged(folder.path(), name, text).len();
    let begin = format!("{DATASET}{TEACHER}");
    assert_eq!(judged("verbs", lines(DATASET, 60_000, |i| format!("  s{i}:\n    nope: {{}}\n"))), 60_000);
    assert_eq!(judged("twice", lines(DATASET, 100_000, |i| format!("seed: {i}\n"))), 99_999);
    assert_eq!(judged("keys", lines(DATASET, 200_000, |i| format!("k{i}: 1\n"))), 200_000);
    assert_eq!(judged("empty", lines(DATASET, 100_000, |i| format!("  s{i}: {{}}\n"))), 100_000);
    assert!(judged("names", lines(DATASET, 100_000, |i| format!("  S{i}: {{}}\n"))) >= 100_000);
    let absent = |i: usize| distill(&format!("x{i}"), &format!("absent{i}"), "");
    assert_eq!(judged("references", lines(&begin, 20_000, absent)), 20_000);
    let range =
        |i: usize| distill(&format!("x{i}"), "t", ", microbatch_size: 0").replace("kimg: 1", "kimg: -1");
    assert_eq!(judged("ranges", lines(&begin, 20_000, range)), 40_000);
    let row = |i: usize| format!("      - {{ label: r{i}, scores: {{ stage: absent{i} }} }}\n");
    let table = format!("{begin}  r:\n    report:\n      caption: x\n      columns: [nfe]\n      rows:\n");
    assert_eq!(judged("rows", lines(&table, 60_000, row)), 60_000);
    let mut line = "{".to_owned();
    (0..300_000).for_each(|i| write!(line, "k{i}: 1, ").unwrap());
    assert_eq!(judged("one-line", line + "}"), 300_001);
}

#[test]
fn what_is_made_of_other_files_is_judged_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = |i| format!("  d{i}:\n    prepare_dataset: {{ source: {{ edm: {{ path: x.zip }} }} }}\n");
    fs::write(folder.path().join("many.yaml"), lines("stages:\n", 20_000, dataset)).unwrap();
    fs::write(folder.path().join("few.yaml"), format!("{DATASET}{TEACHER}")).unwrap();
    let judged = |name: &str, text: String| judged(folder.path(), name, text);
    let set = |i| format!("  stages.d{i}.prepare_dataset.source.edm.path: y\n");
    assert!(judged("set", lines("base: many.yaml\nset:\n", 20_000, set)).is_empty());
    let lost = |i| format!("  stages.e{i}.prepare_dataset.source.edm.path: y\n");
    assert_eq!(judged("lost", lines("base: many.yaml\nset:\n", 20_000, lost)).len(), 20_000);
    let removed = |i| format!("  - d{i}\n");
    assert!(judged("remove", lines("base: many.yaml\nremove:\n", 19_999, removed)).is_empty());
    assert!(judged("add", lines("base: few.yaml\nstages:\n", 20_000, dataset)).is_empty());
    let axis = |i| format!("  a{i}: {{ paths: [seed], values: [{i}] }}\n");
    // All of them set the same.
    assert_eq!(judged("axes", lines("base: few.yaml\naxes:\n", 20_000, axis)).len(), 19_999);
    let values = (0..10_000).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let points = format!("base: few.yaml\naxes: {{ seed: {{ paths: [seed], values: [{values}] }} }}\n");
    assert!(judged("points", points).is_empty());
    let values = (0..21).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let text = format!("base: many.yaml\naxes: {{ a: {{ paths: [seed], values: [{values}] }} }}\n");
    let many = judged("too-many", text);
    assert!(many[0].message.contains("are too many"), "{many:?}");
}

#[test]
fn what_is_no_pipeline_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.yaml");
    fs::write(&path, "x".repeat(LARGEST + 1)).unwrap();
    let error = Source::read(&path).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("more than the 4194304 bytes"), "{error}");
    #[cfg(unix)]
    assert_eq!(Source::read(Path::new("/dev/zero")).unwrap_err().exit_code(), 2);

    let says = |name: &str, text: String, words: &str| {
        let mistakes = judged(folder.path(), name, text);
        assert!(
            mistakes.iter().any(|mistake| mistake.message.contains(words)),
            "{name}: {}",
            mistakes[0].message
        );
    };
    says("values", format!("a: [{}]", "1,".repeat(1_500_000)), "more than a million values");
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    (1..12).for_each(|i| writeln!(laughs, "a{i}: &a{i} [{}]", format!("*a{}, ", i - 1).repeat(10)).unwrap());
    says("laughs", laughs, "too many");
    says("deep", "[".repeat(LARGEST), "");
    says("key", format!("? {}\n: 1\n", "k".repeat(LARGEST - 10)), "a key has more than 1024 characters");
    says("text", format!("description: \"{}\"\n", "x".repeat(LARGEST - 20)), "`stages` is missing");
}
