//! What a sweep's axes, table and search have against each other, so that no cell shows what it does not say.

use std::collections::HashSet;

use super::{
    document::{Document, escape},
    label,
    mistake::Mistake,
    order::read_by,
    origin::Origin,
    overlay::{Setting, lost_mistake, overwritten},
    spec::Pipeline,
    sweep::Point,
    sweep_spec::{Halving, Search, Sweep, SweepTable},
};
use crate::{
    kimg::Kimg,
    metrics::Metric,
    stage_name::StageName,
    stages::{Kind, StageSpec},
    suggestion::{advice, listed},
};

/// What is wrong whatever the base is.
pub(super) fn of_axes(document: &Document, sweep: &Sweep) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if sweep.axes.is_empty() {
        mistakes.push(Mistake::at_value(document, "/axes", "there are no axes"));
    }
    for (name, axis) in &sweep.axes {
        let mut known = HashSet::new();
        for (i, value) in axis.values.iter().enumerate() {
            // 1 and 1.0 are the same point.
            let number = value.as_f64().map_or_else(|| value.to_string(), |number| number.to_string());
            if !known.insert(number) {
                let problem = format!("`{}` stands twice in the axis `{name}`", label::of_value(value));
                let place = format!("/axes/{}/values/{i}", escape(name));
                mistakes.push(Mistake::at_value(document, &place, problem));
            }
        }
    }
    let axes: Vec<&str> = sweep.axes.keys().map(String::as_str).collect();
    if let Some(SweepTable { rows, columns, .. }) = &sweep.table {
        for (field, axis) in [("rows", rows), ("columns", columns)] {
            let Some(axis) = axis else { continue };
            let (problem, help) = if !sweep.axes.contains_key(axis) {
                (format!("there is no axis `{axis}`"), advice(axis, &axes))
            } else if field == "columns" && rows.as_ref() == Some(axis) {
                (format!("the axis `{axis}` goes down already"), None)
            } else {
                continue;
            };
            mistakes.push(Mistake::at_value(document, &format!("/table/{field}"), problem).help(help));
        }
    }
    mistakes
}

/// Values that never count, because another value of the sweep takes their place; `settings` are those of a point.
pub(super) fn of_settings(settings: &[Setting]) -> Vec<Mistake> {
    let axis = |setting: &Setting| {
        match &setting.origin {
            Origin::Written(taken) => {
                taken.path.strip_prefix("/axes/").and_then(|rest| rest.split('/').next())
            }
            Origin::Typed(_) => None,
        }
        .map(str::to_owned)
    };
    let mistake = |(lost, by): (&Setting, &Setting)| {
        let by_axis = axis(by)?;
        Some(match (&lost.origin, axis(lost)) {
            (Origin::Typed(typed), _) => {
                Mistake::at_path(&by.origin, format!("{typed} sets what the axis `{by_axis}` varies"))
                    .help(Some(format!("`--set 'axes.{by_axis}.values=[...]'` gives the axis other values")))
            }
            (_, Some(lost_axis)) => {
                let problem = format!("the axis `{by_axis}` sets what the axis `{lost_axis}` sets");
                Mistake::at_path(&by.origin, problem)
            }
            (_, None) => {
                let problem = format!("`{}` is set at every point by the axis `{by_axis}`", lost.path);
                Mistake::at_path(&lost.origin, problem)
            }
        })
    };
    let in_one_file = |(lost, by): (&Setting, &Setting)| match (&lost.origin, &by.origin) {
        (Origin::Written(_), Origin::Written(_)) if axis(by).is_none() => Some(lost_mistake(lost, by)),
        _ => None,
    };
    overwritten(settings).into_iter().filter_map(|pair| mistake(pair).or_else(|| in_one_file(pair))).collect()
}

/// What is wrong with what a cell shows, and with the search for its best.
pub(super) fn of_points(document: &Document, sweep: &Sweep, points: &[Point]) -> Vec<Mistake> {
    let Some(Point { pipeline, .. }) = points.first() else { return Vec::new() };
    let of_cell = sweep.table.as_ref().and_then(|table| of_cell(document, sweep, table, pipeline));
    let of_search = sweep.search.as_ref().map(|search| of_search(document, sweep, search, pipeline));
    of_cell.into_iter().chain(of_search.into_iter().flatten()).collect()
}

fn of_cell(document: &Document, sweep: &Sweep, table: &SweepTable, pipeline: &Pipeline) -> Option<Mistake> {
    let cell = &table.cell;
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
            let names: Vec<&str> = pipeline.stages.keys().map(StageName::as_str).collect();
            let problem = format!("there is no stage `{}` in `{}`", cell.stage, sweep.base);
            let mistake = Mistake::at_value(document, "/table/cell/stage", problem);
            Some(mistake.help(advice(cell.stage.as_str(), &names)))
        }
    }
}

