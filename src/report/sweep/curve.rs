//! The curve of a metric over one axis, with its spread. Colours come from the page's style sheet.

use maud::{Markup, html};

use super::{
    super::{heading::Heading, svg::words, ticks::Axis},
    cells::{Cell, Panel},
    data::SweepData,
};

const SIZE: [f64; 2] = [680.0, 260.0];
const LEFT: f64 = 52.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// Values of an axis that lie further apart than this are drawn by their logarithm.
const FAR: f64 = 30.0;

/// One cell of the curve.
struct Mark<'a> {
    x: f64,
    mean: Option<f64>,
    std: f64,
    ranks: bool,
    label: &'a str,
}

/// `None` where nothing is measured, or no axis goes down.
pub(super) fn curve(data: &SweepData, panel: &Panel, cells: &[Cell], heading: &Heading) -> Option<Markup> {
    let axis = &data.axes[data.layout[0]?];
    let places: Vec<f64> =
        axis.numbers.clone().unwrap_or_else(|| (0..axis.values.len()).map(|i| i as f64).collect());
    let (low, high) = range(places.iter().copied());
    let log = axis.numbers.is_some() && low > 0.0 && high > FAR * low;
    let x = if log { Axis::log(low, high) } else { Axis::linear(low, high, 6, false) };
    let marks: Vec<Mark<'_>> = places
        .iter()
        .zip(&panel.cells)
        .zip(&panel.rows)
        .map(|((x, row), label)| {
            let cell = &cells[row[0]];
            let score = cell.score.as_ref().filter(|score| score.mean.is_finite());
            let std = score.map(|score| score.std).filter(|std| std.is_finite()).unwrap_or(0.0);
            Mark { x: *x, mean: score.map(|score| score.mean), std, ranks: cell.ranks, label }
        })
        .collect();
    let ends = marks.iter().filter_map(|mark| Some((mark.mean?, mark.std)));
    let (low, high) = range(ends.flat_map(|(mean, std)| [mean - std, mean + std]));
    if !low.is_finite() {
        return None;
    }
    let y =
        if low > 0.0 && high > FAR * low { Axis::log(low, high) } else { Axis::linear(low, high, 4, true) };
    let at = |of: &Axis, value: f64, from: f64, to: f64| from + of.place(value) * (to - from);
    let [width, height] = SIZE;
    let margin = 14.0;
    let across = |value: f64| at(&x, value, LEFT + margin, width - RIGHT - margin);
    let up = |value: f64| at(&y, value, height - BOTTOM, TOP);
    let mut sorted: Vec<&Mark<'_>> = marks.iter().filter(|mark| mark.ranks).collect();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x));
    let line = sorted.iter().filter_map(|mark| Some(format!("{:.1},{:.1}", across(mark.x), up(mark.mean?))));
    let line = line.collect::<Vec<_>>().join(" ");
    let floor = height - BOTTOM;
    Some(html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(format!("{} over {}", heading.title, axis.name)) {
            @for (tick, label) in y.ticks.iter().zip(y.labels()) {
                path.grid d=(format!("M{LEFT} {:.1}H{}", up(*tick), width - RIGHT)) {}
                (words("tick", LEFT - 7.0, up(*tick) + 3.5, "end", &label))
            }
            @for tick in y.minor() { path.axis d=(format!("M{LEFT} {:.1}h-4", up(tick))) {} }
            path.axis d=(format!("M{LEFT} {floor}H{}", width - RIGHT)) {}
            // Only measured values have a label there.
            @if x.log { @for tick in x.ticks.iter().copied().chain(x.minor()) { path.axis d=(format!("M{:.1} {floor}v2", across(tick))) {} } }
            @for mark in &marks {
                path.axis d=(format!("M{:.1} {floor}v4", across(mark.x))) {}
                (words("tick", across(mark.x), floor + 16.0, "middle", mark.label))
            }
            (words("name", width - RIGHT, height - 5.0, "end", &axis.name))
            g.c0 {
                @if axis.numbers.is_some() && sorted.len() > 1 { polyline.line points=(line) {} }
                @for mark in &marks {
                    @if let Some(mean) = mark.mean {
                        @if mark.std > 0.0 && (!y.log || mean > mark.std) {
                            path.line d=(format!("M{:.1} {:.1}V{:.1}", across(mark.x), up(mean - mark.std), up(mean + mark.std))) {}
                        }
                        circle.dot.hollow[!mark.ranks] cx=(format!("{:.1}", across(mark.x))) cy=(format!("{:.1}", up(mean))) r="3.5" {}
                    } @else {
                        (words("marked", across(mark.x), floor - 6.0, "middle", "✗"))
                    }
                }
            }
        }
    })
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
}
