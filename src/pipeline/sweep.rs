//! The points of a sweep: every combination of its axes' values, each of them a pipeline.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    derive::derive,
    document::{Document, escape},
    mistake::Mistake,
    origin::{Origin, Taken},
    overlay::{self, Setting},
    parse::{self, duplicates, read_rest},
    schema::SWEEP_SCHEMA,
    source::{Form, Judged, Parsed, Source},
    spec::{Pipeline, Sweep},
    violations::violations,
};
use crate::{
    secret,
    suggestion::{advice, listed},
};

/// More points than anybody runs.
const MAX_POINTS: usize = 10_000;
/// More stages and values than anybody sets, over all points.
const MAX_STAGES: usize = 40 * MAX_POINTS;
/// More mistakes than anybody reads.
const MAX_MISTAKES: usize = 100;

/// One point of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Axis and value, in the order of the axes.
    pub at: Vec<(String, Value)>,
    /// The pipeline with these values.
    pub pipeline: Pipeline,
}

impl Point {
    /// `alpha=1.0 lr=1e-5`.
    pub fn label(&self) -> String {
        let at = self.at.iter().map(|(axis, value)| format!("{axis}={value}"));
        secret::masked(&at.collect::<Vec<_>>().join(" ")).into_owned()
    }
}

/// What a sweep's document says. `settings` are made before the axes' values, so that an axis has the last word.
///
/// # Errors
/// What is wrong with its own values, its axes, its paths, its base, and each of its points.
pub(super) fn judge(document: Document, source: &Source, settings: &[Setting]) -> Judged {
    let mut mistakes: Vec<Mistake> = duplicates(&document).collect();
    let violations = violations(&document, &SWEEP_SCHEMA);
    let sweep: Option<Sweep> = read_rest(&document, &violations, &["base", "set", "axes", "table"]);
    mistakes.extend(violations.into_iter().map(|(at, mut mistake)| {
        if at == "/stages" || at == "/remove" {
            mistake.message = format!("a sweep has no `{}`", &at[1..]);
            return mistake.help(Some("write it in a derived pipeline, and name that one as `base`"));
        }
        mistake
    }));
    let name = document.value.get("base").and_then(Value::as_str).filter(|base| !base.is_empty());
    let Some(base) = name.map(|name| base(&document, source, name)) else { return Err(mistakes) };
    let Some(sweep) = sweep else {
        // Where the points cannot be told, the base is judged as it is.
        let judged = base.and_then(|(base, of_base)| parse::judge(&base, of_base, &source.search));
        return Err([mistakes, judged.err().unwrap_or_default()].concat());
    };
    mistakes.extend(axes_mistakes(&document, &sweep));
    let (base, of_base) = base.map_err(|of_base| [mistakes.clone(), of_base].concat())?;
    mistakes.extend(of_base);
    let count = sweep.axes.values().map(|axis| axis.values.len()).try_fold(1usize, usize::checked_mul);
    let Some(count) = count.filter(|count| *count <= MAX_POINTS) else {
        let problem = format!("the sweep has more than {MAX_POINTS} points");
        mistakes.push(Mistake::at_key(&document, "/axes", problem));
        return Err(mistakes);
    };
    let stages = base.value.get("stages").and_then(Value::as_object).map_or(0, Map::len);
    let values = sweep.set.len() + sweep.axes.values().map(|axis| axis.paths.len()).sum::<usize>();
    if count * (stages + values) > MAX_STAGES {
        let problem =
            format!("{count} points of {stages} stages, in which {values} values are set, are too many");
        mistakes.push(Mistake::at_key(&document, "/axes", problem));
        return Err(mistakes);
    }
    let document = Arc::new(document);
    let mut points = Vec::new();
    for Combination { at, settings } in combinations(&document, &sweep, settings, count) {
        let mut varied = base.clone();
        let lost = overlay::apply(&mut varied, &settings);
        match parse::judge(&varied, lost, &source.search) {
            Ok(pipeline) => points.push(Point { at, pipeline }),
            Err(of_point) => {
                let new: Vec<Mistake> = of_point.into_iter().filter(|one| !mistakes.contains(one)).collect();
                mistakes.extend(new);
            }
        }
        if mistakes.len() > MAX_MISTAKES {
            break;
        }
    }
    mistakes.extend(points.first().and_then(|point| cell_mistake(&document, &sweep, &point.pipeline)));
    if mistakes.is_empty() { Ok(Parsed::Sweep(Box::new(sweep), points)) } else { Err(mistakes) }
}

