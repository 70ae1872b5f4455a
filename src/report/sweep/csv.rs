//! `sweep.csv`: a line per point, in full precision. Values that are absent or not finite are empty fields.

use super::{super::escape, data::SweepData};

/// `point, <axis>..., end, message, <stage>.<metric>, ..._std, ..._min, ..._trials, ...`
pub(super) fn csv(data: &SweepData) -> String {
    let columns = data.measured();
    let number = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
    let mut lines = vec![vec!["point".to_owned()]];
    lines[0].extend(data.axes.iter().map(|axis| axis.name.clone()));
    lines[0].extend(["end", "message"].map(str::to_owned));
    for (stage, metric) in &columns {
        lines[0].extend(["", "_std", "_min", "_trials"].map(|part| format!("{stage}.{metric}{part}")));
    }
    for (i, point) in data.points.iter().enumerate() {
        let mut line = vec![(i + 1).to_string()];
        line.extend(data.axes.iter().zip(&point.at).map(|(axis, at)| axis.values[*at].clone()));
        line.push(point.end.as_str().to_owned());
        line.push(point.end.message().unwrap_or_default().to_owned());
        for column in &columns {
            match point.score(column) {
                Some(score) => {
                    line.extend([score.mean, score.std, score.min].map(number));
                    line.push(score.trials.len().to_string());
                }
                None => line.extend([const { String::new() }; 4]),
            }
        }
        lines.push(line);
    }
    let written = |line: &Vec<String>| {
        line.iter().map(|field| escape::csv(field)).collect::<Vec<_>>().join(",") + "\r\n"
    };
    lines.iter().map(written).collect()
}
