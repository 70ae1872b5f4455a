//! The table of the page, and what was expected.

use maud::{Markup, html};

use super::{
    data::ReportData,
    escape::link,
    html_parts::{section, sign, stage_anchor},
    number::DASH,
    table::{Cell, Limit, Table, TableRow},
};

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
                        tr { th scope="row" { (label(row)) } @for cell in &row.cells { (self::cell(cell)) } } "\n"
                    }
                }
            }
        }
        @if let notes @ [_, ..] = table.notes().as_slice() { p.notes { (notes.join(" ")) } }
        @if !table.sources.is_empty() {
            ol.notes.sources { @for source in &table.sources { li { (source) } } }
        }
    };
    section("Results", contents)
}

/// The row's name leads to what the page says of the stage, the stage's own to its folder.
fn label(row: &TableRow) -> Markup {
    let folder = row.folder.as_deref();
    html! {
        @match (&row.stage, folder) {
            (Some(stage), Some(folder)) => {
                a href=(format!("#{}", stage_anchor(stage))) { (row.label) }
                small { a href=(link(folder)) { (stage) } }
            }
            (None, Some(folder)) => a href=(link(folder)) { (row.label) },
            _ => (row.label),
        }
        @if !row.note.is_empty() { small { (row.note) } }
    }
}

fn cell(cell: &Cell) -> Markup {
    html! {
        td.num.best[cell.best] {
            @if let Some(mean) = &cell.mean { span.value { (mean) } }
            @if let Some(std) = &cell.std { span.spread { "± " (std) } }
            @if let Some(share) = cell.share { i.bar style=(format!("--share:{share:.3}")) {} }
            @for Limit { words, pass, source } in &cell.limits {
                @let (class, sign) = sign(*pass);
                span.limit.(class) { (words) " " (sign) @if let Some(source) = source { sup { (source + 1) } } }
            }
            @if let Some(published) = &cell.published {
                span.published { "published " (published) }
            } @else if cell.mean.is_none() {
                (DASH)
            }
        }
    }
}

/// What was expected of numbers that the table does not show; of the others it says so itself.
pub(super) fn expectations(data: &ReportData, table: &Table) -> Markup {
    let others: Vec<_> = data.expectations.iter().filter(|(stage, of)| !table.judges(stage, of)).collect();
    if others.is_empty() {
        return Markup::default();
    }
    let title = if others.len() == data.expectations.len() { "Expectations" } else { "Further expectations" };
    let contents = html! {
        div.card.scroll {
            table.expected {
                thead {
                    tr { th {} th { "Stage" } th { "Metric" } th.num { "Value" } th { "Expected" } th { "Source" } }
                } "\n"
                tbody {
                    @for (stage, verdict) in others {
                        @let (class, sign) = sign(verdict.pass);
                        tr {
                            td.sign.(class) { (sign) " " (class) }
                            td { a href=(format!("#{}", stage_anchor(stage))) { (stage) } }
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
    section(title, contents)
}