fn axes_mistakes(document: &Document, sweep: &Sweep) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if sweep.axes.is_empty() {
        mistakes.push(Mistake::at_value(document, "/axes", "there are no axes"));
    }
    let axes: Vec<&str> = sweep.axes.keys().map(String::as_str).collect();
    if let Some(table) = &sweep.table {
        for (field, axis) in [("rows", Some(&table.rows)), ("columns", table.columns.as_ref())] {
            if let Some(axis) = axis.filter(|axis| !sweep.axes.contains_key(*axis)) {
                let problem = format!("there is no axis `{axis}`");
                let mistake = Mistake::at_value(document, &format!("/table/{field}"), problem);
                mistakes.push(mistake.help(advice(axis, &axes)));
            }
        }
    }
    mistakes
}

/// The pipeline that a sweep varies, whole or derived.
fn base(document: &Document, source: &Source, name: &str) -> Result<(Document, Vec<Mistake>), Vec<Mistake>> {
    let (base, whole) = source.base(document, name)?;
    match Form::of(&whole) {
        Form::Pipeline => Ok((whole, Vec::new())),
        Form::Derived => derive(whole, &base),
        Form::Sweep => {
            let problem = format!("`{name}` is a sweep itself");
            Err(vec![Mistake::at_value(document, "/base", problem)])
        }
    }
}

/// A point before it is judged: axis and value, in the order of the axes, and what is set.
struct Combination {
    at: Vec<(String, Value)>,
    settings: Vec<Setting>,
}

/// All points, the last axis running fastest.
fn combinations<'a>(
    document: &'a Arc<Document>,
    sweep: &'a Sweep,
    settings: &'a [Setting],
    count: usize,
) -> impl Iterator<Item = Combination> + 'a {
    let fixed = sweep.set.iter().map(|(path, value)| Setting::written(document, path, value));
    let fixed: Vec<Setting> = fixed.chain(settings.iter().cloned()).collect();
    (0..count).map(move |point| {
        let mut combination = Combination { at: Vec::new(), settings: fixed.clone() };
        let mut repeats = count;
        for (name, axis) in &sweep.axes {
            repeats /= axis.values.len();
            let i = point / repeats % axis.values.len();
            let (value, place) = (&axis.values[i], format!("/axes/{}", escape(name)));
            combination.at.push((name.clone(), value.clone()));
            combination.settings.extend(axis.paths.iter().enumerate().map(|(j, path)| Setting {
                path: path.clone(),
                value: value.clone(),
                origin: Origin::Written(Taken {
                    document: Arc::clone(document),
                    path: format!("{place}/paths/{j}"),
                    value: format!("{place}/values/{i}"),
                }),
            }));
        }
        combination
    })
}

/// What is wrong with what a cell of the table shows.
fn cell_mistake(document: &Document, sweep: &Sweep, pipeline: &Pipeline) -> Option<Mistake> {
    let cell = &sweep.table.as_ref()?.cell;
    match pipeline.stages.get(&cell.stage).map(|spec| (spec.verb(), spec.stage().scores())) {
        Some((_, Some(names))) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let problem = format!("`{}` is not measured by `{}`", cell.metric, cell.stage);
            let mistake = Mistake::at_value(document, "/table/cell/metric", problem);
            (!names.contains(&cell.metric.as_str()))
                .then(|| mistake.help(Some(format!("measured are {}", listed(&names)))))
        }
        Some((verb, None)) => {
            let problem = format!("`{}` is a `{verb}` stage, but a cell shows scores", cell.stage);
            Some(Mistake::at_value(document, "/table/cell/stage", problem))
        }
        None => {
            let names: Vec<&str> = pipeline.stages.keys().map(crate::stage_name::StageName::as_str).collect();
            let problem = format!("there is no stage `{}` in `{}`", cell.stage, sweep.base);
            let mistake = Mistake::at_value(document, "/table/cell/stage", problem);
            Some(mistake.help(advice(cell.stage.as_str(), &names)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::document::document, *};

    #[test]
    fn a_grid_has_every_combination_once() {
        let text = r#"{ "base": "a.yaml", "set": { "seed": 1 }, "axes": {
            "a": { "paths": ["x", "y"], "values": [1, 2, 3] }, "b": { "paths": ["z"], "values": [true, false] } } }"#;
        let document = document("s.yaml", text);
        let sweep: Sweep = document.typed().unwrap();
        let points: Vec<_> = combinations(&Arc::new(document), &sweep, &[], 6).collect();
        assert_eq!(points.len(), 6);
        assert_eq!(points[1].at, [("a".to_owned(), 1.into()), ("b".to_owned(), false.into())]);
        let paths: Vec<&str> = points[5].settings.iter().map(|setting| setting.path.as_str()).collect();
        assert_eq!(paths, ["seed", "x", "y", "z"]);
    }
}
