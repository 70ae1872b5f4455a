//! `sweep.tex`: the tables for a paper, with booktabs.

use std::fmt::Write as _;

use super::{
    super::{escape::latex as escape, heading::Heading},
    best::Best,
    data::SweepData,
};

/// A `table` environment for each combination of the axes that go neither down nor across; needs
/// `\usepackage{booktabs}`. Empty where the sweep is about no metric.
pub(super) fn latex(data: &SweepData) -> String {
    let Some((stage, metric)) = &data.cell else { return String::new() };
    let cells = data.cells();
    let digits = SweepData::digits(&cells);
    let best = Best::of(data, &cells).map(|best| best.cell);
    let [down, across] = data.axis_names().map(escape);
    let mut out = String::new();
    for panel in data.panels(&cells) {
        let titles = [Heading::of(metric).title, format!("of {stage}"), panel.title];
        let caption = titles.into_iter().filter(|title| !title.is_empty()).collect::<Vec<_>>().join(" ");
        let _ = write!(out, "\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n", escape(&caption));
        let columns = "r".repeat(panel.columns.len());
        let _ = write!(out, "  \\begin{{tabular}}{{l{columns}}}\n    \\toprule\n    {down}");
        for column in &panel.columns {
            let over = if across.is_empty() { String::new() } else { format!("{across} = ") };
            let _ = write!(out, " & {over}{}", escape(column));
        }
        out.push_str(" \\\\\n    \\midrule\n");
        for (row, places) in panel.rows.iter().zip(&panel.cells) {
            let _ = write!(out, "    {}", escape(row));
            for place in places {
                // Numbers are our own; only the signs of the terminal need another spelling.
                let line = cells[*place].line(digits, "$\\pm$").replace('–', "--").replace('−', "$-$");
                let _ = if best == Some(*place) {
                    write!(out, " & \\textbf{{{line}}}")
                } else {
                    write!(out, " & {line}")
                };
            }
            out.push_str(" \\\\\n");
        }
        out.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
    }
    out
}
