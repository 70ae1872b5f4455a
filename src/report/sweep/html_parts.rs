//! The sections of a sweep's page.

use maud::{Markup, html};

use super::{
    super::{
        escape::link,
        heading::Heading,
        html_parts::{fact, section},
        html_pictures::{Picture, figure},
        number::{DASH, Digits},
    },
    best::spread_note,
    cells::{Cell, Panel, written},
    curve,
    data::{MeasuredPoint, PointEnd, SweepData},
};
use crate::metrics::{Better, Score};

/// Text that leads to the page of a point, where it has one.
fn linked(text: &str, point: &MeasuredPoint) -> Markup {
    html! { @if let Some(page) = &point.page { a href=(link(page)) { (text) } } @else { (text) } }
}

/// The heat maps, or the curve of a single axis.
pub(super) fn results(data: &SweepData, cells: &[Cell], best: Option<usize>) -> Markup {
    let Some((stage, metric)) = &data.cell else { return Markup::default() };
    let heading = Heading::of(metric);
    let heat = Heat::of(cells, heading.better);
    let contents = html! {
        @for panel in data.panels(cells) {
            @if !panel.title.is_empty() { h3 { (panel.title) } "\n" }
            @if panel.columns.len() == 1 && panel.rows.len() > 1 {
                @if let Some(drawing) = curve::curve(data, &panel, cells, &heading) {
                    div.charts.wide { figure.card { figcaption { (heading.title) " " span.log { (heading.note) } } (drawing) } } "\n"
                }
            }
            (table(data, &panel, cells, &heat, best)) "\n"
        }
        p.notes {
            (metric) " of " (stage) (heading.sign([": lower is better. ", ": higher is better. "]))
            @if let Some(note) = spread_note(data, cells) { (note) " Whether two can be told apart is judged by their sample deviations together." }
        }
    };
    section(&heading.title, contents)
}

fn table(data: &SweepData, panel: &Panel, cells: &[Cell], heat: &Heat, best: Option<usize>) -> Markup {
    let digits = SweepData::digits(cells);
    let [down, across] = data.axis_names();
    html! {
        div.card.scroll {
            table.heat {
                @if !across.is_empty() {
                    thead {
                        tr { th {} th colspan=(panel.columns.len()) { (across) } } "\n"
                        tr { th { (down) } @for value in &panel.columns { th.num scope="col" { (value) } } } "\n"
                    }
                }
                tbody {
                    @for (row, places) in panel.rows.iter().zip(&panel.cells) {
                        tr {
                            @if !down.is_empty() { th scope="row" { @if across.is_empty() { span.soft { (down) " " } } (row) } }
                            @for place in places { (cell(data, &cells[*place], digits, heat, best == Some(*place))) }
                        } "\n"
                    }
                }
            }
        }
    }
}

fn cell(data: &SweepData, cell: &Cell, digits: Digits, heat: &Heat, is_best: bool) -> Markup {
    let share = cell.score.as_ref().filter(|_| cell.ranks).and_then(|score| heat.share(score.mean));
    let style = share.map(|share| format!("--heat:{share:.3}"));
    let first = &data.points[cell.points[0]];
    html! {
        td.num.best[is_best].apart[!cell.ranks] style=[style] {
            @if let Some(score) = &cell.score {
                span.value { @if cell.points.len() == 1 { (linked(&digits.write(score.mean), first)) } @else { (digits.write(score.mean)) } }
                @if score.trials.len() > 1 && score.std.is_finite() { span.spread { "± " (digits.write(score.std)) } }
            } @else if cell.note.is_empty() { (DASH) }
            @if !cell.note.is_empty() { span.limit { (cell.note) } }
            @if is_best { span.limit { "best" } }
            @if cell.points.len() > 1 {
                span.limit { @for (i, point) in cell.points.iter().enumerate() { " " (linked(&repetition(data, *point, i), &data.points[*point])) } }
            }
        }
    }
}

/// The values of a point on the axes of repetitions.
fn repetition(data: &SweepData, point: usize, i: usize) -> String {
    let at = data.axes.iter().zip(&data.points[point].at).filter(|(axis, _)| axis.is_repetition);
    let at: Vec<&str> = at.map(|(axis, value)| axis.values[*value].as_str()).collect();
    if at.is_empty() { i.to_string() } else { at.join("/") }
}

/// How good a value is among all: 1 for the best, 0 for the worst.
struct Heat {
    best: f64,
    worst: f64,
    log: bool,
}

impl Heat {
    fn of(cells: &[Cell], better: Option<Better>) -> Self {
        let values =
            cells.iter().filter(|cell| cell.ranks).filter_map(|cell| Some(cell.score.as_ref()?.mean));
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        // Where the worst is many times the best, equal steps would show nothing but the worst.
        let log = low > 0.0 && high > 3.0 * low;
        match better {
            Some(Better::Higher) => Self { best: high, worst: low, log },
            _ => Self { best: low, worst: high, log },
        }
    }

    fn share(&self, value: f64) -> Option<f64> {
        let place = |v: f64| if self.log { v.ln() } else { v };
        let range = place(self.best) - place(self.worst);
        (range != 0.0).then(|| ((place(value) - place(self.worst)) / range).clamp(0.0, 1.0))
    }
}

