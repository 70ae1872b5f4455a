//! `sida plan`: stages in order, with what is done and what would run and why.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use serde_json::{Value, json};

use super::{
    absent,
    columns::{aligned, bytes, grouped},
    cost::{Prices, is_open},
    output,
    places::PlaceArgs,
};
use crate::{
    Error, Result,
    pipeline::{
        Absent, Halving, Parsed, Places, Plan, PlannedStage, Planner, Point, Search, Selection, Source,
        Status, Sweep, home, record::record,
    },
    stages::download::{missing, none_missing},
    suggestion::listed,
    terminal,
};

/// Shows the plan of a pipeline, or of every point of a sweep.
///
/// # Errors
/// `Mistakes` of the file; `NewerFormat` for a folder of runs that a newer program wrote.
pub(super) fn plan(
    file: &Path,
    args: &PlaceArgs,
    device: Option<&str>,
    measures: bool,
    json: bool,
) -> Result<()> {
    let source = Source::read(file)?;
    let settings = args.settings()?;
    let places = args.places(&source)?;
    match source.parse(&settings)? {
        Parsed::Pipeline(pipeline) => {
            let plan = Plan::new(&pipeline, &source.name(), places.home(&source.name()), &places)?;
            let prices = Prices::find(plan.stages.iter(), device, measures, &places)?;
            let not_here = Absent::of_plan(&plan, &places);
            if json {
                let mut written = as_json(&plan, &prices);
                written["not_here"] = json!(not_here);
                output::json(&written);
            } else {
                let fetch = absent::fetch(&not_here, &[file]);
                output::line(as_text(&plan, &prices) + &fetch + &absent::files(&not_here));
            }
            here(plan.stages.iter(), &places)?;
        }
        Parsed::Sweep(sweep, points) => {
            let home = places.home(&source.name());
            let mut planner = Planner::new(&places);
            let planned = |point: &Point| {
                let plan =
                    planner.plan(&point.pipeline, &source.name(), home::of_point(&home, &point.label))?;
                let selection = Selection::of_point(&plan, &sweep, &[])?;
                Ok((plan, selection))
            };
            let plans = points.iter().map(planned).collect::<Result<Vec<_>>>()?;
            let points: Vec<PlannedPoint<'_>> = points.iter().zip(plans).collect();
            let all = points.iter().flat_map(|(_, (plan, selection))| {
                plan.stages.iter().enumerate().filter(|(i, _)| selection.wants(*i)).map(|(_, stage)| stage)
            });
            let prices = Prices::find(all.clone(), device, measures, &places)?;
            let total = prices.total(all);
            let mut not_here = Absent::default();
            for (number, (_, (plan, selection))) in points.iter().enumerate() {
                not_here.add_plan(Some(number), plan, |stage| selection.runs(plan, stage), &places);
            }
            if json {
                let points = points.iter().enumerate().map(|point| point_as_json(point, &prices));
                let mut written = json!({ "sweep": source.name(), "search": sweep.search, "points": points.collect::<Vec<_>>(), "not_here": not_here });
                total.write(&mut written, &prices);
                output::json(&written);
            } else {
                let text = sweep_text(&source.name(), &sweep, &points);
                output::line(
                    format!("{text}\n\n{}", total.text(&prices)) + &absent::blocks(&not_here, &[file]),
                );
            }
            here(points.iter().flat_map(|(_, (plan, _))| &plan.stages), &places)?;
        }
    }
    Ok(())
}

/// Prints all values of a pipeline as one file, `--set` and a base included.
///
/// # Errors
/// `Mistakes` of the file; `Usage` for a sweep, which is many pipelines.
pub(super) fn resolved(file: &Path, args: &PlaceArgs) -> Result<()> {
    let source = Source::read(file)?;
    let settings = args.settings()?;
    match source.parse(&settings)? {
        Parsed::Pipeline(pipeline) => output::line(record(&pipeline, &source, &settings)?.trim_end()),
        Parsed::Sweep(..) => {
            return Err(Error::Usage(format!(
                "`--resolved` is for one pipeline, and `{}` is a sweep: running it keeps the record of every point",
                file.display()
            )));
        }
    }
    Ok(())
}

