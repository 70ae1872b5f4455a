//! What a training keeps: its state, and snapshots of its weights.

use super::{Cadence, Memory, Training};
use crate::{
    Error, Result,
    checkpoint::CheckpointStore,
    kimg::Kimg,
    stages::{
        context::Context,
        snapshots,
        stats_jsonl::{Period, StatisticsFile},
    },
    state_dict::first_not_finite,
    stop::Stake,
};

/// Saves the state. One that may be about to diverge, or holds a NaN, must not take the place of a good one.
pub(super) fn save(
    training: &impl Training,
    memory: &Memory,
    cadence: Cadence<'_>,
    context: &Context<'_>,
) -> Result<()> {
    context.ranks.first(|| {
        if !healthy(training, memory, cadence) {
            return Ok(());
        }
        context.still_ours()?;
        let _state = context.stop.stakes(Stake::All);
        let (nimg, state) = (training.nimg(), training.state());
        match first_not_finite(&state) {
            Some((name, value)) => Err(diverged(context, nimg, format!("`{name}` holds {value}"))),
            None => {
                CheckpointStore::new(context.dir).save(nimg, &state, memory)?;
                snapshots::remove_others(context.dir, &memory.snapshots);
                Ok(())
            }
        }
    })
}

/// Takes the snapshot that is due at this moment, if one is.
pub(super) fn take_owed_snapshot(
    training: &mut impl Training,
    memory: &mut Memory,
    metrics: &mut Option<StatisticsFile>,
    context: &Context<'_>,
) -> Result<()> {
    let Some(due) = memory.owes_snapshot else { return Ok(()) };
    memory.best_but_last = memory.best.filter(|_| !due);
    let nimg = training.nimg();
    let measured = training.snapshot(memory).map_err(|error| match error {
        Error::NotImages { made_by, .. } => {
            diverged(context, nimg, format!("{made_by} holds values that are not finite"))
        }
        other => other,
    })?;
    if let Some(metrics) = metrics.as_mut().filter(|_| !measured.is_empty()) {
        let kimg = Kimg::from_nimg(nimg).0;
        let mut line = Period::default().line([("nimg", nimg as f64), ("kimg", kimg)]);
        line.extend(measured.into_iter().map(|(name, value)| (name, value.into())));
        metrics.write(line)?;
    }
    memory.owes_snapshot = None;
    Ok(())
}

/// Whether the state may become a checkpoint.
fn healthy(training: &impl Training, Memory { period, guard, .. }: &Memory, cadence: Cadence<'_>) -> bool {
    if period.is_empty() {
        return !guard.is_suspicious();
    }
    guard.approves(&training.vitals(period), cadence.guard.rules())
}

/// The error of a training that ran away, with what is left of it.
pub(super) fn diverged(context: &Context<'_>, nimg: u64, seen: String) -> Error {
    let kept = match CheckpointStore::new(context.dir).latest::<Memory>(nimg) {
        Ok(Some(good)) => format!("the checkpoint of {} is kept", Kimg::from_nimg(good.nimg)),
        _ => "it happened before the first checkpoint".to_owned(),
    };
    Error::Diverged {
        stage: context.name.to_string(),
        kimg: Kimg::from_nimg(nimg).0,
        seen: format!("{seen}; {kept}; a lower learning rate is the usual remedy"),
    }
}
