//! Line charts as SVG. Colours come from the page's style sheet, so that they follow light and dark.

use maud::{Markup, html};

use super::{
    ticks::Axis,
    training::{Chart, Line, Mark, Scale},
};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 206.0;
const LEFT: f64 = 38.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;
/// A line of more points is thinned to the extremes of so many stretches.
const STRETCHES: usize = 200;
/// How many lines have a colour of their own.
const COLOURS: usize = 8;

/// The class that colours line `i`.
pub(super) fn colour(i: usize) -> String {
    format!("c{}", i % COLOURS)
}

/// The chart without its title and legend; `None` where there is nothing to draw.
pub(super) fn chart(chart: &Chart) -> Option<Markup> {
    let log = is_log(chart);
    let lines: Vec<Vec<Vec<[f64; 2]>>> = chart.lines.iter().map(segments).collect();
    let points = || lines.iter().flatten().flatten();
    let range = |i: usize| {
        let values = points().map(move |p| p[i]);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
    };
    points().next()?;
    let (x_low, x_high) = range(0);
    let (y_low, y_high) = range(1);
    let x = Axis::linear(x_low.min(0.0), x_high, 5, false);
    let y = if log { Axis::log(y_low, y_high) } else { Axis::linear(y_low, y_high, 4, true) };
    let plot = Plot { x, y };

    let seen = chart.marks.iter().filter(|m| m.kimg >= plot.x.low && m.kimg <= plot.x.high);
    Some(html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(chart.title) {
            (plot.axes())
            @for (row, mark) in seen.enumerate() { (plot.mark(mark, row)) }
            @for (i, (line, segments)) in chart.lines.iter().zip(&lines).enumerate() {
                g.(colour(i)) {
                    title { (line.label) }
                    @for segment in segments { (plot.line(segment)) }
                }
            }
        }
    })
}

/// Whether the vertical axis is logarithmic.
pub(super) fn is_log(chart: &Chart) -> bool {
    let values = || chart.lines.iter().flat_map(|l| &l.points).map(|p| p[1]).filter(|v| v.is_finite());
    match chart.scale {
        Scale::Linear => false,
        Scale::Auto => {
            let (low, high) =
                values().fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), v| (a.min(v), b.max(v)));
            low > 0.0 && high > 30.0 * low
        }
    }
}

/// The drawable stretches of a line, thinned.
fn segments(line: &Line) -> Vec<Vec<[f64; 2]>> {
    let drawable = |p: &[f64; 2]| p.iter().all(|v| v.is_finite());
    line.points.split(|p| !drawable(p)).filter(|s| !s.is_empty()).map(thin).collect()
}

/// Keeps the least and the largest value of every stretch, so that no spike is lost.
fn thin(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    if points.len() <= 2 * STRETCHES {
        return points.to_vec();
    }
    let mut kept = vec![points[0]];
    for stretch in points[1..points.len() - 1].chunks(points.len().div_ceil(STRETCHES)) {
        let least = (0..stretch.len()).min_by(|&a, &b| stretch[a][1].total_cmp(&stretch[b][1]));
        let largest = (0..stretch.len()).max_by(|&a, &b| stretch[a][1].total_cmp(&stretch[b][1]));
        let (Some(a), Some(b)) = (least, largest) else { continue };
        kept.push(stretch[a.min(b)]);
        if a != b {
            kept.push(stretch[a.max(b)]);
        }
    }
    kept.push(points[points.len() - 1]);
    kept
}

/// From values to the drawing.
struct Plot {
    x: Axis,
    y: Axis,
}

impl Plot {
    fn at(&self, point: [f64; 2]) -> (f64, f64) {
        let x = LEFT + self.x.place(point[0]) * (WIDTH - LEFT - RIGHT);
        let y = HEIGHT - BOTTOM - self.y.place(point[1]) * (HEIGHT - TOP - BOTTOM);
        (x, y)
    }

