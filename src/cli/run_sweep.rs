//! `sida run SWEEP`: its points, rung by rung where it is a search, and its page.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use super::{github, output, run::Choice};
use crate::{
    Error, Result,
    checkpoint::atomic,
    pipeline::{
        Absent, Ended, Failed, Places, Plan, Planner, Point, Round, Search, Selection, Setting, Source,
        Stages, Sweep, home, outcome, sweep_data,
    },
    report::{
        RunError, RunResult,
        sweep::{self, PointEnd, SweepData},
    },
    terminal,
};

/// Pages of many points take a moment, and are written again no sooner than this.
const WRITE_AGAIN: Duration = Duration::from_secs(10);

/// Runs the points and shows what came of them.
///
/// # Errors
/// `Interrupted` at once; at the end `SweepPointsFailed`, `SweepPointsDiverged` and `ExpectationsNotMet`; `Usage` for
/// a part of a search.
pub(super) fn run(
    source: &Source,
    sweep: &Sweep,
    points: &[Point],
    settings: &[Setting],
    choice: &Choice,
    places: &Places,
    executor: &mut Stages<'_>,
) -> Result<()> {
    let (name, dir) = (source.name(), places.home(&source.name()));
    let chosen = choice.points.chosen(points)?;
    // The files of the whole sweep are those of a run of all points.
    let whole = choice.points.are_all();
    if sweep.search.is_some() && !whole {
        let message = "of a search, points wait for each other: start `sida run` as often as you like, and the processes divide them";
        return Err(Error::Usage(message.to_owned()));
    }
    let select = |plan: &Plan| select(plan, sweep, choice);
    may_begin(source, points, &chosen, settings, places, &select)
        .inspect_err(|error| outcome::refused(&dir, &name, error))?;
    if whole {
        outcome::begin(&dir, &name)?;
        sweep::remove(&dir)?;
    }
    atomic::remove_leftovers_of_the_dead(&dir);
    if let Some(table) = sweep.table.as_ref().filter(|_| !choice.all && choice.until.is_none()) {
        tracing::info!("what `{}` needs runs; `--all` runs the rest", table.cell.stage);
    }
    let mut data = sweep_data::begin(sweep, points, source, places, executor);
    let mut pages = Pages { dir: &dir, written: None };
    let (mut failed, mut forced) = (Failed::default(), BTreeSet::new());
    let mut live: Vec<(usize, Point)> =
        chosen.iter().map(|number| (*number, points[*number].clone())).collect();
    let rungs = data.rungs_kimg.len().max(1);
    for rung in 0..rungs {
        let kimg = sweep.search.as_ref().map(|Search::Halving(halving)| halving.rungs_kimg[rung]);
        if let Some(kimg) = kimg {
            tracing::info!("rung {} of {rungs}: {} points to {kimg}", rung + 1, live.len());
            live = live.into_iter().map(|(number, point)| (number, point.at_rung(sweep, kimg))).collect();
        }
        let (failed, forced) = (&mut failed, &mut forced);
        let mut round = Round { source, settings, places, rung: kimg, select: &select, failed, forced };
        let ran = round.run(&live, executor, &mut |number, ended: Ended| {
            sweep_data::note(&mut data, number, ended, sweep.table.as_ref(), &dir);
            if whole { pages.write(&data, false) } else { Ok(()) }
        });
        if ran.is_err() && whole {
            // What is known is shown, whatever ended the run.
            drop(pages.write(&data, true));
        }
        ran?;
        if let Some(Search::Halving(halving)) = sweep.search.as_ref().filter(|_| rung + 1 < rungs) {
            let groups = data.groups(&live.iter().map(|(number, _)| *number).collect::<Vec<_>>());
            let goes_on = halving.survivors(&data.ranking(&groups), groups.len()).concat();
            let (on, stopped): (Vec<_>, Vec<_>) =
                live.into_iter().partition(|(number, _)| goes_on.contains(number));
            for (number, point) in stopped {
                let end = &mut data.points[number].end;
                if *end == PointEnd::Measured {
                    tracing::info!("{} stops", point.label);
                    *end = PointEnd::Stopped(rung);
                }
            }
            live = on;
        }
    }
    if whole {
        pages.write(&data, true)?;
        outcome::write(&dir, &result(&name, &data))?;
    } else {
        data.points = chosen.iter().map(|number| data.points[*number].clone()).collect();
    }
    show(&data, whole.then_some(&*dir), choice.json);
    annotate(&data, &source.path, choice.json);
    judge(&data)
}

