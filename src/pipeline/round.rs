//! `Round`: points of a sweep on their way, in turns, each to its end; shared stages are made once, and several processes
//! divide the stages among them.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    execute::{PointAt, Stages},
    home,
    key::StageKey,
    overlay::Setting,
    plan::{Places, Plan},
    record::{keep, record},
    run::{Failed, Summary, Waiting},
    selection::Selection,
    source::Source,
    sweep::Point,
    walk::{Pass, Walk},
};
use crate::{Error, Result, kimg::Kimg};

/// How a point ended.
#[derive(Debug)]
pub enum Ended {
    /// With everything that was asked for.
    Well(Summary),
    /// A training diverged, in words.
    Diverged(String),
    /// Something else went wrong, in words.
    Badly(String),
}

/// What the points of a sweep share.
pub struct Round<'a> {
    /// The sweep's file.
    pub source: &'a Source,
    /// What the command line sets in it.
    pub settings: &'a [Setting],
    /// Where things are on this machine.
    pub places: &'a Places,
    /// In a search, how long the points train now.
    pub rung: Option<Kimg>,
    /// Which stages of a plan are asked for.
    pub select: &'a dyn Fn(&Plan) -> Result<Selection>,
    /// Stages that failed before.
    pub failed: &'a mut Failed,
    /// Stages that were made again before, as was asked for: those that points share, once.
    pub forced: &'a mut BTreeSet<StageKey>,
}

impl Round<'_> {
    /// Runs `points` to their ends, and says of each how it ended: in the order in which they do.
    ///
    /// # Errors
    /// `Interrupted`; whatever `ended` returns; what no point can go on with, such as `NewerFormat`.
    pub fn run(
        &mut self,
        points: &[(usize, Point)],
        executor: &mut Stages<'_>,
        ended: &mut dyn FnMut(usize, Ended) -> Result<()>,
    ) -> Result<()> {
        let mut open: Vec<(&(usize, Point), Option<Walk>)> =
            points.iter().map(|point| (point, None)).collect();
        let mut waiting = Waiting::default();
        while !open.is_empty() {
            let before = open.len();
            // A point that waits for what another process makes lets the next one go on.
            for (numbered, walk) in std::mem::take(&mut open) {
                let (number, point) = numbered;
                executor.point =
                    Some(PointAt { number: *number, label: point.label.clone(), rung: self.rung });
                let walk = walk.map_or_else(|| self.begin(*number, point, executor), Ok)?;
                match self.pass(walk, &point.label, executor)? {
                    Err(waiting) => open.push((numbered, Some(*waiting))),
                    Ok(end) => ended(*number, end)?,
                }
            }
            if open.len() == before {
                waiting.wait(executor)?;
            } else {
                waiting = Waiting::default();
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: usize, point: &Point, executor: &Stages<'_>) -> Result<Walk> {
        tracing::info!("point {}: {}", number + 1, point.label);
        let (name, home) = (self.source.name(), self.home(point));
        let make = || {
            let plan = Plan::new(&point.pipeline, &name, home.clone(), self.places)?;
            let selection = (self.select)(&plan)?;
            Ok::<_, Error>((plan, selection))
        };
        let (mut plan, mut selection) = make()?;
        keep(&record(&point.pipeline, self.source, self.settings)?, &home)?;
        if executor.prepare(&plan, &selection)? {
            (plan, selection) = make()?;
        }
        selection.force.retain(|stage| self.forced.insert(plan.stages[*stage].key.clone()));
        Walk::begin(plan, selection)
    }

    /// How a point ended, or its walk where it waits for others.
    fn pass(
        &mut self,
        mut walk: Walk,
        label: &str,
        executor: &mut Stages<'_>,
    ) -> Result<std::result::Result<Ended, Box<Walk>>> {
        let passed = self.failed.known(walk.plan()).map_or_else(|| walk.pass(executor), Err);
        let error = match passed {
            Ok(Pass::Waits) => return Ok(Err(Box::new(walk))),
            Ok(Pass::Ended) => return walk.end(Ok(())).map(|summary| Ok(Ended::Well(summary))),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => error,
        };
        tracing::error!("point {label}: {error}");
        // A disk that was full may have room again; a stage that diverged will diverge again.
        if let Some(stage) = &walk.summary().running
            && !matches!(error, Error::Io { .. } | Error::Download { .. })
        {
            self.failed.note(walk.plan(), stage, &error);
        }
        let (message, diverged) = (error.to_string(), matches!(error, Error::Diverged { .. }));
        // What ended the point is known; what its own files say of it comes after.
        drop(walk.end(Err(error)));
        Ok(Ok(if diverged { Ended::Diverged(message) } else { Ended::Badly(message) }))
    }

    fn home(&self, point: &Point) -> PathBuf {
        home::of_point(&self.places.home(&self.source.name()), &point.label)
    }
}