    fn axes(&self) -> Markup {
        let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let path = |class: &str, line: String| html! { path class=(class) d=(line) {} };
        html! {
            @for (tick, label) in self.y.ticks.iter().zip(self.y.labels()) {
                @let (_, y) = self.at([self.x.low, *tick]);
                (path("grid", format!("M{LEFT} {y:.1}H{right}")))
                (words("tick", LEFT - 7.0, y + 3.5, "end", &label))
            }
            @for tick in self.y.minor() {
                @let (_, y) = self.at([self.x.low, tick]);
                (path("axis", format!("M{LEFT} {y:.1}h-4")))
            }
            (path("axis", format!("M{LEFT} {floor}H{right}")))
            @for (tick, label) in self.x.ticks.iter().zip(self.x.labels()) {
                @let (x, _) = self.at([*tick, self.y.low]);
                (path("axis", format!("M{x:.1} {floor}v4")))
                (words("tick", x, floor + 16.0, "middle", &label))
            }
            (words("name", right, HEIGHT - 3.0, "end", "kimg"))
        }
    }

    /// `row` keeps the words of several marks apart.
    fn mark(&self, mark: &Mark, row: usize) -> Markup {
        let (x, _) = self.at([mark.kimg, self.y.low]);
        // The words go to the side that has room.
        let (at, anchor) = if x > WIDTH * 0.62 { (x - 4.0, "end") } else { (x + 4.0, "start") };
        html! {
            path.mark d=(format!("M{x:.1} {TOP}V{}", HEIGHT - BOTTOM)) {}
            (words("marked", at, TOP + 8.0 + 12.0 * (row % 4) as f64, anchor, &mark.label))
        }
    }

    fn line(&self, segment: &[[f64; 2]]) -> Markup {
        let at = segment.iter().map(|point| self.at(*point));
        let points: Vec<String> = at.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        html! {
            @if points.len() > 1 { polyline.line points=(points.join(" ")) {} }
            // Few points are measurements of their own.
            @if points.len() <= 12 {
                @for (x, y) in at { circle.dot cx=(tenths(x)) cy=(tenths(y)) r="2.5" {} }
            }
        }
    }
}

pub(super) fn words(class: &str, x: f64, y: f64, anchor: &str, text: &str) -> Markup {
    html! { text class=(class) x=(tenths(x)) y=(tenths(y)) text-anchor=(anchor) { (text) } }
}

fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: Vec<[f64; 2]>, scale: Scale) -> Option<String> {
        let lines = vec![Line { label: "a<b".into(), points }];
        let chart = chart(&Chart { title: "loss & more".into(), scale, lines, ..Chart::default() });
        chart.map(Markup::into_string)
    }

    #[test]
    fn what_is_not_finite_interrupts_the_line_and_is_never_written() {
        let points =
            vec![[0.0, 1.0], [1.0, 2.0], [2.0, f64::NAN], [3.0, f64::INFINITY], [4.0, 3.0], [5.0, 1.0]];
        let svg = of(points, Scale::Linear).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(svg.contains("a&lt;b") && svg.contains("loss &amp; more"));
    }

    #[test]
    fn nothing_to_draw_is_no_chart() {
        assert!(of(vec![], Scale::Auto).is_none());
        assert!(of(vec![[0.0, f64::NAN]], Scale::Auto).is_none());
        assert!(of(vec![[0.0, 1.0]], Scale::Auto).unwrap().contains("<circle"));
    }

    #[test]
    fn the_axis_is_logarithmic_where_that_shows_more() {
        let auto = |values: [f64; 2]| {
            let points = vec![[0.0, values[0]], [1.0, values[1]]];
            is_log(&Chart { lines: vec![Line { label: String::new(), points }], ..Chart::default() })
        };
        assert!(auto([1.0, 100.0]) && !auto([1.0, 20.0]) && !auto([-1.0, 100.0]) && !auto([0.0, 100.0]));
    }

    #[test]
    fn thinning_keeps_spikes_and_ends() {
        let mut points: Vec<[f64; 2]> = (0..10_000).map(|i| [f64::from(i), 1.0]).collect();
        points[4321][1] = 50.0;
        let thinned = thin(&points);
        assert!(thinned.len() <= 2 * STRETCHES + 2);
        assert!(thinned.contains(&[4321.0, 50.0]));
        assert_eq!((thinned[0], thinned[thinned.len() - 1]), ([0.0, 1.0], [9999.0, 1.0]));
    }
}
