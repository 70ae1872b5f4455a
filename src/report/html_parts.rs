//! The sections of the page.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    data::{Chart, Grid, ReportData},
    escape::{markup, markup_lines},
    number::{DASH, duration},
    svg,
    table::{Cell, Table},
};
use crate::metrics::Better;

/// A measured value outside the table.
pub(super) fn value(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or(DASH.to_owned(), |v| format!("{v:.4}").replace('-', "−"))
}

fn sign(pass: bool) -> (&'static str, &'static str) {
    if pass { ("pass", "✓") } else { ("fail", "✗") }
}

/// The table.
pub(super) fn results(table: &Table) -> String {
    let mut out = "<section>\n<h2>Results</h2>\n<div class=\"card scroll\"><table class=\"results\">\n<thead><tr><th></th>".to_owned();
    for heading in &table.headings {
        let (arrow, hint) = match heading.words.better {
            Some(Better::Lower) => (" ↓", " · lower is better"),
            Some(Better::Higher) => (" ↑", " · higher is better"),
            None => ("", ""),
        };
        let _ = write!(
            out,
            "<th class=\"num{}\" title=\"{}{hint}\">{}{arrow}<small>{}</small></th>",
            if heading.name == "nfe" { " nfe" } else { "" },
            markup(&heading.name),
            markup(&heading.words.title),
            markup(&heading.words.note)
        );
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", markup(&row.label));
        row.cells.iter().for_each(|cell| out.push_str(&self::cell(cell)));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    let notes = table.notes();
    if !notes.is_empty() {
        let _ = writeln!(out, "<p class=\"notes\">{}</p>", notes.join(" "));
    }
    out.push_str("</section>\n");
    out
}

fn cell(cell: &Cell) -> String {
    let mut out = format!("<td class=\"num{}\">", if cell.best { " best" } else { "" });
    if let Some(mean) = &cell.mean {
        let _ = write!(out, "<span class=\"value\">{mean}</span>");
    }
    if let Some(std) = &cell.std {
        let _ = write!(out, "<span class=\"spread\">± {std}</span>");
    }
    if let Some(share) = cell.share {
        let _ = write!(out, "<i class=\"bar\" style=\"--share:{share:.3}\"></i>");
    }
    for (limit, pass) in &cell.limits {
        let (class, sign) = sign(*pass);
        let _ = write!(out, "<span class=\"limit {class}\">{limit} {sign}</span>");
    }
    match (&cell.published, &cell.mean) {
        (Some(published), _) => {
            let _ = write!(out, "<span class=\"published\">published {published}</span>");
        }
        (None, None) => out.push_str(DASH),
        (None, Some(_)) => {}
    }
    out.push_str("</td>");
    out
}

/// Sample grids, each beside the others at the same size.
pub(super) fn samples(data: &ReportData) -> String {
    if data.grids.is_empty() {
        return String::new();
    }
    let grids: String = data.grids.iter().map(grid).collect();
    // Three beside one another are large enough to be read.
    let side = (1000 / data.grids.len()).saturating_sub(20).clamp(300, 460);
    format!(
        "<section>\n<h2>Samples</h2>\n<div class=\"grids\" style=\"--side:{side}px\">\n{grids}</div>\n</section>\n"
    )
}

fn grid(grid: &Grid) -> String {
    // Width and height of the first chunk, so that the page does not jump while images decode.
    let side =
        |at: usize| grid.png.get(at..at + 4).map(|b| b.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)));
    let size = match (side(16), side(20)) {
        (Some(width), Some(height)) => format!(" width=\"{width}\" height=\"{height}\""),
        _ => String::new(),
    };
    let note =
        if grid.note.is_empty() { String::new() } else { format!("<small>{}</small>", markup(&grid.note)) };
    format!(
        "<figure{}><img alt=\"{}\"{size} src=\"data:image/png;base64,{}\"><figcaption>{}{note}</figcaption></figure>\n",
        if grid.real { " class=\"real\"" } else { "" },
        markup(&grid.caption),
        BASE64_STANDARD.encode(&grid.png),
        markup(&grid.caption)
    )
}

