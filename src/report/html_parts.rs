//! The sections of the page.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{Markup, html};

use super::{
    data::{Chart, Grid, ReportData},
    escape::link,
    number::{DASH, duration},
    svg,
    table::{Cell, Table},
};

/// A section; each begins a line of its own.
pub(super) fn section(title: &str, contents: Markup) -> Markup {
    html! { section { h2 { (title) } "\n" (contents) } "\n" }
}

/// A name over a value.
pub(super) fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// A name that leads to a stage's folder, where there is one.
fn linked(name: &str, folder: Option<&str>) -> Markup {
    html! { @if let Some(folder) = folder { a href=(link(folder)) { (name) } } @else { (name) } }
}

/// Class and sign of what is met or not.
fn sign(pass: bool) -> (&'static str, &'static str) {
    if pass { ("pass", "✓") } else { ("fail", "✗") }
}

/// The table.
pub(super) fn results(table: &Table) -> Markup {
    let contents = html! {
        div.card.scroll {
            table.results {
                thead {
                    tr {
                        th {}
                        @for heading in &table.headings {
                            @let hint = heading.sign([" · lower is better", " · higher is better"]);
                            th.num.nfe[heading.name == "nfe"] title={ (heading.name) (hint) } {
                                (heading.title) (heading.arrow()) small { (heading.note) }
                            }
                        }
                    }
                } "\n"
                tbody {
                    @for row in &table.rows {
                        tr { th scope="row" { (linked(&row.label, row.folder.as_deref())) small { (row.note) } } @for cell in &row.cells { (self::cell(cell)) } } "\n"
                    }
                }
            }
        }
        @if let notes @ [_, ..] = table.notes().as_slice() { p.notes { (notes.join(" ")) } }
    };
    section("Results", contents)
}

fn cell(cell: &Cell) -> Markup {
    html! {
        td.num.best[cell.best] {
            @if let Some(mean) = &cell.mean { span.value { (mean) } }
            @if let Some(std) = &cell.std { span.spread { "± " (std) } }
            @if let Some(share) = cell.share { i.bar style=(format!("--share:{share:.3}")) {} }
            @for (limit, pass) in &cell.limits {
                @let (class, sign) = sign(*pass);
                span.limit.(class) { (limit) " " (sign) }
            }
            @if let Some(published) = &cell.published {
                span.published { "published " (published) }
            } @else if cell.mean.is_none() {
                (DASH)
            }
        }
    }
}

/// Sample grids, each beside the others at the same size.
pub(super) fn samples(data: &ReportData) -> Markup {
    if data.grids.is_empty() {
        return Markup::default();
    }
    // Three beside one another are large enough to be read.
    let side = (1000 / data.grids.len()).saturating_sub(20).clamp(300, 460);
    let grids = html! {
        div.grids style=(format!("--side:{side}px")) { @for grid in &data.grids { (self::grid(grid)) "\n" } }
    };
    section("Samples", grids)
}

/// A picture with its caption.
pub(super) fn grid(grid: &Grid) -> Markup {
    // Width and height of the first chunk, so that the page does not jump while images decode.
    let side =
        |at: usize| grid.png.get(at..at + 4).map(|b| b.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)));
    let image = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&grid.png));
    html! {
        figure.real[grid.real] {
            img alt=(grid.caption) width=[side(16)] height=[side(20)] src=(image);
            figcaption { (grid.caption) @if !grid.note.is_empty() { small { (grid.note) } } }
        }
    }
}

/// Small charts, stage by stage.
pub(super) fn curves(data: &ReportData) -> Markup {
    let drawn = data.curves.iter().map(|stage| (stage, stage.charts.iter().filter_map(chart).collect()));
    let stages: Vec<(_, Vec<Markup>)> =
        drawn.filter(|(_, charts): &(_, Vec<_>)| !charts.is_empty()).collect();
    if stages.is_empty() {
        return Markup::default();
    }
    let contents = html! {
        @for (stage, charts) in stages {
            div.stage {
                h3 { (stage.stage) " " span.tag { (stage.title) } } "\n"
                div.charts { @for chart in charts { (chart) "\n" } }
            } "\n"
        }
    };
    section("Training", contents)
}

/// A chart with its title and, for more than one line, a legend; `None` where there is nothing to draw.
pub(super) fn chart(chart: &Chart) -> Option<Markup> {
    let drawing = svg::chart(chart)?;
    let unit = Some(chart.unit.as_str()).filter(|unit| !unit.is_empty());
    let log = svg::is_log(chart).then_some("log scale");
    let about: Vec<&str> = unit.into_iter().chain(log).collect();
    Some(html! {
        figure.card {
            figcaption {
                (chart.title) " " span.log { (about.join(", ")) }
                div.legend {
                    @if chart.lines.len() > 1 {
                        @for (i, line) in chart.lines.iter().enumerate() { span.(svg::colour(i)) { (line.label) } }
                    }
                }
            }
            (drawing)
            @if !chart.note.is_empty() { p.notes { (chart.note) } }
        }
    })
}

/// What was expected, all of it.
pub(super) fn expectations(data: &ReportData) -> Markup {
    if data.expectations.is_empty() {
        return Markup::default();
    }
    let contents = html! {
        div.card.scroll {
            table.expected {
                thead {
                    tr { th {} th { "Stage" } th { "Metric" } th.num { "Value" } th { "Expected" } th { "Source" } }
                } "\n"
                tbody {
                    @for (stage, verdict) in &data.expectations {
                        @let (class, sign) = sign(verdict.pass);
                        tr {
                            td.sign.(class) { (sign) " " (class) }
                            td { (stage) }
                            td.mono { (verdict.expected.metric) }
                            td.num { (verdict.written()) }
                            td { (verdict.limits()) }
                            td.soft { (verdict.expected.source.as_deref().unwrap_or_default()) }
                        } "\n"
                    }
                }
            }
        }
    };
    section("Expectations", contents)
}

/// Every value of every stage, folded.
pub(super) fn settings(data: &ReportData) -> Markup {
    if data.settings.is_empty() {
        return Markup::default();
    }
    let contents = html! {
        div.card {
            @for stage in &data.settings {
                details {
                    summary { (stage.stage) " " span.tag { (stage.verb) } }
                    pre { (serde_json::to_string_pretty(&stage.values).expect("a value is JSON")) }
                } "\n"
            }
        }
    };
    section("Settings", contents)
}

/// Versions, and how each stage came about.
pub(super) fn provenance(data: &ReportData) -> Markup {
    let provenance = &data.provenance;
    let contents = html! {
        dl.versions { @for (name, value) in provenance.facts() { (fact(name, value)) } } "\n"
        @if !provenance.stages.is_empty() {
            div.card.scroll {
                table {
                    thead {
                        tr {
                            th { "Stage" } th { "Verb" } th { "Key" }
                            th.num { "Wall time" } th { "Device" } th { "Made" }
                        }
                    } "\n"
                    tbody {
                        @for stage in &provenance.stages {
                            tr {
                                td { (linked(&stage.stage, stage.folder.as_deref())) }
                                td { (stage.verb) }
                                td.mono { (stage.key.chars().take(12).collect::<String>()) }
                                td.num { (stage.seconds.map_or(DASH.to_owned(), duration)) }
                                td { (stage.device) }
                                td { (stage.date) }
                            } "\n"
                        }
                    }
                }
            }
        }
    };
    section("Provenance", contents)
}
