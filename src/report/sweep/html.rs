//! `sweep.html`.

use maud::{Markup, html as markup};

use super::{
    super::{html_parts::fact, number::duration, page::page},
    best::Best,
    cells::Cell,
    data::{PointEnd, SweepData},
    html_parts as parts,
};

/// The whole page.
pub(super) fn html(data: &SweepData) -> String {
    let cells = data.cells();
    let best = Best::of(data, &cells);
    let body = markup! {
        (header(data, &cells, best.as_ref())) "\n"
        main {
            (parts::results(data, &cells, best.map(|best| best.cell)))
            (parts::samples(data, &cells))
            (parts::search(data, &cells))
            (parts::points(data, &cells))
            (parts::wrong(data))
            (parts::provenance(data))
        }
        footer { "Written by sida" @if let Some(version) = data.provenance.versions.get("sida") { " " (version) }
            ". The same numbers are in sweep.json, sweep.csv, sweep.md and sweep.tex beside this page." } "\n"
    };
    page(&format!("{} · sweep over {}", data.sweep, over(data)), body)
}

/// `alpha and lr`
fn over(data: &SweepData) -> String {
    data.axes.iter().map(|axis| axis.name.as_str()).collect::<Vec<_>>().join(" and ")
}

fn header(data: &SweepData, cells: &[Cell], best: Option<&Best>) -> Markup {
    let ended = |is: fn(&PointEnd) -> bool| data.points.iter().filter(|point| is(&point.end)).count();
    let counts = [
        ("measured", ended(|end| *end == PointEnd::Measured)),
        ("stopped", ended(|end| matches!(end, PointEnd::Stopped(_)))),
        ("diverged", ended(|end| matches!(end, PointEnd::Diverged(_)))),
        ("failed", ended(|end| matches!(end, PointEnd::Failed(_)))),
        ("open", ended(|end| *end == PointEnd::Open)),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let verdicts = || data.points.iter().flat_map(|point| &point.expectations);
    let met = verdicts().filter(|(_, verdict)| verdict.pass).count();
    let met = (verdicts().count() > 0).then(|| format!("{met} of {} met", verdicts().count()));
    markup! {
        header {
            p.kicker.mono { "sweep over " (over(data)) }
            h1 { (data.sweep) }
            @if !data.description.trim().is_empty() { p.description { (data.description.trim()) } "\n" }
            @if let Some(best) = best {
                @let [first, next] = best.sentences(data, cells);
                div.verdict.none {
                    div { p { (first) } @if !best.rivals.is_empty() { b.warning { "Not certain" } " " } (next) }
                } "\n"
            }
            dl.facts {
                (fact("Points", &counts.join(", ")))
                @if let Some(met) = &met { (fact("Expectations", met)) }
                (fact("Written", &data.provenance.date))
                (fact("Device", &data.provenance.device))
                (fact("Wall time of all stages", &duration(data.seconds())))
            }
        }
    }
}
