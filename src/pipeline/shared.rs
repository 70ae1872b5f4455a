//! Whether ranks can share the batches of the trainings that are asked for.

use super::{
    meaning,
    mistake::as_error,
    order::read_by,
    overlay::Setting,
    source::{Parsed, Source},
    spec::Pipeline,
};
use crate::{
    Error, Result,
    stage_name::StageName,
    stages::{Objection, StageSpec},
};

/// Which stages of a pipeline, or of each point of a sweep, are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// All, or of a sweep what its table needs.
    Usual,
    /// All.
    All,
    /// This one and what it reads.
    Until(&'a str),
    /// This one.
    Only(&'a str),
}

impl Source {
    /// What speaks against so many ranks, at its place in the file; of a sweep, in its first point that it concerns.
    ///
    /// # Errors
    /// As it says.
    pub fn shared_by(
        &self,
        settings: &[Setting],
        parsed: &Parsed,
        ranks: usize,
        asked: Asked<'_>,
    ) -> Result<()> {
        match parsed {
            Parsed::Pipeline(pipeline) => {
                let found = objections(pipeline, ranks, asked);
                if found.is_empty() {
                    return Ok(());
                }
                let whole = self.document().and_then(|document| self.whole(document, settings));
                let (whole, _) = whole.map_err(as_error)?;
                let mistakes = found
                    .into_iter()
                    .map(|(name, spec, objection)| meaning::mistake(&whole, name, spec, objection));
                Err(as_error(mistakes.collect()))
            }
            Parsed::Sweep(sweep, points) => {
                let asked = match (asked, &sweep.table) {
                    (Asked::Usual, Some(table)) => Asked::Until(table.cell.stage.as_str()),
                    _ => asked,
                };
                for point in points {
                    if let Some((name, _, objection)) =
                        objections(&point.pipeline, ranks, asked).into_iter().next()
                    {
                        let Objection { problem, help, .. } = objection;
                        let help = help.map_or_else(String::new, |help| format!("; {help}"));
                        return Err(Error::Usage(format!(
                            "`{name}` of the point {}: {problem}{help}",
                            point.label
                        )));
                    }
                }
                Ok(())
            }
        }
    }
}

fn objections<'a>(
    pipeline: &'a Pipeline,
    ranks: usize,
    asked: Asked<'_>,
) -> Vec<(&'a StageName, &'a StageSpec, Objection)> {
    let is_wanted = |name: &StageName| match asked {
        Asked::Usual | Asked::All => true,
        Asked::Only(only) => name.as_str() == only,
        Asked::Until(until) => read_by(pipeline, until).is_some_and(|read| read.contains(name)),
    };
    let stages = pipeline.stages.iter().filter(|(name, _)| is_wanted(name));
    stages.filter_map(|(name, spec)| Some((name, spec, spec.stage().shared_by(ranks as u32)?))).collect()
}
