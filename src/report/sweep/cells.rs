//! `Cells`: points that are repetitions of each other, taken together, and how they are laid out.

use super::{
    super::number::Digits,
    data::{MeasuredPoint, PointEnd, SweepData},
};
use crate::metrics::Score;

/// Points that differ in nothing but repetitions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// For each axis, which of its values; 0 for repetitions.
    pub(super) at: Vec<usize>,
    /// `alpha=0.5 lr=1e-5`
    pub(super) label: String,
    /// Its points, by their places.
    pub(super) points: Vec<usize>,
    /// What the sweep is about: of repetitions, over their means.
    pub(super) score: Option<Score>,
    /// What there is to say besides, such as `diverged` or `1 of 3 open`; empty where all is measured.
    pub(super) note: String,
    /// Whether it can be the best: all of its points are measured, to the end.
    pub(super) ranks: bool,
}

/// One table of cells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panel {
    /// The values of the axes that go neither down nor across; empty where there are none.
    pub(super) title: String,
    /// What the rows are called; one without a name where no axis goes down.
    pub(super) rows: Vec<String>,
    /// What the columns are called.
    pub(super) columns: Vec<String>,
    /// By row and column, the places of the cells.
    pub(super) cells: Vec<Vec<usize>>,
}

impl SweepData {
    /// All cells, in the order of their first points.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let mut groups: indexmap::IndexMap<Vec<usize>, Vec<usize>> = indexmap::IndexMap::new();
        for (i, point) in self.points.iter().enumerate() {
            let repeated = |(axis, at): (usize, &usize)| if self.axes[axis].is_repetition { 0 } else { *at };
            groups.entry(point.at.iter().enumerate().map(repeated).collect()).or_default().push(i);
        }
        groups.into_iter().map(|(at, points)| self.cell(at, points)).collect()
    }

    fn cell(&self, at: Vec<usize>, points: Vec<usize>) -> Cell {
        let members: Vec<&MeasuredPoint> = points.iter().map(|i| &self.points[*i]).collect();
        let scores = || members.iter().filter_map(|point| point.score(self.cell.as_ref()?));
        let score = match (members.len(), scores().count()) {
            (_, 0) => None,
            (1, _) => scores().next().cloned(),
            _ => Some(Score::of_trials(scores().map(|score| score.mean).collect())),
        };
        let is_measured = |point: &&MeasuredPoint| point.end == PointEnd::Measured;
        let ranks =
            members.iter().all(&is_measured) && score.as_ref().is_some_and(|score| score.mean.is_finite());
        let mut notes: Vec<(String, usize)> = Vec::new();
        for point in members.iter().filter(|point| !is_measured(point)) {
            let word = self.end(&point.end);
            match notes.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => notes.push((word, 1)),
            }
        }
        let all = members.len();
        // The best snapshot may be the first: then nothing that was trained is measured.
        let untrained = members.iter().filter(|point| point.weights_kimg == Some(0.0)).count();
        notes.extend((untrained > 0).then(|| ("not better than untrained".to_owned(), untrained)));
        let note = |(word, count): (String, usize)| {
            if count == all { word } else { format!("{count} of {all} {word}") }
        };
        let label = self.axes.iter().zip(&at).filter(|(axis, _)| !axis.is_repetition);
        let label: Vec<String> =
            label.map(|(axis, i)| format!("{}={}", axis.name, axis.values[*i])).collect();
        let label = if label.is_empty() { "all points".to_owned() } else { label.join(" ") };
        let note = notes.into_iter().map(note).collect::<Vec<_>>().join(", ");
        Cell { at, label, points, score, note, ranks }
    }

    /// The cells as tables: one, or one for each combination of the axes that go neither down nor across.
    pub(super) fn panels(&self, cells: &[Cell]) -> Vec<Panel> {
        let [down, across] = self.layout;
        let values = |axis: Option<usize>| match axis {
            Some(axis) => self.axes[axis].values.clone(),
            None => vec![String::new()],
        };
        let (rows, columns) = (values(down), values(across));
        let mut panels: Vec<(Vec<usize>, Panel)> = Vec::new();
        for (i, cell) in cells.iter().enumerate() {
            let is_beside =
                |axis: usize| ![down, across].contains(&Some(axis)) && !self.axes[axis].is_repetition;
            let beside: Vec<usize> = (0..self.axes.len()).filter(|axis| is_beside(*axis)).collect();
            let key: Vec<usize> = beside.iter().map(|axis| cell.at[*axis]).collect();
            let place = panels.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
                let named = beside.iter().zip(&key).map(|(axis, value)| {
                    let axis = &self.axes[*axis];
                    format!("{}={}", axis.name, axis.values[*value])
                });
                let title = named.collect::<Vec<_>>().join(" ");
                let cells = vec![vec![0; columns.len()]; rows.len()];
                panels.push((key, Panel { title, rows: rows.clone(), columns: columns.clone(), cells }));
                panels.len() - 1
            });
            let at = |axis: Option<usize>| axis.map_or(0, |axis| cell.at[axis]);
            panels[place].1.cells[at(down)][at(across)] = i;
        }
        panels.into_iter().map(|(_, panel)| panel).collect()
    }

    /// How many repetitions a cell has.
    pub(super) fn repetitions(&self) -> usize {
        self.axes.iter().filter(|axis| axis.is_repetition).map(|axis| axis.values.len()).product()
    }

    /// How the cells' numbers are written.
    pub(super) fn digits(cells: &[Cell]) -> Digits {
        Digits::of(cells.iter().filter_map(|cell| Some(cell.score.as_ref()?.mean)))
    }
}

impl Cell {
    /// `0.210 ± 0.009`, what is to be said besides, or both.
    pub(super) fn line(&self, digits: Digits, plus_minus: &str) -> String {
        let score = self.score.as_ref().map(|score| written(score, digits, plus_minus));
        let note = (!self.note.is_empty()).then(|| self.note.clone());
        let parts: Vec<String> = score.into_iter().chain(note).collect();
        if parts.is_empty() { super::super::number::DASH.to_owned() } else { parts.join(", ") }
    }
}

/// `0.210 ± 0.009`
pub(super) fn written(score: &Score, digits: Digits, plus_minus: &str) -> String {
    let mean = digits.write(score.mean);
    let has_spread = score.trials.len() > 1 && score.std.is_finite();
    if has_spread { format!("{mean} {plus_minus} {}", digits.write(score.std)) } else { mean }
}
