//! Line charts as SVG. Colours come from the page's style sheet, so that they follow light and dark.

use std::fmt::Write as _;

use super::{
    data::{Chart, Line, Scale},
    escape::markup,
    ticks::Axis,
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
pub(super) const COLOURS: usize = 8;

/// The chart without its title and legend; `None` where there is nothing to draw.
pub(super) fn chart(chart: &Chart) -> Option<String> {
    let log = is_log(chart);
    let lines: Vec<Vec<Vec<[f64; 2]>>> = chart.lines.iter().map(|line| segments(line, log)).collect();
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
    let place = Place { x, y };

    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        markup(&chart.title)
    );
    place.axes(&mut svg);
    let seen = chart.marks.iter().filter(|m| m.kimg >= place.x.low && m.kimg <= place.x.high);
    for (row, mark) in seen.enumerate() {
        place.mark(&mut svg, mark.kimg, &mark.label, row);
    }
    for (i, (line, segments)) in chart.lines.iter().zip(&lines).enumerate() {
        let _ = write!(svg, "<g class=\"c{}\"><title>{}</title>", i % COLOURS, markup(&line.label));
        for segment in segments {
            place.line(&mut svg, segment);
        }
        svg.push_str("</g>");
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// Whether the vertical axis is logarithmic.
pub(super) fn is_log(chart: &Chart) -> bool {
    let values = || chart.lines.iter().flat_map(|l| &l.points).map(|p| p[1]).filter(|v| v.is_finite());
    match chart.scale {
        Scale::Linear => false,
        Scale::Log => true,
        Scale::Auto => {
            let (low, high) =
                values().fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), v| (a.min(v), b.max(v)));
            low > 0.0 && high > 30.0 * low
        }
    }
}

/// The drawable stretches of a line, thinned.
fn segments(line: &Line, log: bool) -> Vec<Vec<[f64; 2]>> {
    let drawable = |p: &[f64; 2]| p[0].is_finite() && p[1].is_finite() && (!log || p[1] > 0.0);
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
struct Place {
    x: Axis,
    y: Axis,
}

impl Place {
    fn at(&self, point: [f64; 2]) -> (f64, f64) {
        let x = LEFT + self.x.place(point[0]) * (WIDTH - LEFT - RIGHT);
        let y = HEIGHT - BOTTOM - self.y.place(point[1]) * (HEIGHT - TOP - BOTTOM);
        (x, y)
    }

    fn axes(&self, svg: &mut String) {
        let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (tick, label) in self.y.ticks.iter().zip(self.y.labels()) {
            let (_, y) = self.at([self.x.low, *tick]);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 7.0,
                y + 3.5
            );
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {floor}H{right}\"/>");
        for (tick, label) in self.x.ticks.iter().zip(self.x.labels()) {
            let (x, _) = self.at([*tick, self.y.low]);
            let _ = write!(
                svg,
                "<path class=\"axis\" d=\"M{x:.1} {floor}v4\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                floor + 16.0
            );
        }
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">kimg</text>",
            HEIGHT - 3.0
        );
    }

    /// `row` keeps the words of several marks apart.
    fn mark(&self, svg: &mut String, kimg: f64, label: &str, row: usize) {
        let (x, _) = self.at([kimg, self.y.low]);
        // The words go to the side that has room.
        let (at, anchor) = if x > WIDTH * 0.62 { (x - 4.0, "end") } else { (x + 4.0, "start") };
        let _ = write!(
            svg,
            "<path class=\"mark\" d=\"M{x:.1} {TOP}V{}\"/><text class=\"marked\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT - BOTTOM,
            TOP + 8.0 + 12.0 * (row % 4) as f64,
            markup(label)
        );
    }

    fn line(&self, svg: &mut String, segment: &[[f64; 2]]) {
        if let [point] = segment {
            let (x, y) = self.at(*point);
            let _ = write!(svg, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>");
            return;
        }
        svg.push_str("<polyline class=\"line\" points=\"");
        for point in segment {
            let (x, y) = self.at(*point);
            let _ = write!(svg, "{x:.1},{y:.1} ");
        }
        svg.truncate(svg.trim_end().len());
        svg.push_str("\"/>");
        // Few points are measurements of their own.
        if segment.len() <= 12 {
            for point in segment {
                let (x, y) = self.at(*point);
                let _ = write!(svg, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: Vec<[f64; 2]>, scale: Scale) -> Option<String> {
        let lines = vec![Line { label: "a<b".into(), points }];
        chart(&Chart { title: "loss & more".into(), scale, lines, ..Chart::default() })
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
        assert!(of(vec![[0.0, -1.0]], Scale::Log).is_none());
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
