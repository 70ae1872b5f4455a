//! `report.csv`: the table in full precision. Values that are absent or not finite are empty fields.

use super::{data::ReportData, escape};

/// One line per row: `label, nfe, nfe_published, <metric>, <metric>_std, <metric>_min, <metric>_trials,
/// <metric>_published, ...`
pub fn csv(data: &ReportData) -> String {
    let number =
        |value: Option<f64>| value.filter(|v| v.is_finite()).map(|v| v.to_string()).unwrap_or_default();
    let mut lines = vec![vec!["label".to_owned()]];
    for name in &data.columns {
        lines[0].push(name.clone());
        let parts: &[&str] =
            if name == "nfe" { &["published"] } else { &["std", "min", "trials", "published"] };
        lines[0].extend(parts.iter().map(|part| format!("{name}_{part}")));
    }
    for row in &data.rows {
        let mut line = vec![row.asked.label.clone()];
        for name in &data.columns {
            if name == "nfe" {
                line.push(row.nfe.map(|n| n.to_string()).unwrap_or_default());
            } else {
                let score = row.measured.get(name);
                line.push(number(score.map(|s| s.mean)));
                line.push(number(score.map(|s| s.std)));
                line.push(number(score.map(|s| s.min)));
                line.push(score.map(|s| s.trials.len().to_string()).unwrap_or_default());
            }
            line.push(number(row.asked.published.get(name).copied()));
        }
        lines.push(line);
    }
    let written = |line: &Vec<String>| {
        line.iter().map(|field| escape::csv(field)).collect::<Vec<_>>().join(",") + "\r\n"
    };
    lines.iter().map(written).collect()
}