/// Whether the cache has what stages that have to run read, where nobody may be asked for it.
fn here<'a>(stages: impl Iterator<Item = &'a PlannedStage>, places: &Places) -> Result<()> {
    let open = stages.filter(|stage| places.web.offline && stage.status != Status::Done);
    let missing = open.flat_map(|stage| missing(stage.name.as_str(), stage.spec.stage(), &places.cache));
    none_missing(&missing.collect::<Vec<_>>(), &places.cache)
}

fn as_text(plan: &Plan, prices: &Prices) -> String {
    let open = plan.stages.iter().filter(|stage| stage.status != Status::Done).count();
    let mut text = format!(
        "{}: {} stages, {open} to run, in {}\n\n",
        plan.pipeline,
        plan.stages.len(),
        terminal::path(&plan.home)
    );
    let rows: Vec<Vec<String>> = plan.stages.iter().map(|stage| row(stage, prices)).collect();
    text += &aligned(&rows);
    if open > 0 {
        let _ = write!(text, "\n\n{}", prices.total(plan.stages.iter()).text(prices));
    }
    let downloads = downloads(plan.stages.iter());
    if !downloads.is_empty() {
        text += "\n\nto download:";
        let total: u64 = downloads.iter().filter_map(|(_, bytes)| *bytes).sum();
        for (what, size) in &downloads {
            let size =
                size.map_or_else(|| "size not known".to_owned(), |size| format!("about {}", bytes(size)));
            let _ = write!(text, "\n  {what} ({size})");
        }
        let _ = write!(text, "\n  {} in all", bytes(total));
    }
    text
}

fn row(stage: &PlannedStage, prices: &Prices) -> Vec<String> {
    let (status, reason) = match &stage.status {
        Status::Done => ("done", String::new()),
        Status::ToRun(reason) => ("to run", reason.clone()),
    };
    let work = &stage.work;
    let mut notes = Vec::new();
    notes.extend(work.parameters.map(|count| format!("{} parameters", grouped(count))));
    let least = if is_open(stage) { "at least" } else { "about" };
    notes.extend(work.memory_bytes.map(|memory| format!("{least} {} of memory", bytes(memory))));
    notes.extend(work.steps.map(|steps| format!("{} steps", grouped(steps))));
    notes.extend(work.rounds.filter(|rounds| *rounds > 1).map(|rounds| format!("{rounds} rounds each")));
    notes.extend(work.images.map(|images| format!("{} images", grouped(images))));
    notes.extend(prices.notes(stage));
    if let Some(shorter) = stage.continue_from.as_ref().and_then(|dir| dir.file_name())
        && status == "to run"
    {
        notes.push(format!("continues {}", shorter.to_string_lossy()));
    }
    let note =
        [reason, notes.join(", ")].into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join("; ");
    vec![
        stage.name.to_string(),
        stage.spec.verb().to_owned(),
        stage.key.short().to_owned(),
        status.to_owned(),
        note,
    ]
}

/// Each file once, though several stages need it.
fn downloads<'a>(stages: impl Iterator<Item = &'a PlannedStage>) -> Vec<(String, Option<u64>)> {
    let mut known = BTreeSet::new();
    let open = stages.filter(|stage| stage.status != Status::Done);
    let files = open.flat_map(|stage| &stage.work.downloads);
    let new = files.filter(|file| known.insert(file.what.clone()));
    new.map(|file| (file.what.clone(), file.bytes)).collect()
}

