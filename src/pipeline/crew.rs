//! What rank 0 asks of the others, and how they do it. Every rank has read the same file; rank 0 alone goes through the plan,
//! holds leases, and writes what is shared.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    execute::{PointAt, Stages},
    plan::{Plan, PlannedStage},
    run::Running,
    source::Parsed,
    store::{self, State},
};
use crate::{Error, Result, kimg::Kimg, ranks::shown, stage_name::StageName, stages::Finished, terminal};

/// What rank 0 asks of the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// To make a stage together.
    Make {
        /// Of a sweep, the number of the point, and how long it trains in this rung of a search.
        point: Option<(usize, Option<Kimg>)>,
        stage: StageName,
        /// The stage's key, as rank 0 knows it.
        key: String,
        /// The folder of a shorter run that it goes on from.
        continue_from: Option<PathBuf>,
    },
    /// To end, with this exit code.
    End(u8),
}

impl Order {
    pub(super) fn make(point: Option<&PointAt>, stage: &PlannedStage) -> Self {
        Self::Make {
            point: point.map(|point| (point.number, point.rung)),
            stage: stage.name.clone(),
            key: stage.key.to_string(),
            continue_from: stage.continue_from.clone(),
        }
    }
}

impl Stages<'_> {
    /// Does what rank 0 asks, until it asks to end: with which exit code. `name` is the file's, `parsed` what it says.
    ///
    /// # Errors
    /// `RankLost`.
    pub fn serve(&mut self, name: &str, parsed: &Parsed) -> Result<u8> {
        loop {
            match self.ranks.tell(|| Order::End(1))? {
                Order::End(code) => {
                    self.ranks.part();
                    return Ok(code);
                }
                Order::Make { point, stage, key, continue_from } => {
                    let made = self.make(name, parsed, point, &stage, &key, continue_from);
                    self.ranks.end_of_stage(made.err().as_ref())?;
                }
            }
        }
    }

    /// All is done on rank 0: the others may end, with this exit code.
    pub fn dismiss(&self, code: u8) {
        // Who is lost needs no leave.
        let _ = self.ranks.tell(|| Order::End(code));
        self.ranks.part();
    }

    fn make(
        &mut self,
        name: &str,
        parsed: &Parsed,
        point: Option<(usize, Option<Kimg>)>,
        stage: &StageName,
        key: &str,
        continue_from: Option<PathBuf>,
    ) -> Result<()> {
        let home = self.places.home(name);
        let (pipeline, at) = match (parsed, point) {
            (Parsed::Sweep(sweep, points), Some((number, rung))) => {
                let point = points.get(number).cloned().ok_or_else(|| unknown(stage))?;
                let label = point.label.clone();
                let point = rung.map_or(point.clone(), |rung| point.at_rung(sweep, rung));
                (point.pipeline, Some(PointAt { number, label, rung }))
            }
            (Parsed::Pipeline(pipeline), None) => (pipeline.clone(), None),
            _ => return Err(unknown(stage)),
        };
        self.point = at;
        let plan = || Plan::new(&pipeline, name, home.clone(), self.places);
        let place = |plan: &Plan| plan.stages.iter().position(|planned| planned.name == *stage);
        let mut plan_now = plan()?;
        let mut i = place(&plan_now).ok_or_else(|| unknown(stage))?;
        if plan_now.stages[i].key.to_string() != key
            && self.fetch_all(plan_now.ancestors(i).into_iter().map(|i| &plan_now.stages[i]))?
        {
            plan_now = plan()?;
            i = place(&plan_now).ok_or_else(|| unknown(stage))?;
        }
        let found = plan_now.stages[i].key.to_string();
        if found != key {
            let short = |key: &str| key.chars().take(8).collect::<String>();
            return Err(Error::Unusable(format!(
                "the key of `{stage}` is {} here, and {} on rank 0: a file that it reads is another one here",
                short(&found),
                short(key)
            )));
        }
        plan_now.stages[i].continue_from = continue_from;
        let inputs = plan_now.ancestors(i).into_iter().filter(|input| *input != i);
        let inputs = inputs.filter(|input| !plan_now.stages[*input].spec.stage().is_view());
        let finished: Result<IndexMap<_, _>> = inputs
            .map(|input| {
                let input = &plan_now.stages[input];
                Ok((input.name.clone(), as_rank_0_sees_it(input)?))
            })
            .collect();
        let running = Running { plan: &plan_now, finished: finished?, after: Vec::new(), lease: None };
        let stage = &plan_now.stages[i];
        stage.spec.stage().runs_on(&self.device)?;
        self.work(stage, &running, self.ranks.clone()).map(drop)
    }
}

fn unknown(stage: &StageName) -> Error {
    Error::Unusable(format!("rank 0 makes a stage `{stage}`, of which this rank knows nothing"))
}

fn as_rank_0_sees_it(stage: &PlannedStage) -> Result<Finished> {
    let look = || match store::state(&stage.dir, false)? {
        State::Done(finished) => Ok(Some(finished)),
        _ => Ok(None),
    };
    shown(look)?.ok_or_else(|| {
        Error::Unusable(format!(
            "`{}`, which rank 0 has finished, is not to be seen here: all ranks need the same folder of runs",
            terminal::path(&stage.dir)
        ))
    })
}
