//! The points of a sweep: every combination of its axes' values, each of them a pipeline.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{
    derive::derive,
    document::{Document, escape},
    label,
    mistake::Mistake,
    origin::{Origin, Taken},
    overlay::{self, Setting},
    parse::{self, read_rest, slips},
    schema::{PIPELINE_SCHEMA, SWEEP_SCHEMA},
    source::{Form, Judged, Parsed, Source},
    spec::Pipeline,
    sweep_rules::{self, trained},
    sweep_spec::{Search, Sweep},
    violations::violations,
};
use crate::{kimg::Kimg, secret};

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
    /// What it is called: `alpha=1.0 lr=1e-5`; no other point is called so.
    pub label: String,
    /// The pipeline with these values; of a search, at the first rung.
    pub pipeline: Pipeline,
}

impl Point {
    /// The values of the axes, without credentials.
    pub fn settings(&self) -> IndexMap<String, Value> {
        let shown = |value: &Value| match value {
            Value::String(text) => secret::masked(text).into(),
            other => {
                let (written, plain) = (other.to_string(), other.clone());
                // Within a list or a mapping: the text then, for nobody needs more of it.
                if secret::masked(&written) == written { plain } else { secret::masked(&written).into() }
            }
        };
        self.at.iter().map(|(axis, value)| (axis.clone(), shown(value))).collect()
    }

    /// Whether `text` names this point: its label, or its values however they are written.
    pub fn is_named(&self, text: &str) -> bool {
        text == self.label || label::names(text, &self.at)
    }

    /// The same at another rung of the sweep's search.
    #[must_use]
    pub fn at_rung(mut self, sweep: &Sweep, rung: Kimg) -> Self {
        let stage = sweep.table.as_ref().and_then(|table| trained(&self.pipeline, &table.cell.stage));
        let spec = stage.and_then(|stage| self.pipeline.stages.get_mut(&stage));
        if let Some(duration) = spec.and_then(|spec| spec.stage_mut().duration()) {
            *duration = rung;
        }
        self
    }
}

