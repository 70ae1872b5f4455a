//! `Selection`: which stages of a plan to run, and which of them again.

use std::collections::BTreeSet;

use super::{
    plan::{Plan, Status},
    store,
    sweep_spec::Sweep,
};
use crate::{Error, Result, report, stage_name::StageName};

/// Which stages to run, by place in the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these; all where `None`.
    pub wanted: Option<BTreeSet<usize>>,
    /// These run again though they are done: what `--force` names, and what reads it.
    pub force: BTreeSet<usize>,
}

impl Selection {
    /// From `--only`, `--until` and `--force`.
    ///
    /// # Errors
    /// `Usage` for a stage that does not exist, for both `--only` and `--until`, and for an `--only` whose inputs
    /// have not run.
    pub fn new(plan: &Plan, only: Option<&str>, until: Option<&str>, force: &[String]) -> Result<Self> {
        let mut force: BTreeSet<usize> =
            force.iter().map(|name| plan.find("--force", name)).collect::<Result<_>>()?;
        // Inputs come first in a plan, so one pass finds everything that reads a forced stage.
        for (i, stage) in plan.stages.iter().enumerate() {
            if stage.inputs.iter().any(|input| force.contains(input)) {
                force.insert(i);
            }
        }
        let wanted = match (only, until) {
            (Some(_), Some(_)) => {
                return Err(Error::Usage("`--only` and `--until` cannot both be given".to_owned()));
            }
            (Some(name), None) => {
                let stage = plan.find("--only", name)?;
                let open = plan.stages[stage].inputs.iter().find(|i| plan.stages[**i].status != Status::Done);
                if let Some(open) = open {
                    let open = &plan.stages[*open].name;
                    return Err(Error::Usage(format!(
                        "`--only {name}` needs `{open}`, which has not run: `--until {name}` runs both"
                    )));
                }
                Some(BTreeSet::from([stage]))
            }
            (None, Some(name)) => Some(plan.ancestors(plan.find("--until", name)?).into_iter().collect()),
            (None, None) => None,
        };
        if let Some(wanted) = &wanted {
            force.retain(|stage| wanted.contains(stage));
        }
        Ok(Self { wanted, force })
    }

    /// What runs of a sweep's point unless more or less is asked for: what the table needs; all where there is no table.
    ///
    /// # Errors
    /// As `for_stage`.
    pub fn of_point(plan: &Plan, sweep: &Sweep, force: &[String]) -> Result<Self> {
        match &sweep.table {
            Some(table) => Self::for_stage(plan, &table.cell.stage, force),
            None => Self::new(plan, None, None, force),
        }
    }

    /// A stage, what it reads, and all that only shows what others made.
    ///
    /// # Errors
    /// `Usage` for a forced stage that does not exist, or is not among these.
    fn for_stage(plan: &Plan, stage: &StageName, force: &[String]) -> Result<Self> {
        let all = Self::new(plan, None, None, force)?;
        let views = (0..plan.stages.len()).filter(|i| plan.stages[*i].spec.stage().is_view());
        let needed = plan.stages.iter().position(|planned| planned.name == *stage);
        let wanted: BTreeSet<usize> =
            needed.into_iter().flat_map(|needed| plan.ancestors(needed)).chain(views).collect();
        for name in force {
            if !wanted.contains(&plan.find("--force", name)?) {
                let message =
                    format!("`--force {name}`: `{stage}` does not need it; `--all` runs everything");
                return Err(Error::Usage(message));
            }
        }
        let force = all.force.into_iter().filter(|i| wanted.contains(i)).collect();
        Ok(Self { wanted: Some(wanted), force })
    }

    /// Whether a stage is asked for.
    pub fn wants(&self, stage: usize) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&stage))
    }

    /// Whether a stage has to run: it is asked for, and not done or asked for again.
    pub fn runs(&self, plan: &Plan, stage: usize) -> bool {
        self.wants(stage) && (plan.stages[stage].status != Status::Done || self.force.contains(&stage))
    }

    /// Removes what another run showed where this one will show something.
    ///
    /// # Errors
    /// `Io` for a file that cannot be removed.
    pub(super) fn remove_reports(&self, plan: &Plan) -> Result<()> {
        let asked = (0..plan.stages.len()).filter(|i| self.wants(*i));
        asked.filter_map(|i| plan.report_name(i)).try_for_each(|name| report::remove(&plan.home, &name))
    }

    /// Forgets the results of the forced stages, once: a run that is interrupted then continues as any other.
    ///
    /// # Errors
    /// `Io` for a folder that cannot be removed; `Busy` where another process makes one.
    pub(super) fn clear(&self, plan: &Plan) -> Result<()> {
        for stage in self.force.iter().map(|i| &plan.stages[*i]).filter(|stage| stage.dir.exists()) {
            if let Some(holder) = store::remove(&stage.dir)? {
                return Err(Error::Busy { path: stage.dir.clone(), holder: holder.to_string() });
            }
        }
        Ok(())
    }
}
