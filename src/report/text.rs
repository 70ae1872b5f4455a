//! The table for a terminal.

use std::fmt::Write as _;

use super::{data::ReportData, escape::plain, table::Table};

/// Caption, table, and one line per expectation and for the verdict.
pub fn text(data: &ReportData) -> String {
    let table = Table::of(data);
    let mut lines = vec![vec![String::new()]];
    lines[0].extend(table.headings.iter().map(|h| plain(&h.name)));
    for row in &table.rows {
        let mut line = vec![plain(&row.title())];
        line.extend(row.cells.iter().map(|c| plain(&c.line("±", ["", ""]))));
        lines.push(line);
    }
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|i| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0))
        .collect();

    let mut out = format!("{}\n\n", plain(&data.caption));
    for (i, line) in lines.iter().enumerate() {
        let mut cells = line.iter().zip(&widths);
        let (label, width) = cells.next().expect("a first column");
        let _ = write!(out, "  {label:<width$}");
        cells.for_each(|(cell, width)| {
            let _ = write!(out, "   {cell:>width$}");
        });
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
        if i == 0 {
            let width = widths.iter().sum::<usize>() + 3 * (widths.len() - 1);
            let _ = writeln!(out, "  {}", "─".repeat(width));
        }
    }
    out.push('\n');
    for (stage, verdict) in &data.expectations {
        let (sign, sentence) = (if verdict.pass { "✓" } else { "✗" }, verdict.sentence(&verdict.written()));
        let _ = writeln!(out, "  {sign} {}: {sentence}{}", plain(stage), verdict.source());
    }
    let _ = writeln!(out, "  {}: {}", data.verdict().word(), data.verdict_sentence());
    out
}
