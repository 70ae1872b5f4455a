//! The points of a sweep: every combination of its axes' values, each of them a pipeline.

use std::path::Path;

use serde_json::Value;

use super::{
    document::{Document, escape},
    mistake::Mistake,
    overlay::{self, Nowhere, Setting},
    parse::{Parsed, Source},
    spec::Sweep,
};
use crate::{
    Error, Result, secret,
    suggestion::{advice, listed},
};

/// More points than anybody runs.
const MAX_POINTS: usize = 10_000;

/// One point of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Axis and value, in the order of the axes.
    pub at: Vec<(String, Value)>,
    /// What makes the base pipeline this point's.
    pub settings: Vec<Setting>,
}

impl Point {
    /// `alpha=1.0 lr=1e-5`.
    pub fn label(&self) -> String {
        let at = self.at.iter().map(|(axis, value)| format!("{axis}={value}"));
        secret::masked(&at.collect::<Vec<_>>().join(" ")).into_owned()
    }
}

/// All points, the last axis running fastest. `settings` come first, so that an axis has the last word.
///
/// # Errors
/// `Usage` for more than ten thousand points.
pub fn points(sweep: &Sweep, settings: &[Setting]) -> Result<Vec<Point>> {
    let count = sweep.axes.values().map(|axis| axis.values.len()).try_fold(1usize, usize::checked_mul);
    if count.is_none_or(|count| count > MAX_POINTS) {
        return Err(Error::Usage(format!("the sweep has more than {MAX_POINTS} points")));
    }
    let fixed = sweep.set.iter().map(|(path, value)| Setting {
        path: path.clone(),
        value: value.clone(),
        origin: format!("`set: {path}: {value}` of the sweep"),
    });
    let mut points =
        vec![Point { at: Vec::new(), settings: fixed.chain(settings.iter().cloned()).collect() }];
    for (name, axis) in &sweep.axes {
        let extended = |point: &Point, value: &Value| {
            let mut point = point.clone();
            point.at.push((name.clone(), value.clone()));
            point.settings.extend(axis.paths.iter().map(|path| Setting {
                path: path.clone(),
                value: value.clone(),
                origin: format!("`{name}` = {value} of the sweep"),
            }));
            point
        };
        points =
            points.iter().flat_map(|point| axis.values.iter().map(|value| extended(point, value))).collect();
    }
    Ok(points)
}

/// The pipeline file that a sweep varies.
///
/// # Errors
/// `Usage` where it cannot be read.
pub fn base(source: &Source, sweep: &Sweep) -> Result<Source> {
    let folder = source.path.parent().unwrap_or(Path::new(""));
    Source::read(&folder.join(&sweep.base))
}

/// What is wrong with a sweep whose own values are well-formed: its axes, its paths, its base, and each of its points.
pub(super) fn mistakes(
    document: &Document,
    source: &Source,
    sweep: &Sweep,
    settings: &[Setting],
) -> Result<Vec<Mistake>> {
    let wrong = |pointer: &str, message: String, help: Option<String>| {
        Mistake::new(document, document.value_span(pointer), pointer, message).help(help)
    };
    let mut mistakes = Vec::new();
    if sweep.axes.is_empty() {
        mistakes.push(wrong("/axes", "there are no axes".to_owned(), None));
    }
    let axes: Vec<&str> = sweep.axes.keys().map(String::as_str).collect();
    if let Some(table) = &sweep.table {
        for (field, axis) in [("rows", Some(&table.rows)), ("columns", table.columns.as_ref())] {
            if let Some(axis) = axis.filter(|axis| !sweep.axes.contains_key(*axis)) {
                mistakes.push(wrong(
                    &format!("/table/{field}"),
                    format!("there is no axis `{axis}`"),
                    advice(axis, &axes),
                ));
            }
        }
    }
    let base = match base(source, sweep) {
        Ok(base) => base,
        Err(error) => {
            mistakes.push(wrong(
                "/base",
                error.to_string(),
                Some("the path is relative to the sweep's file".to_owned()),
            ));
            return Ok(mistakes);
        }
    };
    let parsed = match base.judge(settings)? {
        Ok(Parsed::Pipeline(pipeline)) => pipeline,
        Ok(Parsed::Sweep(_)) => {
            mistakes.push(wrong("/base", format!("`{}` is a sweep itself", sweep.base), None));
            return Ok(mistakes);
        }
        Err(of_base) => {
            mistakes.extend(of_base);
            return Ok(mistakes);
        }
    };
    if let Some(table) = &sweep.table {
        let cell = &table.cell;
        match parsed.stages.get(&cell.stage).map(|spec| (spec.verb(), spec.stage().scores())) {
            Some((_, Some(names))) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                if !names.contains(&cell.metric.as_str()) {
                    let message = format!("`{}` is not measured by `{}`", cell.metric, cell.stage);
                    mistakes.push(wrong(
                        "/table/cell/metric",
                        message,
                        Some(format!("measured are {}", listed(&names))),
                    ));
                }
            }
            Some((verb, None)) => {
                let message = format!("`{}` is a `{verb}` stage, but a cell shows scores", cell.stage);
                mistakes.push(wrong("/table/cell/stage", message, None));
            }
            None => {
                let names: Vec<&str> =
                    parsed.stages.keys().map(crate::stage_name::StageName::as_str).collect();
                let message = format!("there is no stage `{}` in `{}`", cell.stage, sweep.base);
                mistakes.push(wrong("/table/cell/stage", message, advice(cell.stage.as_str(), &names)));
            }
        }
    }
    mistakes.extend(lost_paths(document, &base, sweep));
    if !mistakes.is_empty() {
        return Ok(mistakes);
    }
    for point in points(sweep, settings)? {
        if let Err(of_point) = base.judge(&point.settings)? {
            mistakes
                .extend(of_point.into_iter().map(|mistake| at_its_value(document, sweep, &point, mistake)));
        }
        if mistakes.len() > 100 {
            break;
        }
    }
    Ok(mistakes)
}

