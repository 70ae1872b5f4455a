//! `report.md`: what a forge or a note shows.

use std::fmt::Write as _;

use super::{
    data::ReportData,
    escape::{link, markdown as escape},
    heading::Heading,
    number::{DASH, duration, memory, rate},
    table::Table,
};

/// The report as Markdown.
pub fn markdown(data: &ReportData) -> String {
    let mut out = format!("# {}\n\n", escape(&data.caption));
    verdict(&mut out, data);
    if !data.description.trim().is_empty() {
        let _ = writeln!(out, "{}\n", escape(&data.description));
    }
    table(&mut out, data, true);
    expectations(&mut out, data, "##");
    let pictures: Vec<_> = data.grids.iter().filter_map(|g| Some((g, g.path.as_ref()?))).collect();
    if !pictures.is_empty() {
        out.push_str("\n## Images\n");
    }
    for (grid, path) in pictures {
        let _ = write!(out, "\n{}\n\n![{0}]({})\n", escape(&grid.caption), link(path));
    }
    provenance(&mut out, data);
    out
}

/// Its verdict, table and expectations alone, without links: for places where no file lies beside it.
pub fn brief(data: &ReportData) -> String {
    let mut out = format!("### {}\n\n", escape(&data.caption));
    verdict(&mut out, data);
    table(&mut out, data, false);
    expectations(&mut out, data, "####");
    out
}

/// A run that failed, in the same places.
pub fn failed(pipeline: &str, error: &str) -> String {
    format!("### {}\n\n**FAILED**: {}\n", escape(pipeline), escape(error))
}

fn verdict(out: &mut String, data: &ReportData) {
    let (verdict, sentence) = (data.verdict().word(), data.verdict_sentence());
    let _ = writeln!(out, "**{verdict}**: {sentence}. Pipeline {}.\n", escape(&data.whole_name()));
}

fn table(out: &mut String, data: &ReportData, links: bool) {
    let table = Table::of(data);
    let heading = |h: &Heading| format!(" {}{} |", escape(&h.name), h.arrow());
    let _ = writeln!(out, "| |{}", table.headings.iter().map(heading).collect::<String>());
    let _ = writeln!(out, "| :-- |{}", " --: |".repeat(table.headings.len()));
    for row in &table.rows {
        let title = escape(&row.title());
        let _ = match row.folder.as_ref().filter(|_| links) {
            Some(folder) => write!(out, "| [{title}]({}) |", link(folder)),
            None => write!(out, "| {title} |"),
        };
        for cell in &row.cells {
            let _ = write!(out, " {} |", cell.line("±", ["**", "**"]));
        }
        out.push('\n');
    }
    for note in table.notes() {
        let _ = write!(out, "\n{note}\n");
    }
}

fn expectations(out: &mut String, data: &ReportData, level: &str) {
    if data.expectations.is_empty() {
        return;
    }
    let _ = write!(out, "\n{level} Expectations\n\n| | stage | metric | value | expected | source |\n");
    out.push_str("| :-- | :-- | :-- | --: | :-- | :-- |\n");
    for (stage, verdict) in &data.expectations {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            if verdict.pass { "pass" } else { "**FAIL**" },
            escape(stage),
            escape(&verdict.expected.metric),
            verdict.written(),
            verdict.limits(),
            escape(verdict.expected.source.as_deref().unwrap_or_default())
        );
    }
}

fn provenance(out: &mut String, data: &ReportData) {
    let provenance = &data.provenance;
    out.push_str("\n## Provenance\n\n");
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "- {}: {}", escape(name), escape(value));
        }
    };
    fact("date", &provenance.date);
    fact("device", &provenance.device);
    fact("seed", &provenance.seed.to_string());
    provenance.facts().into_iter().for_each(|(name, value)| fact(name, value));
    if !provenance.stages.is_empty() {
        out.push_str("\n| stage | verb | key | wall time | speed | peak memory |\n");
        out.push_str("| :-- | :-- | :-- | --: | --: | --: |\n");
    }
    for stage in &provenance.stages {
        let known = |value: Option<f64>, write: fn(f64) -> String| value.map_or(DASH.to_owned(), write);
        let time = known(stage.seconds, duration);
        let (speed, peak) = (known(stage.images_per_second, rate), known(stage.peak_memory_mib, memory));
        let (name, verb, key) = (escape(&stage.stage), escape(&stage.verb), escape(&stage.key));
        let _ = writeln!(out, "| {name} | {verb} | {key} | {time} | {speed} | {peak} |");
    }
}
