//! The comparison for a terminal.

use super::{
    Comparison, NAMES,
    pairs::Pair,
    side::{ComparedStage, Side},
    value::written,
};
use crate::{
    report::number::{DASH, duration},
    terminal::name,
};

/// Who is who, the metrics, what differs in settings, stages and pictures, and the wall times.
pub fn text(comparison: &Comparison<'_>) -> String {
    let sections = [
        who(comparison),
        scores(comparison),
        settings(comparison),
        pictures(comparison),
        wall_times(comparison),
    ];
    let mut sections: Vec<String> =
        sections.into_iter().filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n")).collect();
    if comparison.is_same() {
        sections.push("nothing differs".to_owned());
    }
    sections.join("\n\n")
}

fn who(comparison: &Comparison<'_>) -> Vec<String> {
    let lines = |(side, letter): (&Side, &str)| {
        let identity = &side.identity;
        let facts = identity.facts().into_iter().map(|(what, fact)| format!("{what} {}", name(&fact)));
        [
            format!("{letter}  {}", name(&identity.path)),
            format!("   {}", name(&identity.what)),
            format!("   {}", facts.collect::<Vec<_>>().join("; ")),
        ]
    };
    [comparison.a, comparison.b].into_iter().zip(NAMES).flat_map(lines).collect()
}

fn scores(comparison: &Comparison<'_>) -> Vec<String> {
    if comparison.scores.is_empty() {
        return vec!["no scores in either".to_owned()];
    }
    let mut rows = vec![["score", "A", "B", "B - A", "change", ""].map(str::to_owned)];
    rows.extend(comparison.scores.iter().map(|pair| {
        let [a, b, difference, change] = pair.written();
        [name(&pair.name).into_owned(), a, b, difference, change, pair.words()]
    }));
    table(&rows)
}

fn settings(comparison: &Comparison<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if comparison.settings.is_empty() {
        lines.push("all settings are the same".to_owned());
    } else {
        lines.push("settings that differ".to_owned());
    }
    lines.extend(comparison.settings.iter().map(|pair| {
        let [a, b] = pair.of.each_ref().map(|value| written(value.as_ref()));
        format!("  {}: {} -> {}", name(&pair.path), name(&a), name(&b))
    }));
    for (i, letter) in NAMES.iter().enumerate() {
        let only: Vec<String> = comparison
            .only(i)
            .map(|(stage, of)| name(&format!("{stage} ({})", of.verb)).into_owned())
            .collect();
        if !only.is_empty() {
            lines.push(format!("only in {letter}: {}", only.join(", ")));
        }
    }
    lines
}

fn pictures(comparison: &Comparison<'_>) -> Vec<String> {
    let line = |(pair, _): (&Pair<'_>, _)| Some(format!("{}: {}", name(&files(pair)), verdict(pair)?));
    comparison.shared().filter_map(line).collect()
}

/// `sid/fakes-0000030016.png`; both where they differ.
fn files(pair: &Pair<'_>) -> String {
    let file = |(stage, of): &(&str, &ComparedStage)| Some(format!("{stage}/{}", of.picture.as_ref()?.name));
    let mut files: Vec<String> = pair.of.iter().flatten().filter_map(file).collect();
    files.dedup();
    files.join(", ")
}

/// Whether the pictures of two stages are the same; `None` where there are none.
pub(super) fn verdict(pair: &Pair<'_>) -> Option<&'static str> {
    let [a, b] = pair.both()?.map(|stage| stage.picture.is_some());
    match (a, b, pair.same_picture()?) {
        (true, true, true) => Some("the same images, byte by byte"),
        (true, true, false) => Some("different images"),
        (true, ..) => Some("only in A"),
        _ => Some("only in B"),
    }
}

fn wall_times(comparison: &Comparison<'_>) -> Vec<String> {
    let times = comparison.wall_times();
    if times.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![["wall time", "A", "B"].map(str::to_owned)];
    rows.extend(times.into_iter().map(|(stage, times)| {
        let [a, b] = times.map(|seconds| seconds.map_or(DASH.to_owned(), duration));
        [name(&stage).into_owned(), a, b]
    }));
    table(&rows)
}

/// Rows as aligned columns; the first is flush left, a last one without a heading too, the others right.
fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let count = |text: &str| text.chars().count();
    let widths: [usize; N] =
        std::array::from_fn(|i| rows.iter().map(|row| count(&row[i])).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cell = |(i, text): (usize, &String)| {
            let width = widths[i];
            let left = i == 0 || rows[0][i].is_empty();
            if left { format!("{text:<width$}") } else { format!("{text:>width$}") }
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