fn of_search(document: &Document, sweep: &Sweep, search: &Search, pipeline: &Pipeline) -> Vec<Mistake> {
    let Search::Halving(Halving { keep, rungs_kimg }) = search;
    let mut mistakes = Vec::new();
    if !(*keep > 0.0 && *keep < 1.0) {
        let problem = format!("`keep` is {keep}, but a share of the points is more than 0 and less than 1");
        mistakes.push(Mistake::at_value(document, "/search/halving/keep", problem));
    }
    let grow = |(i, rung): (usize, &Kimg)| {
        let before = if i == 0 { 0 } else { rungs_kimg[i - 1].nimg() };
        (rung.nimg() <= before).then(|| {
            let problem = format!("a rung of {rung} does not come after {}", Kimg::from_nimg(before));
            Mistake::at_value(document, &format!("/search/halving/rungs_kimg/{i}"), problem)
        })
    };
    mistakes.extend(rungs_kimg.iter().enumerate().filter_map(grow));
    let Some(table) = &sweep.table else {
        let mistake = Mistake::at_key(document, "/search", "points are ranked by what the table shows");
        mistakes.push(mistake.help(Some("write `table: { cell: { stage: ..., metric: ... } }`")));
        return mistakes;
    };
    if Metric::column(&table.cell.metric).is_some_and(|column| column.better.is_none()) {
        let problem = format!("no point can be ranked by `{}`: neither end of it is good", table.cell.metric);
        mistakes.push(Mistake::at_key(document, "/search", problem));
    }
    match trained(pipeline, &table.cell.stage) {
        Some(stage) => {
            let path = format!("stages.{stage}.{}.duration_kimg", pipeline.stages[&stage].verb());
            let set = sweep.set.keys().map(|path| (path, format!("/set/{}", escape(path))));
            let swept = sweep.axes.iter().flat_map(|(name, axis)| {
                let place = move |i| format!("/axes/{}/paths/{i}", escape(name));
                axis.paths.iter().enumerate().map(move |(i, path)| (path, place(i)))
            });
            mistakes.extend(set.chain(swept).filter(|(set, _)| **set == path).map(|(_, place)| {
                Mistake::at_key(document, &place, "the rungs of the search say how long this training is")
            }));
        }
        None if pipeline.stages.contains_key(&table.cell.stage) => {
            let problem = format!("`{}` measures no network that is trained here", table.cell.stage);
            mistakes.push(Mistake::at_key(document, "/search", problem));
        }
        None => {}
    }
    mistakes
}

/// The training whose network a stage measures.
pub(super) fn trained(pipeline: &Pipeline, measuring: &StageName) -> Option<StageName> {
    let inputs = pipeline.stages.get(measuring)?.stage().inputs();
    let network = inputs.into_iter().find(|input| input.kind == Kind::Network)?.stage.clone();
    let mut spec = pipeline.stages.get(&network)?.clone();
    spec.stage_mut().duration().is_some().then_some(network)
}

/// Axes along which nothing changes that a cell shows: every value of such an axis would have the same numbers. Nothing
/// else is wrong with the sweep.
pub(super) fn idle_axes(document: &Document, sweep: &Sweep, points: &[Point]) -> Vec<Mistake> {
    let Some(table) = &sweep.table else { return Vec::new() };
    let mut stride = points.len();
    let mut mistakes = Vec::new();
    for (name, axis) in &sweep.axes {
        stride /= axis.values.len();
        let mut along = points.iter().step_by(stride).take(axis.values.len());
        let first = along.next().map(|point| shown(&point.pipeline, &table.cell.stage));
        if axis.values.len() > 1
            && along.all(|point| Some(shown(&point.pipeline, &table.cell.stage)) == first)
        {
            let problem =
                format!("nothing that `{}` measures depends on the axis `{name}`", table.cell.stage);
            let help = Some("leave the axis out, or let the table show a stage that depends on it");
            mistakes.push(Mistake::at_key(document, &format!("/axes/{}", escape(name)), problem).help(help));
        }
    }
    mistakes
}

/// All that decides what a stage measures.
fn shown<'a>(pipeline: &'a Pipeline, stage: &StageName) -> Option<(u64, Vec<(StageName, &'a StageSpec)>)> {
    let names = read_by(pipeline, stage.as_str())?;
    let spec = |name: StageName| (name.clone(), &pipeline.stages[&name]);
    Some((pipeline.seed, names.into_iter().map(spec).collect()))
}