/// A picture of each cell, all at one size.
pub(super) fn samples(data: &SweepData, cells: &[Cell]) -> Markup {
    let digits = SweepData::digits(cells);
    let shown = cells.iter().filter_map(|cell| {
        let point = cell.points.iter().find(|point| data.points[**point].picture.is_some())?;
        Some((cell, &data.points[*point], data.points[*point].picture.as_ref()?))
    });
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() {
        return Markup::default();
    }
    let pictures = shown.iter().enumerate();
    let pictures: Vec<Picture<'_>> = pictures
        .map(|(i, (_, point, png))| Picture { id: format!("sample-{i}"), alt: &point.label, png })
        .collect();
    let contents = html! {
        div.grids style="--side:170px" {
            @for (i, (cell, point, _)) in shown.iter().enumerate() {
                @let caption = html! {
                    (linked(&point.label, point)) small { (cell.line(digits, "±")) }
                    @if let Some(kimg) = point.weights_kimg { small { "weights after " (kimg) " kimg" } }
                };
                (figure(&pictures, i, false, caption)) "\n"
            }
        }
    };
    section("Samples", contents)
}

/// Who came how far, rung by rung.
pub(super) fn search(data: &SweepData, cells: &[Cell]) -> Markup {
    if data.rungs_kimg.is_empty() {
        return Markup::default();
    }
    let digits = SweepData::digits(cells);
    let contents = html! {
        div.card.scroll {
            table {
                thead { tr { th { "Point" } @for rung in &data.rungs_kimg { th.num { (rung) " kimg" } } th { "End" } } } "\n"
                tbody {
                    @for point in &data.points {
                        tr {
                            td { (linked(&point.label, point)) }
                            @for rung in 0..data.rungs_kimg.len() {
                                td.num { @if let Some(value) = point.rungs.get(rung) { (digits.write(*value)) } }
                            }
                            td { (data.end(&point.end)) }
                        } "\n"
                    }
                }
            }
        }
    };
    section("Search", contents)
}

/// Every score of every point, and how it ended, as far as no other part of the page says it.
pub(super) fn points(data: &SweepData, cells: &[Cell]) -> Markup {
    // A cell of one point shows its value, and a picture beside it its weights.
    let is_alone = cells.iter().all(|cell| cell.points.len() == 1);
    let columns = data.measured().into_iter();
    let columns: Vec<_> = columns.filter(|column| !is_alone || Some(column) != data.cell.as_ref()).collect();
    let weights = !is_alone && data.points.iter().any(|point| point.weights_kimg.is_some());
    let ends = data.rungs_kimg.is_empty() && data.points.iter().any(|point| point.end != PointEnd::Measured);
    if columns.is_empty() && !weights && !ends {
        return Markup::default();
    }
    let digits = |column: &(String, String)| {
        Digits::of(data.points.iter().filter_map(|point| Some(point.score(column)?.mean)))
    };
    let value =
        |score: Option<&Score>, digits: Digits| score.map_or(DASH.to_owned(), |s| written(s, digits, "±"));
    let contents = html! {
        div.card.scroll {
            table {
                thead {
                    tr {
                        th { "Point" }
                        @for (stage, metric) in &columns { th.num { (Heading::of(metric).title) small { (stage) } } }
                        @if weights { th.num { "Weights" small { "kimg" } } }
                        @if ends { th { "End" } }
                    } "\n"
                }
                tbody {
                    @for point in &data.points {
                        tr {
                            td { (linked(&point.label, point)) }
                            @for column in &columns { td.num { (value(point.score(column), digits(column))) } }
                            @if weights { td.num { (point.weights_kimg.map_or(DASH.to_owned(), |kimg| kimg.to_string())) } }
                            @if ends { td { (data.end(&point.end)) } }
                        } "\n"
                    }
                }
            }
        }
    };
    section("Points", contents)
}

/// What went wrong, and what was expected and not met.
pub(super) fn wrong(data: &SweepData) -> Markup {
    let failed = data
        .points
        .iter()
        .filter_map(|point| Some((point, point.end.as_str(), point.end.message()?.to_owned())));
    let unmet = data.points.iter().flat_map(|point| {
        let unmet = point.expectations.iter().filter(|(_, verdict)| !verdict.pass);
        unmet.map(move |(stage, verdict)| {
            (point, "not met", format!("{stage}: {}", verdict.sentence(&verdict.written())))
        })
    });
    let lines: Vec<_> = failed.chain(unmet).collect();
    if lines.is_empty() {
        return Markup::default();
    }
    let contents = html! {
        div.card.scroll {
            table {
                tbody { @for (point, word, message) in lines { tr { td { (linked(&point.label, point)) } td.sign.fail { (word) } td { (message) } } "\n" } }
            }
        }
    };
    section("What went wrong", contents)
}

/// Versions, and what was asked for.
pub(super) fn provenance(data: &SweepData) -> Markup {
    let facts =
        html! { dl.versions { @for (name, value) in data.provenance.facts() { (fact(name, value)) } } "\n" };
    section("Provenance", facts)
}
