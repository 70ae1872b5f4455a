//! Which stage is compared with which.

use super::side::{ComparedStage, Side};
use crate::{Error, Result, suggestion::listed, terminal::name};

/// A stage with its name.
type Named<'a> = (&'a str, &'a ComparedStage);

/// The same stage on both sides, or a stage that only one has.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    /// In A, and in B.
    pub(super) of: [Option<Named<'a>>; 2],
}

impl<'a> Pair<'a> {
    /// Both stages; `None` where only one side has one.
    pub(super) fn both(&self) -> Option<[&'a ComparedStage; 2]> {
        let [a, b] = self.of;
        Some([a?.1, b?.1])
    }

    /// The name that its stages share; `None` where two were named that are called differently.
    pub(super) fn name(&self) -> Option<&'a str> {
        match self.of {
            [Some((a, _)), Some((b, _))] => (a == b).then_some(a),
            [one, other] => one.or(other).map(|(name, _)| name),
        }
    }

    /// The name, or both: `sid, sida`.
    pub(super) fn title(&self) -> String {
        let names: Vec<&str> = self.of.iter().flatten().map(|(name, _)| *name).collect();
        self.name().map_or_else(|| names.join(", "), str::to_owned)
    }

    /// The path of something in the stage; where two stages have two names it is relative to the stage.
    pub(super) fn path(&self, rest: &str) -> String {
        self.name().map_or_else(|| rest.to_owned(), |name| format!("{name}.{rest}"))
    }

    /// Whether both stages have the same picture, byte by byte; `None` where neither has one.
    pub(super) fn same_picture(&self) -> Option<bool> {
        let [a, b] = self.of.map(|stage| stage.and_then(|(_, stage)| stage.picture.as_ref()));
        (a.is_some() || b.is_some()).then(|| a.map(|picture| &picture.png) == b.map(|picture| &picture.png))
    }
}

/// The stages of two sides in pairs.
///
/// # Errors
/// `Usage` where a stage has no counterpart in a run.
pub(super) fn pairs<'a>(a: &'a Side, b: &'a Side) -> Result<Vec<Pair<'a>>> {
    let pair = |a, b| vec![Pair { of: [Some(a), Some(b)] }];
    Ok(match (only(a), only(b)) {
        (Some(one), Some(other)) => pair(one, other),
        (Some(one), None) => pair(one, counterpart(one, b)?),
        (None, Some(other)) => pair(counterpart(other, a)?, other),
        (None, None) => {
            let find = |side: &'a Side, name: &str| {
                side.stages.get_key_value(name).map(|(name, stage)| (name.as_str(), stage))
            };
            let new = b.stages.keys().filter(|name| !a.stages.contains_key(*name));
            let names = a.stages.keys().chain(new);
            names.map(|name| Pair { of: [find(a, name), find(b, name)] }).collect()
        }
    })
}

/// The stage that a side is.
fn only(side: &Side) -> Option<Named<'_>> {
    all(side).next().filter(|_| side.is_stage)
}

fn all(side: &Side) -> impl Iterator<Item = Named<'_>> {
    side.stages.iter().map(|(name, stage)| (name.as_str(), stage))
}

/// The stage of a run with the name of another, else the only one that does the same.
fn counterpart<'a>((wanted, stage): Named<'_>, run: &'a Side) -> Result<Named<'a>> {
    if let Some(same) = all(run).find(|(name, _)| *name == wanted) {
        return Ok(same);
    }
    let alike: Vec<Named<'_>> = all(run).filter(|(_, other)| other.verb == stage.verb).collect();
    if let [one] = alike[..] {
        return Ok(one);
    }
    let known: Vec<String> =
        all(run).map(|(stage, of)| name(&format!("{stage} ({})", of.verb)).into()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(Error::Usage(format!(
        "`{}` has no stage `{}` and {} that does `{}`: name the folder of one of {}",
        name(&run.identity.path),
        name(wanted),
        if alike.is_empty() { "none" } else { "more than one" },
        name(&stage.verb),
        listed(&known)
    )))
}
