//! Plain tables for a terminal.

pub(super) use crate::stages::progress::{bytes, grouped};

/// Rows of text as aligned columns, two blanks apart; the last column is not padded.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            aligned(&[vec!["a".into(), "b".into()], vec!["ccc".into(), "d".into()]]),
            "a    b\nccc  d"
        );
    }
}
