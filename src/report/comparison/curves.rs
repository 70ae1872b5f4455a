//! The curves of both sides over each other.

use super::{NAMES, side::ComparedStage};
use crate::report::{Chart, Line, Mark};

/// A chart per quantity, with a line of each side.
pub(super) fn overlaid([a, b]: [&ComparedStage; 2]) -> Vec<Chart> {
    let sides = [&a.charts, &b.charts];
    let mut charts: Vec<Chart> = Vec::new();
    for (side, chart) in sides.iter().enumerate().flat_map(|(i, charts)| charts.iter().map(move |c| (i, c))) {
        let alike = sides.iter().flat_map(|charts| charts.iter()).filter(|other| other.title == chart.title);
        let mut labels = alike.flat_map(|other| &other.lines).map(|line| &line.label);
        // A title names a quantity where it is not the only one.
        let first = labels.next();
        let is_alone = labels.all(|label| Some(label) == first);
        for line in &chart.lines {
            let title =
                if is_alone { chart.title.clone() } else { format!("{}: {}", chart.title, line.label) };
            let at = charts.iter().position(|chart| chart.title == title).unwrap_or_else(|| {
                let lines = NAMES.map(|name| Line { label: format!("{name}: none"), points: Vec::new() });
                let (unit, scale) = (chart.unit.clone(), chart.scale);
                let note = chart.note.clone();
                charts.push(Chart { title, unit, scale, lines: lines.into(), note, ..Chart::default() });
                charts.len() - 1
            });
            let marks = chart
                .marks
                .iter()
                .map(|mark| Mark { label: format!("{}: {}", NAMES[side], mark.label), ..mark.clone() });
            charts[at].marks.extend(marks);
            charts[at].lines[side] = Line { label: NAMES[side].to_owned(), points: line.points.clone() };
        }
    }
    charts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quantity_has_a_line_of_each_side() {
        let line = |label: &str, value: f64| Line {
            label: label.to_owned(),
            points: vec![[0.0, value], [1.0, value]],
        };
        let chart = |lines: Vec<Line>| Chart { title: "Loss".to_owned(), lines, ..Chart::default() };
        let stage = |lines| ComparedStage { charts: vec![chart(lines)], ..ComparedStage::default() };
        let a = stage(vec![line("denoising", 1.0)]);
        let b = stage(vec![line("denoising", 2.0), line("discriminator", 3.0)]);
        let found = overlaid([&a, &b]);
        let titles: Vec<&str> = found.iter().map(|chart| chart.title.as_str()).collect();
        assert_eq!(titles, ["Loss: denoising", "Loss: discriminator"]);
        let drawn = |chart: &Chart| {
            chart.lines.iter().map(|line| (line.label.clone(), line.points.len())).collect::<Vec<_>>()
        };
        assert_eq!(drawn(&found[0]), [("A".to_owned(), 2), ("B".to_owned(), 2)]);
        assert_eq!(drawn(&found[1]), [("A: none".to_owned(), 0), ("B".to_owned(), 2)]);
        assert_eq!(overlaid([&a, &a])[0].title, "Loss");
        // Two quantities are never drawn as if they were one.
        let other = stage(vec![line("discriminator", 3.0)]);
        assert_eq!(overlaid([&a, &other]).len(), 2);
    }
}
