//! `sweep.md`: what a forge or a note shows.

use std::fmt::Write as _;

use super::{
    super::{
        escape::{link, markdown as escape},
        heading::Heading,
    },
    best::{Best, spread_note},
    cells::Cell,
    data::SweepData,
};

/// The sweep as Markdown.
pub fn markdown(data: &SweepData) -> String {
    let cells = data.cells();
    let mut out = format!("# {}\n\n", escape(&data.sweep));
    if !data.description.trim().is_empty() {
        let _ = writeln!(out, "{}\n", escape(&data.description));
    }
    let best = Best::of(data, &cells);
    if let Some(best) = &best {
        let [first, next] = best.sentences(data, &cells);
        let _ = writeln!(out, "**{}** {}\n", escape(&first), escape(&next));
    }
    if data.cell.is_some() {
        panels(&mut out, data, &cells, best.map(|best| best.cell));
    }
    out.push_str("## Points\n\n| point | end | scores | expectations |\n| :-- | :-- | :-- | :-- |\n");
    for point in &data.points {
        let label = escape(&point.label);
        let label = point.page.as_ref().map_or(label.clone(), |page| format!("[{label}]({})", link(page)));
        let end = match point.end.message() {
            Some(message) => format!("{}: {}", point.end.as_str(), escape(message)),
            None => point.end.as_str().to_owned(),
        };
        let scores = point.scores.iter().flat_map(|(stage, scores)| {
            scores.iter().map(move |(metric, score)| escape(&format!("{stage}.{metric} {:.4}", score.mean)))
        });
        let met = point.expectations.iter().filter(|(_, verdict)| verdict.pass).count();
        let met = match point.expectations.len() {
            0 => String::new(),
            all => format!("{met} of {all} met"),
        };
        let _ = writeln!(out, "| {label} | {end} | {} | {met} |", scores.collect::<Vec<_>>().join(", "));
    }
    let facts = data.provenance.facts();
    let _ = write!(
        out,
        "\n## Provenance\n\n- date: {}\n- device: {}\n",
        data.provenance.date,
        escape(&data.provenance.device)
    );
    for (name, value) in facts {
        let _ = writeln!(out, "- {}: {}", escape(name), escape(value));
    }
    out
}

fn panels(out: &mut String, data: &SweepData, cells: &[Cell], best: Option<usize>) {
    let Some((stage, metric)) = &data.cell else { return };
    let digits = SweepData::digits(cells);
    let heading = Heading::of(metric);
    let _ = writeln!(out, "## {}{} of {}\n", escape(&heading.title), heading.arrow(), escape(stage));
    let [down, across] = data.axis_names();
    for panel in data.panels(cells) {
        if !panel.title.is_empty() {
            let _ = writeln!(out, "{}\n", escape(&panel.title));
        }
        let over = if across.is_empty() { String::new() } else { format!("{across} = ") };
        let _ = write!(out, "| {} |", escape(down));
        for value in &panel.columns {
            let _ = write!(out, " {} |", escape(&format!("{over}{value}")));
        }
        let _ = writeln!(out, "\n| :-- |{}", " --: |".repeat(panel.columns.len()));
        for (row, places) in panel.rows.iter().zip(&panel.cells) {
            let _ = write!(out, "| {} |", escape(row));
            for place in places {
                let line = escape(&cells[*place].line(digits, "±"));
                let _ = if best == Some(*place) {
                    write!(out, " **{line}** |")
                } else {
                    write!(out, " {line} |")
                };
            }
            out.push('\n');
        }
        out.push('\n');
    }
    if let Some(note) = spread_note(data, cells) {
        let _ = writeln!(out, "{note}\n");
    }
}
