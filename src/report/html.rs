//! `report.html`: one file that needs nothing from elsewhere, in light and dark, on wide and narrow screens.

use std::fmt::Write as _;

use super::{
    data::ReportData,
    escape::{markup, markup_lines},
    html_parts as parts,
    number::duration,
    table::Table,
};

const STYLE: &str = include_str!("style.css");

/// The whole page. No script; the content policy forbids any, and everything from elsewhere.
pub fn html(data: &ReportData) -> String {
    let table = Table::of(data);
    let sections = [
        parts::results(&table),
        parts::samples(data),
        parts::curves(data),
        parts::expectations(data),
        parts::settings(data),
        parts::provenance(data),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} · {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{}<main>\n{}</main>\n{}</body>\n</html>\n",
        markup(&data.caption),
        markup(&data.pipeline),
        header(data),
        sections.concat(),
        footer(data)
    )
}

fn header(data: &ReportData) -> String {
    let mut out = format!(
        "<header>\n<p class=\"kicker mono\">{}</p>\n<h1>{}</h1>\n",
        markup(&data.pipeline),
        markup(&data.caption)
    );
    if !data.description.trim().is_empty() {
        let _ = writeln!(out, "<p class=\"description\">{}</p>", markup_lines(data.description.trim()));
    }
    out.push_str(&verdict(data));
    out.push_str(&facts(data));
    out.push_str("</header>\n");
    out
}

/// The verdict, and at once what failed.
fn verdict(data: &ReportData) -> String {
    let verdict = data.verdict();
    let (class, word) = (verdict.as_str(), verdict.word());
    let mut out =
        format!("<div class=\"verdict {class}\"><b>{word}</b><div><p>{}</p>", data.verdict_sentence());
    let failed: Vec<_> = data.expectations.iter().filter(|e| !e.pass).collect();
    if !failed.is_empty() {
        out.push_str("<ul>");
        for e in failed {
            let _ = write!(
                out,
                "<li>{}: {} is {}, expected {}</li>",
                markup(&e.stage),
                markup(&e.metric),
                parts::value(e.value),
                e.limits()
            );
        }
        out.push_str("</ul>");
    }
    out.push_str("</div></div>\n");
    out
}

fn facts(data: &ReportData) -> String {
    let provenance = &data.provenance;
    let seconds: Vec<f64> = provenance.stages.iter().filter_map(|s| s.seconds).collect();
    let time = if seconds.is_empty() { String::new() } else { duration(seconds.iter().sum()) };
    let facts = [
        ("Written", provenance.date.clone()),
        ("Device", provenance.device.clone()),
        ("Wall time of all stages", time),
        ("Seed", provenance.seed.to_string()),
    ];
    let mut out = "<dl class=\"facts\">".to_owned();
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", markup(value));
    }
    out.push_str("</dl>\n");
    out
}

fn footer(data: &ReportData) -> String {
    let program = data.provenance.versions.get("sida").map(|v| format!("sida {v}"));
    let program = program.as_deref().unwrap_or("sida");
    format!(
        "<footer>Written by {}. The same numbers are in report.json, report.csv, report.md and report.tex beside this page.</footer>\n",
        markup(program)
    )
}
