//! The best point of a sweep, and whether it can be told from the next ones.

use super::{
    super::heading::Heading,
    cells::{Cell, written},
    data::SweepData,
};
use crate::metrics::{Better, Score};

/// The best cell, by its place, and those that cannot be told from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Best {
    pub(super) cell: usize,
    /// Next best first: within the spread of both, or of unknown spread.
    pub(super) rivals: Vec<usize>,
    /// Whether there is a spread to judge by.
    pub(super) is_known: bool,
}

impl Best {
    /// Of the cells that can be ranked; `None` where there are fewer than two, or neither end of the scale is good.
    pub(super) fn of(data: &SweepData, cells: &[Cell]) -> Option<Self> {
        let (_, metric) = data.cell.as_ref()?;
        let ranked = ranked(cells, Heading::of(metric).better);
        let ((first, _), others) = ranked.split_first().filter(|(_, others)| !others.is_empty())?;
        let score = |i: usize| cells[i].score.as_ref();
        let beyond = |i: usize| score(*first)?.to(score(i)?).is_beyond_spread();
        let rivals = others.iter().map(|(i, _)| *i).take_while(|i| beyond(*i) != Some(true)).collect();
        Some(Self { cell: *first, rivals, is_known: others.iter().all(|(i, _)| beyond(*i).is_some()) })
    }

    /// The best with its value; then what speaks against it.
    pub(super) fn sentences(&self, data: &SweepData, cells: &[Cell]) -> [String; 2] {
        let digits = SweepData::digits(cells);
        let metric = data.cell.as_ref().map(|(_, metric)| metric.as_str()).unwrap_or_default();
        let title = Heading::of(metric).title;
        let said = |i: usize| {
            let score = cells[i].score.as_ref().map(|score| written(score, digits, "±"));
            format!("{} ({})", cells[i].label, score.unwrap_or_default())
        };
        let best = &cells[self.cell];
        let value = best.score.as_ref().map(|score| written(score, digits, "±")).unwrap_or_default();
        let first = format!("Best {title}: {} with {value}.", best.label);
        let next = match self.rivals.split_first() {
            None => "The next best is further away than the spread of both.".to_owned(),
            Some(_) if !self.is_known => {
                "How far measurements lie apart by chance is not known: give the sweep an axis `seed`, or the stage more `trials`."
                    .to_owned()
            }
            Some((next, [])) => format!("{} lies within the spread: the two cannot be told apart.", said(*next)),
            Some((next, more)) => format!(
                "{} and {} more lie within the spread: they cannot be told apart.",
                said(*next),
                more.len()
            ),
        };
        [first, next]
    }
}

impl SweepData {
    /// Those of `points` that are repetitions of each other, together.
    pub fn groups(&self, points: &[usize]) -> Vec<Vec<usize>> {
        let cells = self.cells().into_iter().map(|cell| cell.points);
        cells.filter(|group| group.iter().all(|point| points.contains(point))).collect()
    }

    /// Groups that can be ranked, best first; those that measured the same, in their order.
    pub fn ranking(&self, groups: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let cells = self.cells();
        let metric = self.cell.as_ref().map(|(_, metric)| metric.as_str()).unwrap_or_default();
        let ranked = ranked(&cells, Heading::of(metric).better);
        ranked
            .into_iter()
            .map(|(i, _)| cells[i].points.clone())
            .filter(|group| groups.contains(group))
            .collect()
    }
}

/// The cells that can be ranked with their values, best first; none where neither end of the scale is good.
fn ranked(cells: &[Cell], better: Option<Better>) -> Vec<(usize, f64)> {
    let ranked = |(i, cell): (usize, &Cell)| Some((i, cell.score.as_ref().filter(|_| cell.ranks)?.mean));
    let mut ranked: Vec<(usize, f64)> = cells.iter().enumerate().filter_map(ranked).collect();
    ranked.sort_by(|(_, a), (_, b)| match better {
        Some(Better::Higher) => b.total_cmp(a),
        _ => a.total_cmp(b),
    });
    if better.is_some() { ranked } else { Vec::new() }
}

/// What the numbers after the sign of plus and minus are.
pub(super) fn spread_note(data: &SweepData, cells: &[Cell]) -> Option<String> {
    let trials = cells.iter().filter_map(|cell| cell.score.as_ref()).map(|score: &Score| score.trials.len());
    let trials = trials.max().filter(|trials| *trials > 1)?;
    Some(if data.repetitions() > 1 {
        format!("Mean ± standard deviation over {trials} seeds.")
    } else {
        format!(
            "Mean ± standard deviation over {trials} trials of one training; how much trainings differ, an axis `seed` would tell."
        )
    })
}