fn as_json(plan: &Plan, prices: &Prices) -> Value {
    let stage = |stage: &PlannedStage| {
        let (status, reason) = match &stage.status {
            Status::Done => ("done", None),
            Status::ToRun(reason) => ("to run", Some(reason)),
        };
        json!({
            "stage": stage.name,
            "verb": stage.spec.verb(),
            "key": stage.key,
            "status": status,
            "reason": reason,
            "folder": stage.dir,
            "inputs": stage.inputs.iter().map(|i| plan.stages[*i].name.to_string()).collect::<Vec<_>>(),
            "continues": stage.continue_from,
            "parameters": stage.work.parameters,
            "memory_bytes": stage.work.memory_bytes,
            "steps": stage.work.steps,
            "rounds": stage.work.rounds,
            "images": stage.work.images,
            "microbatch_size": prices.microbatch(stage),
            "seconds": prices.seconds(stage),
            "gpu_hours": prices.gpu_hours(prices.seconds(stage)),
            "disk_bytes": stage.work.disk_bytes,
            "downloads": stage.work.downloads,
        })
    };
    let total: u64 = downloads(plan.stages.iter()).iter().filter_map(|(_, bytes)| *bytes).sum();
    let mut written = json!({
        "pipeline": plan.pipeline,
        "seed": plan.seed,
        "folder": plan.home,
        "stages": plan.stages.iter().map(stage).collect::<Vec<_>>(),
        "to_run": plan.stages.iter().filter(|stage| stage.status != Status::Done).count(),
        "download_bytes": total,
    });
    prices.total(plan.stages.iter()).write(&mut written, prices);
    written
}

/// A point with its plan, and what runs of that.
type PlannedPoint<'a> = (&'a Point, (Plan, Selection));

/// A point with its number, as `--point` takes it, and the values of its axes.
fn point_as_json((place, (point, (plan, selection))): (usize, &PlannedPoint<'_>), prices: &Prices) -> Value {
    let mut written = as_json(plan, prices);
    let stages = written["stages"].as_array_mut().into_iter().flatten();
    stages.enumerate().for_each(|(i, stage)| stage["needed"] = selection.wants(i).into());
    json!({ "number": place + 1, "point": point.label, "at": point.settings(), "plan": written })
}

/// A line for each point: of the stages that run, those that no point before it makes.
fn sweep_text(name: &str, sweep: &Sweep, points: &[PlannedPoint<'_>]) -> String {
    let mut known = BTreeSet::new();
    let (mut rows, mut left_out) = (Vec::new(), BTreeSet::new());
    for (i, (point, (plan, selection))) in points.iter().enumerate() {
        let (wanted, left): (Vec<usize>, Vec<usize>) =
            (0..plan.stages.len()).partition(|place| selection.wants(*place));
        left_out.extend(left.into_iter().map(|place| plan.stages[place].name.to_string()));
        let open = wanted.into_iter().map(|place| &plan.stages[place]);
        let open = open.filter(|stage| stage.status != Status::Done && !stage.spec.stage().is_view());
        let new: Vec<&str> =
            open.filter(|stage| known.insert(stage.key.clone())).map(|stage| stage.name.as_str()).collect();
        let what = if new.is_empty() { "nothing of its own".to_owned() } else { new.join(", ") };
        rows.push(vec![(i + 1).to_string(), point.label.clone(), format!("{} to run", new.len()), what]);
    }
    let stages = if known.len() == 1 { "stage" } else { "stages" };
    let mut text = format!("{name}: {} points, {} {stages} to run in all", points.len(), known.len());
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(String::as_str).collect();
        let _ = write!(text, "; the table does not need {} (`--all` runs them)", listed(&names));
    }
    if let Some(Search::Halving(Halving { keep, rungs_kimg })) = &sweep.search {
        let rungs: Vec<String> = rungs_kimg.iter().map(ToString::to_string).collect();
        let _ = write!(
            text,
            "\na search: all points to {}, of which {keep} goes on at each rung",
            rungs.join(", ")
        );
        text += "; this is its first";
    }
    format!("{text}\n\n{}", aligned(&rows))
}