/// A mistake that a value of the sweep makes in the base is shown at that value.
fn at_its_value(document: &Document, sweep: &Sweep, point: &Point, mistake: Mistake) -> Mistake {
    let Some(origin) = &mistake.origin else { return mistake };
    let Some(setting) = point.settings.iter().find(|setting| setting.origin == *origin) else {
        return mistake;
    };
    let of_axis = point.at.iter().find_map(|(name, value)| {
        let axis = sweep.axes.get(name).filter(|axis| axis.paths.contains(&setting.path))?;
        let i = axis.values.iter().position(|v| v == value)?;
        Some(format!("/axes/{}/values/{i}", escape(name)))
    });
    let pointer = match of_axis {
        Some(pointer) => pointer,
        None if sweep.set.contains_key(&setting.path) => format!("/set/{}", escape(&setting.path)),
        None => return mistake,
    };
    let message = format!("in `{}`: {}", mistake.path, mistake.message);
    Mistake::new(document, document.value_span(&pointer), &pointer, message).help(mistake.help)
}

/// Paths that lead nowhere in the base pipeline.
fn lost_paths(document: &Document, base: &Source, sweep: &Sweep) -> Vec<Mistake> {
    let Ok(read) = Document::read("", base.text.clone()) else { return Vec::new() };
    let paths = sweep.set.keys().map(|path| (format!("/set/{}", escape(path)), path, true));
    let axes = sweep.axes.iter().flat_map(|(name, axis)| {
        let place = move |(i, path)| (format!("/axes/{}/paths/{i}", escape(name)), path, false);
        axis.paths.iter().enumerate().map(place)
    });
    let mut mistakes = Vec::new();
    for (pointer, path, is_key) in paths.chain(axes) {
        let setting = Setting { path: path.clone(), value: Value::Null, origin: String::new() };
        if let Err(Nowhere { problem, help }) = overlay::put(&mut read.value.clone(), &setting) {
            let span = if is_key { document.key_span(&pointer) } else { document.value_span(&pointer) };
            mistakes.push(Mistake::new(document, span, &pointer, problem).help(help));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_every_combination_once() {
        let text = r#"{ "base": "a.yaml", "set": { "seed": 1 }, "axes": {
            "a": { "paths": ["x", "y"], "values": [1, 2, 3] }, "b": { "paths": ["z"], "values": [true, false] } } }"#;
        let sweep: Sweep = serde_json::from_str(text).unwrap();
        let points = points(&sweep, &[]).unwrap();
        assert_eq!(points.len(), 6);
        assert_eq!(points[1].label(), "a=1 b=false");
        let paths: Vec<&str> = points[5].settings.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(paths, ["seed", "x", "y", "z"]);
    }
}