/// What a sweep's document says. `settings` are made before the axes' values; those of the sweep itself, in it.
///
/// # Errors
/// What is wrong with its own values, its axes, its paths, its base, and each of its points.
pub(super) fn judge(mut document: Document, source: &Source, settings: &[Setting]) -> Judged {
    let mut mistakes: Vec<Mistake> = slips(&document).collect();
    let (own, settings): (Vec<Setting>, Vec<Setting>) = settings.iter().cloned().partition(is_own);
    mistakes.extend(overlay::apply(&mut document, &own, &SWEEP_SCHEMA.schema));
    let violations = violations(&document, &SWEEP_SCHEMA);
    let sweep: Option<Sweep> = read_rest(&document, &violations, &["base", "set", "axes", "table", "search"]);
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
    mistakes.extend(sweep_rules::of_axes(&document, &sweep));
    let (base, of_base) = base.map_err(|of_base| [mistakes.clone(), of_base].concat())?;
    mistakes.extend(of_base);
    let count = match count(&document, &sweep, &base) {
        Ok(count) => count,
        Err(too_many) => return Err([mistakes, too_many].concat()),
    };
    let document = Arc::new(document);
    let mut points = Vec::new();
    for (i, Combination { at, settings }) in combinations(&document, &sweep, &settings, count).enumerate() {
        if i == 0 {
            mistakes.extend(sweep_rules::of_settings(&settings));
        }
        let mut varied = base.clone();
        let lost = overlay::apply(&mut varied, &settings, &PIPELINE_SCHEMA.schema);
        match parse::judge(&varied, lost, &source.search) {
            Ok(pipeline) => points.push(Point { label: label::of_point(&at), at, pipeline }),
            Err(of_point) => {
                let new: Vec<Mistake> = of_point.into_iter().filter(|one| !mistakes.contains(one)).collect();
                mistakes.extend(new);
            }
        }
        if mistakes.len() > MAX_MISTAKES {
            break;
        }
    }
    mistakes.extend(sweep_rules::of_points(&document, &sweep, &points));
    if mistakes.is_empty() {
        mistakes.extend(sweep_rules::idle_axes(&document, &sweep, &points));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut labels: Vec<String> = points.iter().map(|point| point.label.clone()).collect();
    label::tell_apart(&mut labels);
    points.iter_mut().zip(labels).for_each(|(point, label)| point.label = label);
    if let Some(Search::Halving(halving)) = &sweep.search {
        points = points.into_iter().map(|point| point.at_rung(&sweep, halving.rungs_kimg[0])).collect();
    }
    Ok(Parsed::Sweep(Box::new(sweep), points))
}

/// All values of a point of a sweep that was judged, by its number.
///
/// # Errors
/// What is wrong with the sweep.
pub(super) fn of_point(
    mut document: Document,
    source: &Source,
    settings: &[Setting],
    number: usize,
) -> Result<Document, Vec<Mistake>> {
    let (own, settings): (Vec<Setting>, Vec<Setting>) = settings.iter().cloned().partition(is_own);
    overlay::apply(&mut document, &own, &SWEEP_SCHEMA.schema);
    let name = document.value.get("base").and_then(Value::as_str).unwrap_or_default();
    let (mut base, _) = base(&document, source, name)?;
    let sweep: Sweep = serde_json::from_value(document.value.clone()).map_err(|_| Vec::new())?;
    let count = count(&document, &sweep, &base)?;
    let document = Arc::new(document);
    let point = combinations(&document, &sweep, &settings, count).nth(number).ok_or_else(Vec::new)?;
    overlay::apply(&mut base, &point.settings, &PIPELINE_SCHEMA.schema);
    Ok(base)
}

/// Whether a setting is one of the sweep, and not of its points.
fn is_own(setting: &Setting) -> bool {
    let first = setting.path.split('.').next().unwrap_or_default();
    ["base", "axes", "table", "search"].contains(&first)
}

/// How many points there are.
fn count(document: &Document, sweep: &Sweep, base: &Document) -> Result<usize, Vec<Mistake>> {
    let count = sweep.axes.values().map(|axis| axis.values.len()).try_fold(1usize, usize::checked_mul);
    let Some(count) = count.filter(|count| *count <= MAX_POINTS) else {
        let problem = format!("the sweep has more than {MAX_POINTS} points");
        return Err(vec![Mistake::at_key(document, "/axes", problem)]);
    };
    let stages = base.value.get("stages").and_then(Value::as_object).map_or(0, Map::len);
    let values = sweep.set.len() + sweep.axes.values().map(|axis| axis.paths.len()).sum::<usize>();
    if count * (stages + values) > MAX_STAGES {
        let problem =
            format!("{count} points of {stages} stages, in which {values} values are set, are too many");
        return Err(vec![Mistake::at_key(document, "/axes", problem)]);
    }
    Ok(count)
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

#[cfg(test)]
mod tests {
    use super::{super::document::document, *};

    #[test]
    fn a_grid_has_every_combination_once() {
        let text = r#"{ "base": "a.yaml", "set": { "seed": 1 }, "axes": {
            "a": { "paths": ["x", "y"], "values": [1, 2, 3] }, "b": { "paths": ["z"], "values": [true, false] } } }"#;
        let document = document("s.yaml", text);
        let sweep: Sweep = serde_json::from_value(document.value.clone()).unwrap();
        let points: Vec<_> = combinations(&Arc::new(document), &sweep, &[], 6).collect();
        assert_eq!(points.len(), 6);
        assert_eq!(points[1].at, [("a".to_owned(), 1.into()), ("b".to_owned(), false.into())]);
        let paths: Vec<&str> = points[5].settings.iter().map(|setting| setting.path.as_str()).collect();
        assert_eq!(paths, ["seed", "x", "y", "z"]);
    }
}