/// Small charts, stage by stage.
pub(super) fn curves(data: &ReportData) -> String {
    let mut out = String::new();
    for stage in &data.curves {
        let charts: String = stage.charts.iter().filter_map(chart).collect();
        if charts.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "<div class=\"stage\"><h3>{} <span class=\"tag\">{}</span></h3>\n<div class=\"charts\">\n{charts}</div></div>\n",
            markup(&stage.stage),
            markup(&stage.title)
        );
    }
    if out.is_empty() { out } else { format!("<section>\n<h2>Training</h2>\n{out}</section>\n") }
}

fn chart(chart: &Chart) -> Option<String> {
    let drawing = svg::chart(chart)?;
    let log = if svg::is_log(chart) { "log scale" } else { "" };
    let about =
        [chart.unit.as_str(), log].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(", ");
    let mut legend = String::new();
    if chart.lines.len() > 1 {
        for (i, line) in chart.lines.iter().enumerate() {
            let _ = write!(legend, "<span class=\"c{}\">{}</span>", i % svg::COLOURS, markup(&line.label));
        }
    }
    Some(format!(
        "<figure class=\"card\"><figcaption>{} <span class=\"log\">{}</span><div class=\"legend\">{legend}</div></figcaption>{drawing}</figure>\n",
        markup(&chart.title),
        markup(&about)
    ))
}

/// What was expected, all of it.
pub(super) fn expectations(data: &ReportData) -> String {
    if data.expectations.is_empty() {
        return String::new();
    }
    let mut out = "<section>\n<h2>Expectations</h2>\n<div class=\"card scroll\"><table class=\"expected\">\n<thead><tr><th></th><th>Stage</th><th>Metric</th><th class=\"num\">Value</th><th>Expected</th><th>Source</th></tr></thead>\n<tbody>\n".to_owned();
    for e in &data.expectations {
        let (class, sign) = sign(e.pass);
        let _ = writeln!(
            out,
            "<tr><td class=\"sign {class}\">{sign} {class}</td><td>{}</td><td class=\"mono\">{}</td><td class=\"num\">{}</td><td>{}</td><td class=\"soft\">{}</td></tr>",
            markup(&e.stage),
            markup(&e.metric),
            value(e.value),
            e.limits(),
            markup(e.source.as_deref().unwrap_or(""))
        );
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
    out
}

/// Every value of every stage, folded.
pub(super) fn settings(data: &ReportData) -> String {
    if data.settings.is_empty() {
        return String::new();
    }
    let mut out = "<section>\n<h2>Settings</h2>\n<div class=\"card\">\n".to_owned();
    for stage in &data.settings {
        let values = serde_json::to_string_pretty(&stage.values).expect("a value is JSON");
        let _ = writeln!(
            out,
            "<details><summary>{} <span class=\"tag\">{}</span></summary><pre>{}</pre></details>",
            markup(&stage.stage),
            markup(&stage.verb),
            markup_lines(&values)
        );
    }
    out.push_str("</div>\n</section>\n");
    out
}

/// Versions, and how each stage came about.
pub(super) fn provenance(data: &ReportData) -> String {
    let provenance = &data.provenance;
    let mut out = "<section>\n<h2>Provenance</h2>\n<dl class=\"versions\">".to_owned();
    for (name, version) in &provenance.versions {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", markup(name), markup(version));
    }
    out.push_str("</dl>\n");
    if !provenance.stages.is_empty() {
        out.push_str("<div class=\"card scroll\"><table>\n<thead><tr><th>Stage</th><th>Verb</th><th>Key</th><th class=\"num\">Wall time</th><th>Device</th><th>Made</th></tr></thead>\n<tbody>\n");
        for stage in &provenance.stages {
            let key: String = stage.key.chars().take(12).collect();
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td class=\"mono\">{}</td><td class=\"num\">{}</td><td>{}</td><td>{}</td></tr>",
                markup(&stage.stage),
                markup(&stage.verb),
                markup(&key),
                stage.seconds.map_or(DASH.to_owned(), duration),
                markup(&stage.device),
                markup(&stage.date)
            );
        }
        out.push_str("</tbody>\n</table></div>\n");
    }
    out.push_str("</section>\n");
    out
}
