//! `report.tex`: the table for a paper, with booktabs.

use std::fmt::Write as _;

use super::{data::ReportData, escape::latex as escape, table::Table};

/// A `table` environment; needs `\usepackage{booktabs}`.
pub fn latex(data: &ReportData) -> String {
    let table = Table::of(data);
    let columns = "r".repeat(table.headings.len());
    let mut out = format!("\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n", escape(&data.caption));
    let _ = write!(out, "  \\begin{{tabular}}{{l{columns}}}\n    \\toprule\n   ");
    for heading in &table.headings {
        let arrow = heading.sign([" $\\downarrow$", " $\\uparrow$"]);
        let _ = write!(out, " & {}{arrow}", escape(&heading.title));
    }
    out.push_str(" \\\\\n    \\midrule\n");
    for row in &table.rows {
        let _ = write!(out, "    {}", escape(&row.label));
        for cell in &row.cells {
            // Numbers are our own; only the signs of the terminal need another spelling.
            let line = cell.line("$\\pm$", ["\\textbf{", "}"]).replace('–', "--").replace('−', "$-$");
            let _ = write!(out, " & {line}");
        }
        out.push_str(" \\\\\n");
    }
    out.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
    out
}
