//! The sweep for a terminal.

use super::{
    super::{escape::plain, heading::Heading},
    best::Best,
    cells::Panel,
    data::SweepData,
};

/// Its tables, its best point, and what went wrong.
pub fn text(data: &SweepData) -> String {
    let cells = data.cells();
    let digits = SweepData::digits(&cells);
    let mut blocks = Vec::new();
    if let Some((stage, metric)) = &data.cell {
        blocks.push(plain(&format!("{} ({metric} of `{stage}`)", Heading::of(metric).title)));
    }
    for panel in data.panels(&cells).iter().filter(|_| data.cell.is_some()) {
        let cell = |i: &usize| cells[*i].line(digits, "±");
        let rows: Vec<Vec<String>> = panel.cells.iter().map(|row| row.iter().map(cell).collect()).collect();
        let title = if panel.title.is_empty() { String::new() } else { plain(&panel.title) + "\n" };
        blocks.push(title + &table(data, panel, &rows));
    }
    if data.cell.is_none() {
        let all = data.points.iter().map(|point| {
            let scores = point.scores.iter().flat_map(|(stage, scores)| {
                scores.iter().map(move |(metric, score)| format!("{stage}.{metric} {:.4}", score.mean))
            });
            let said =
                point.end.message().map_or_else(|| scores.collect::<Vec<_>>().join(", "), |_| String::new());
            plain(&format!("{}  {}  {said}", point.label, point.end.as_str()))
        });
        blocks.push(all.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n"));
    }
    if let Some(best) = Best::of(data, &cells) {
        blocks.push(best.sentences(data, &cells).map(|said| plain(&said)).join("\n"));
    }
    let wrong = data.points.iter().filter_map(|point| {
        Some(plain(&format!("{} {}: {}", point.label, point.end.as_str(), point.end.message()?)))
    });
    let wrong: Vec<String> = wrong.collect();
    blocks.extend((!wrong.is_empty()).then(|| wrong.join("\n")));
    blocks.join("\n\n")
}

fn table(data: &SweepData, panel: &Panel, cells: &[Vec<String>]) -> String {
    let [down, across] = data.axis_names();
    let columns = panel
        .columns
        .iter()
        .map(|value| if across.is_empty() { String::new() } else { format!("{across}={value}") });
    let mut lines = vec![[vec![down.to_owned()], columns.collect()].concat()];
    lines
        .extend(panel.rows.iter().zip(cells).map(|(row, cells)| [vec![row.clone()], cells.clone()].concat()));
    lines.retain(|line| line.iter().any(|field| !field.is_empty()));
    let lines: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().map(|field| plain(field)).collect()).collect();
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let line = |line: &Vec<String>| {
        let padded = line.iter().enumerate().map(|(i, field)| format!("{field:>width$}", width = width(i)));
        "  ".to_owned() + padded.collect::<Vec<_>>().join("  ").trim_end()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}
