//! The table, made once for all formats: headings, and cells whose numbers are already written.

use super::{
    data::{MeasuredRow, ReportData},
    heading::Heading,
    number::{DASH, Digits},
    verdict::Verdict,
};
use crate::metrics::Better;

/// The table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    /// Without the first column, which is the label's.
    pub(super) headings: Vec<Heading>,
    pub(super) rows: Vec<TableRow>,
    /// Most trials of any cell.
    pub(super) trials: usize,
    /// Whether the best cells are the best of the one-step rows only.
    pub(super) best_of_one_step: bool,
    /// Where the limits in the cells come from, each once.
    pub(super) sources: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableRow {
    pub(super) label: String,
    /// Why there are no values; empty where there are.
    pub(super) note: &'static str,
    /// The stage that measured them, where it is one of this pipeline's.
    pub(super) stage: Option<String>,
    /// The folder of the stage that measured them.
    pub(super) folder: Option<String>,
    pub(super) cells: Vec<Cell>,
}

/// One value, as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cell {
    /// `0.471`
    pub(super) mean: Option<String>,
    /// `0.054`, where there is more than one trial.
    pub(super) std: Option<String>,
    /// `1.499`
    pub(super) published: Option<String>,
    /// Of its column.
    pub(super) best: bool,
    /// What is expected of it.
    pub(super) limits: Vec<Limit>,
    /// Share of the largest value of its column, where less is better.
    pub(super) share: Option<f64>,
}

/// An expectation, where its value is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limit {
    /// `≤ 0.7`
    pub(super) words: String,
    /// Whether it is so.
    pub(super) pass: bool,
    /// Which of the table's sources it comes from.
    pub(super) source: Option<usize>,
}

impl Cell {
    /// In one line: `1.499 (published) / 1.512 ± 0.010`, or a dash. `emphasis` is put around the best measured value.
    pub(super) fn line(&self, plus_minus: &str, emphasis: [&str; 2]) -> String {
        let measured = self.mean.as_ref().map(|mean| match &self.std {
            Some(std) => format!("{mean} {plus_minus} {std}"),
            None => mean.clone(),
        });
        let [before, after] = if self.best { emphasis } else { [""; 2] };
        let measured = measured.map(|m| format!("{before}{m}{after}"));
        let published = self.published.as_ref().map(|p| format!("{p} (published)"));
        match (published, measured) {
            (Some(published), Some(measured)) => format!("{published} / {measured}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => DASH.to_owned(),
        }
    }
}

impl TableRow {
    fn of(row: &MeasuredRow) -> Self {
        let note = if row.is_missing() { "has not run" } else { "" };
        let stage = own_stage(row).map(str::to_owned);
        Self { label: row.asked.label.clone(), note, stage, folder: row.folder.clone(), cells: Vec::new() }
    }

    /// The label with its note.
    pub(super) fn title(&self) -> String {
        if self.note.is_empty() { self.label.clone() } else { format!("{} ({})", self.label, self.note) }
    }
}

impl Table {
    pub(super) fn of(data: &ReportData) -> Self {
        let rows = data.rows.iter();
        let trials = rows.clone().flat_map(|row| row.measured.values()).map(|score| score.trials.len()).max();
        let nfe = |is: fn(u32) -> bool| data.rows.iter().any(|row| row.nfe.is_some_and(is));
        let mut table = Self {
            headings: data.columns.iter().map(|name| Heading::of(name)).collect(),
            rows: rows.map(TableRow::of).collect(),
            trials: trials.unwrap_or(0),
            best_of_one_step: nfe(|n| n == 1) && nfe(|n| n > 1),
            sources: Vec::new(),
        };
        for (stage, verdict) in &data.expectations {
            let source = verdict.expected.source.as_ref().filter(|_| table.judges(stage, verdict));
            if let Some(source) = source.filter(|source| !table.sources.contains(*source)) {
                table.sources.push(source.clone());
            }
        }
        for heading in &table.headings {
            let cells = if heading.name == "nfe" {
                data.rows.iter().map(evaluations).collect()
            } else {
                column(data, heading, &table)
            };
            table.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.cells.push(cell));
        }
        table
    }

    /// Whether a cell shows what is expected of a stage, and the value.
    pub(super) fn judges(&self, stage: &str, verdict: &Verdict) -> bool {
        self.rows.iter().any(|row| row.stage.as_deref() == Some(stage))
            && self.headings.iter().any(|heading| heading.name == verdict.expected.metric)
    }

    /// What the signs in the table mean, in sentences.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let cells = || self.rows.iter().flat_map(|r| &r.cells);
        if cells().any(|c| c.std.is_some()) {
            notes.push(format!("Mean ± standard deviation over up to {} trials.", self.trials));
        }
        if cells().any(|c| c.best) {
            let of = if self.best_of_one_step { "the one-step rows" } else { "each column" };
            notes.push(format!("Bold: best of {of}."));
        }
        notes
    }
}

fn evaluations(row: &MeasuredRow) -> Cell {
    // The same number twice says nothing more.
    let published = row.asked.published.get("nfe").filter(|nfe| row.nfe.map(f64::from) != Some(**nfe));
    Cell { mean: row.nfe.map(|n| n.to_string()), published: published.map(f64::to_string), ..Cell::default() }
}

/// The stage that a row's values come from. What is expected here says nothing of a stage of another pipeline.
fn own_stage(row: &MeasuredRow) -> Option<&str> {
    row.asked.scores.as_ref().filter(|of| of.pipeline.is_none()).map(|of| of.stage.as_str())
}

fn column(data: &ReportData, Heading { name, better, .. }: &Heading, table: &Table) -> Vec<Cell> {
    let one_step = table.best_of_one_step;
    let finite = |row: &MeasuredRow| row.measured.get(name).map(|s| s.mean).filter(|m| m.is_finite());
    let published = |row: &MeasuredRow| row.asked.published.get(name).copied();
    let digits = Digits::of(data.rows.iter().flat_map(|row| finite(row).into_iter().chain(published(row))));
    let candidates = data.rows.iter().filter(|r| !one_step || r.nfe == Some(1)).filter_map(finite);
    let best = match better {
        Some(Better::Lower) => candidates.clone().reduce(f64::min),
        Some(Better::Higher) => candidates.clone().reduce(f64::max),
        None => None,
    };
    // The best of one is no news.
    let best = if candidates.count() > 1 { best } else { None };
    let largest = data.rows.iter().filter_map(finite).fold(0.0, f64::max);
    let cell = |row: &MeasuredRow| {
        let score = row.measured.get(name);
        let mean = finite(row);
        let stage = own_stage(row);
        let source = |source: &String| table.sources.iter().position(|other| other == source);
        let limits = data
            .expectations
            .iter()
            .filter(|(of, verdict)| Some(of.as_str()) == stage && verdict.expected.metric == *name)
            .map(|(_, verdict)| Limit {
                words: verdict.signs(),
                pass: verdict.pass,
                source: verdict.expected.source.as_ref().and_then(source),
            });
        Cell {
            mean: score.map(|s| digits.write(s.mean)),
            std: score.filter(|s| s.trials.len() > 1 && s.std.is_finite()).map(|s| digits.write(s.std)),
            published: published(row).map(|p| digits.write(p)),
            best: mean.is_some() && mean == best && (!one_step || row.nfe == Some(1)),
            limits: limits.collect(),
            share: mean
                .filter(|_| *better == Some(Better::Lower) && largest > 0.0)
                .map(|m| (m / largest).max(0.0)),
        }
    };
    data.rows.iter().map(cell).collect()
}