/// Whether all is here that the chosen points read, in stages that have to run.
///
/// # Errors
/// As `Absent::refuse`.
fn may_begin(
    source: &Source,
    points: &[Point],
    chosen: &[usize],
    settings: &[Setting],
    places: &Places,
    select: &dyn Fn(&Plan) -> Result<Selection>,
) -> Result<()> {
    let pipelines = chosen.iter().map(|number| &points[*number].pipeline);
    let any = Absent::of(pipelines, &places.search, &places.cache, &places.runs);
    let offline = places.web.offline && !any.downloads.is_empty();
    if any.files.is_empty() && !offline {
        return Ok(());
    }
    let (home, name) = (places.home(&source.name()), source.name());
    let (mut planner, mut absent) = (Planner::new(places), Absent::default());
    for number in chosen {
        let point = &points[*number];
        let plan = planner.plan(&point.pipeline, &name, home::of_point(&home, &point.label))?;
        let selection = select(&plan)?;
        absent.add_plan(Some(*number), &plan, |stage| selection.runs(&plan, stage), places);
    }
    absent.refuse(source, settings, &places.cache)
}

/// What runs of a point: what the table needs, and the pages, unless more or less is asked for.
fn select(plan: &Plan, sweep: &Sweep, choice: &Choice) -> Result<Selection> {
    if choice.all || choice.until.is_some() {
        return Selection::new(plan, None, choice.until.as_deref(), &choice.force);
    }
    Selection::of_point(plan, sweep, &choice.force)
}

/// The pages of the sweep on the disk.
struct Pages<'a> {
    dir: &'a Path,
    written: Option<Instant>,
}

impl Pages<'_> {
    fn write(&mut self, data: &SweepData, at_once: bool) -> Result<()> {
        if at_once || self.written.is_none_or(|written| written.elapsed() >= WRITE_AGAIN) {
            sweep::write(self.dir, data)?;
            self.written = Some(Instant::now());
        }
        Ok(())
    }
}

fn show(data: &SweepData, dir: Option<&Path>, json: bool) {
    if json {
        output::json(&sweep::json(data));
        return;
    }
    match dir {
        Some(dir) => {
            output::line(sweep::text(data));
            output::line(format!("\nreport: {}", terminal::path(&sweep::page(dir))));
        }
        // A table of few points of many says nothing.
        None => output::line(sweep::text(&SweepData { cell: None, ..data.clone() })),
    }
}

/// Tells GitHub, where it runs the program, what went wrong at which point, and shows it the tables.
fn annotate(data: &SweepData, file: &Path, json: bool) {
    for point in &data.points {
        if let Some(message) = point.end.message() {
            github::file(file, &format!("{}: {message}", point.label), point.end.as_str(), json);
        }
        for (stage, verdict) in point.expectations.iter().filter(|(_, verdict)| !verdict.pass) {
            let message = format!("{} {stage}: {}", point.label, verdict.said());
            github::file(file, &message, "expectation not met", json);
        }
    }
    github::summarize(&sweep::markdown(data));
}

fn judge(data: &SweepData) -> Result<()> {
    let total = data.points.len();
    let ended = |is: fn(&PointEnd) -> bool| data.points.iter().filter(|point| is(&point.end)).count();
    let failed = ended(|end| matches!(end, PointEnd::Failed(_)));
    let diverged = ended(|end| matches!(end, PointEnd::Diverged(_)));
    let verdicts = || data.points.iter().flat_map(|point| &point.expectations);
    let unmet = verdicts().filter(|(_, verdict)| !verdict.pass).count();
    match (failed, diverged, unmet) {
        (0, 0, 0) => Ok(()),
        (0, 0, failed) => Err(Error::ExpectationsNotMet { failed, total: verdicts().count() }),
        (0, diverged, _) => Err(Error::SweepPointsDiverged { diverged, total }),
        (failed, ..) => Err(Error::SweepPointsFailed { failed, total }),
    }
}

/// All points in one: their expectations and what went wrong, each with its point's label.
fn result(name: &str, data: &SweepData) -> RunResult {
    let mut all = RunResult { pipeline: name.to_owned(), ..RunResult::default() };
    for point in &data.points {
        let label = &point.label;
        let verdicts = point.expectations.iter();
        all.expectations
            .extend(verdicts.map(|(stage, verdict)| (format!("{label} {stage}"), verdict.clone())));
        let error = point.end.message().map(str::to_owned);
        all.errors.extend(error.map(|message| RunError { stage: Some(label.clone()), message }));
    }
    all.seconds = data.seconds();
    all
}
