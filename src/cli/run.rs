//! `sida run`: a pipeline or a sweep.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    baseline, device, github, invocation,
    places::PlaceArgs,
    points::PointArgs,
    ranks::{self, Crew},
    run_sweep, show, signals, summary,
};
use crate::{
    Error, Result,
    kernels::with_threads,
    pipeline::{
        Absent, Asked, Parsed, Pipeline, Places, Plan, Selection, Setting, Source, Stages, finished, outcome,
        record::{keep, record},
        run as walk,
    },
    report,
    stop::Stake,
    terminal,
};

/// Which stages to run.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) only: Option<String>,
    pub(super) until: Option<String>,
    pub(super) force: Vec<String>,
    pub(super) points: PointArgs,
    pub(super) all: bool,
    pub(super) record: Option<PathBuf>,
    pub(super) json: bool,
}

impl Choice {
    fn asked(&self) -> Asked<'_> {
        match (&self.only, &self.until) {
            (Some(only), _) => Asked::Only(only),
            (None, Some(until)) => Asked::Until(until),
            (None, None) if self.all => Asked::All,
            (None, None) => Asked::Usual,
        }
    }
}

/// Runs a file.
///
/// # Errors
/// Everything that the exit codes tell apart.
pub(super) fn run(
    file: &Path,
    args: &PlaceArgs,
    asked: &str,
    ranks: Option<u32>,
    choice: &Choice,
) -> Result<u8> {
    let mut crew = Crew::new(ranks)?;
    let source = Source::read(file)?;
    let settings = args.settings()?;
    let dir = args.runs().join(source.name());
    let is_first = crew.is_first();
    let refused = |error: &Error| {
        if is_first {
            outcome::refused(&dir, &source.name(), error);
        }
    };
    let parsed = if choice.record.is_some() {
        source.parse_without_baselines(&settings)
    } else {
        source.parse(&settings)
    };
    let parsed = parsed.inspect_err(refused)?;
    let places = args.places(&source).inspect_err(refused)?;
    let stop = signals::listen()?;
    let ranks = crew.meet(&source, &settings, &parsed, asked, &stop, choice.asked()).inspect_err(refused)?;
    let fail = |error: &Error| {
        ranks.fail(error);
        refused(error);
    };
    let (device, device_name) = device::choose_for(crew.local_rank(), asked).inspect_err(fail)?;
    ranks::same_kind(&ranks, device::kind(&device_name)).inspect_err(fail)?;
    ranks::join(&ranks, &device).inspect_err(fail)?;
    // Ranks stop together: what each of them does is agreed on.
    let others = stop.clone();
    let _others = (!ranks.are_one()).then(|| others.stakes(Stake::All));
    let mut executor = Stages {
        device,
        device_name,
        places: &places,
        date: date(SystemTime::now()),
        invocation: invocation::of(&source),
        point: None,
        stop,
        ranks: ranks.clone(),
    };
    let mut work = || {
        if !ranks.is_first() {
            return executor.serve(&source.name(), &parsed);
        }
        let done = first(&source, &parsed, &settings, choice, &places, &mut executor);
        executor.dismiss(done.as_ref().err().map_or(0, Error::exit_code));
        done.map(|()| 0)
    };
    match crew.threads() {
        Some(threads) => with_threads(threads, work),
        None => work(),
    }
}

/// What the only rank does, or the first one.
fn first(
    source: &Source,
    parsed: &Parsed,
    settings: &[Setting],
    choice: &Choice,
    places: &Places,
    executor: &mut Stages<'_>,
) -> Result<()> {
    match parsed {
        Parsed::Pipeline(pipeline) => {
            if choice.all || !choice.points.are_all() {
                return Err(Error::Usage("`--all`, `--point` and `--points` are for sweeps".to_owned()));
            }
            pipeline_of(source, pipeline, settings, choice, executor)
        }
        Parsed::Sweep(sweep, points) => {
            if choice.only.is_some() {
                return Err(Error::Usage(
                    "`--only` is for pipelines: of a sweep, `--until` runs a part".to_owned(),
                ));
            }
            if choice.record.is_some() {
                return Err(Error::Usage(
                    "`--record` is for pipelines: a baseline holds the scores of one".to_owned(),
                ));
            }
            run_sweep::run(source, sweep, points, settings, choice, places, executor)
        }
    }
}

/// Runs a pipeline, says what came of it, records it if asked to, and judges it.
fn pipeline_of(
    source: &Source,
    pipeline: &Pipeline,
    settings: &[Setting],
    choice: &Choice,
    executor: &mut Stages<'_>,
) -> Result<()> {
    let (name, places) = (source.name(), executor.places);
    let dir = places.home(&name);
    let refused = |error: &Error| outcome::refused(&dir, &name, error);
    let make = || plan_and_choose(pipeline, &name, &dir, places, choice);
    // A wrong stage name is said before a folder is made.
    let (mut plan, mut selection) = make().inspect_err(refused)?;
    if let Some(path) = &choice.record {
        baseline::may(path, &plan, &selection).inspect_err(refused)?;
    }
    let failed = |error: &Error| github::summarize(&report::failed(&name, &error.to_string()));
    let mut absent = Absent::default();
    absent.add_plan(None, &plan, |stage| selection.runs(&plan, stage), places);
    absent.refuse(source, settings, &places.cache).inspect_err(refused).inspect_err(failed)?;
    let done = if let Err(error) = keep(&record(pipeline, source, settings)?, &dir) {
        let done = if error.is_read_only() { finished(&plan, &selection)? } else { None };
        let done = done.ok_or(error)?;
        tracing::warn!("nothing can be written in `{}`: what is finished is shown", terminal::path(&dir));
        done
    } else {
        if executor.prepare(&plan, &selection).inspect_err(refused)? {
            (plan, selection) = make()?;
        }
        summary::leaves_out(&plan, &selection, choice);
        walk(&plan, &selection, executor).inspect_err(failed)?
    };
    let written =
        choice.record.as_deref().map(|path| baseline::write(path, &plan, &done, executor)).transpose();
    let recorded = choice.record.as_deref().filter(|_| written.is_ok());
    show::show(source, settings, &plan, &done, choice, recorded);
    written?;
    done.judge()
}

fn plan_and_choose(
    pipeline: &Pipeline,
    name: &str,
    home: &Path,
    places: &Places,
    choice: &Choice,
) -> Result<(Plan, Selection)> {
    let plan = Plan::new(pipeline, name, home.to_path_buf(), places)?;
    let selection = Selection::new(&plan, choice.only.as_deref(), choice.until.as_deref(), &choice.force)?;
    Ok((plan, selection))
}

/// `2026-11-22 23:59 UTC`, by the proleptic Gregorian calendar.
pub(super) fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (day, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that leap days come last in a year.
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day_of_month:02} {:02}:{:02} UTC", of_day / 3600, of_day / 60 % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_across_leap_years() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00 UTC");
        assert_eq!(at(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(at(1_795_391_940), "2026-11-22 23:59 UTC");
    }
}
