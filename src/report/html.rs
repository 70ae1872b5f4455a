//! `report.html`: the page of a report.

use maud::{Markup, html as markup};

use super::{
    data::ReportData, html_parts::fact, html_pictures::samples, html_results as results,
    html_stages as stages, html_training::training, number::duration, page::page, table::Table,
};

/// The whole page.
pub fn html(data: &ReportData) -> String {
    let table = Table::of(data);
    let body = markup! {
        (header(data)) "\n"
        main {
            (results::results(&table))
            (results::expectations(data, &table))
            (samples(data))
            (training(data))
            (stages::stages(data))
            (stages::provenance(data))
        }
        (footer(data)) "\n"
    };
    page(&[data.caption.as_str(), &data.whole_name()].join(" · "), body)
}

fn header(data: &ReportData) -> Markup {
    markup! {
        header {
            p.kicker.mono { (data.whole_name()) }
            h1 { (data.caption) }
            @if !data.description.trim().is_empty() {
                p.description { (data.description.trim()) } "\n"
            }
            (verdict(data)) "\n"
            (facts(data))
        }
    }
}

/// The verdict, and at once what failed.
fn verdict(data: &ReportData) -> Markup {
    let verdict = data.verdict();
    let failed: Vec<_> = data.expectations.iter().filter(|(_, verdict)| !verdict.pass).collect();
    markup! {
        div.verdict.(verdict.as_str()) {
            b { (verdict.word()) }
            div {
                p { (data.verdict_sentence()) }
                @if !failed.is_empty() {
                    ul {
                        @for (stage, verdict) in failed {
                            li { (stage) ": " (verdict.sentence(&verdict.written())) }
                        }
                    }
                }
            }
        }
    }
}

fn facts(data: &ReportData) -> Markup {
    let provenance = &data.provenance;
    let seconds: Vec<f64> = provenance.stages.iter().filter_map(|s| s.seconds).collect();
    let time = if seconds.is_empty() { String::new() } else { duration(seconds.iter().sum()) };
    let seed = provenance.seed.to_string();
    let facts: [(&str, &str); 4] = [
        ("Written", &provenance.date),
        ("Device", &provenance.device),
        ("Wall time of all stages", &time),
        ("Seed", &seed),
    ];
    markup! {
        dl.facts {
            @for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
                (fact(name, value)) "\n"
            }
        }
    }
}

fn footer(data: &ReportData) -> Markup {
    let version = data.provenance.versions.get("sida").map(|version| format!(" {version}"));
    markup! {
        footer {
            "Written by sida" (version.unwrap_or_default())
            ". The same numbers are in report.json, report.csv, report.md and report.tex beside this page."
        }
    }
}
