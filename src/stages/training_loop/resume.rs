//! Where a training goes on: from nothing, from its own last checkpoint, or from that of a shorter run.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Cadence, Memory, Training};
use crate::{
    Error, Result,
    checkpoint::{Checkpoint, CheckpointStore},
    kimg::Kimg,
    ranks::shown,
    stages::{context::Context, snapshots},
    terminal,
};

/// How a training goes on: as rank 0 found it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Start {
    /// From nothing.
    Afresh,
    /// From the checkpoint of so many images, of its own or of a shorter run; and whether the snapshot of that moment is
    /// to be taken again.
    At { nimg: u64, of_shorter: bool, remake: bool },
}

/// Restores a training to where it goes on.
pub(super) fn resume(
    training: &mut impl Training,
    cadence: Cadence<'_>,
    context: &Context<'_>,
) -> Result<Memory> {
    let mut found = None;
    let start = context.ranks.first(|| {
        let (start, checkpoint) = begin(cadence, context)?;
        found = checkpoint;
        Ok(start)
    })?;
    let Start::At { nimg, of_shorter, remake } = start else { return Ok(Memory::default()) };
    let checkpoint = match found {
        Some(checkpoint) => checkpoint,
        None => as_rank_0_has_it(nimg, of_shorter, context)?,
    };
    let mut memory = checkpoint.progress;
    training.restore(&checkpoint.state, &format!("`{}`", terminal::path(&checkpoint.path)))?;
    terminal::note(&format!("  {}: continues at {}", context.name, Kimg::from_nimg(nimg)));
    if remake {
        training.snapshot(&mut memory)?;
    }
    Ok(memory)
}

/// The checkpoint that rank 0 goes on from, on another rank.
fn as_rank_0_has_it(nimg: u64, of_shorter: bool, context: &Context<'_>) -> Result<Checkpoint<Memory>> {
    let shorter = context.continue_from.as_deref().filter(|_| of_shorter);
    let store = CheckpointStore::new(shorter.unwrap_or(context.dir));
    let look = || Ok(store.latest(nimg)?.filter(|checkpoint: &Checkpoint<Memory>| checkpoint.nimg == nimg));
    shown(look)?.ok_or_else(|| {
        let (dir, kimg) = (terminal::path(context.dir), Kimg::from_nimg(nimg));
        Error::Unusable(format!("`{dir}` does not show the checkpoint of {kimg} that rank 0 goes on from"))
    })
}

/// What the training remembers from which this stage goes on, if it goes on; a look that nothing depends on but speed.
pub(in crate::stages) fn remembered(duration: u64, context: &Context<'_>) -> Option<Memory> {
    let own = CheckpointStore::new(context.dir).remembered(u64::MAX);
    own.or_else(|| CheckpointStore::new(context.continue_from.as_deref()?).remembered(duration))
}

/// Where a training begins.
fn begin(cadence: Cadence<'_>, context: &Context<'_>) -> Result<(Start, Option<Checkpoint<Memory>>)> {
    let store = CheckpointStore::new(context.dir);
    // Its own last one may lie a batch beyond the duration.
    let mut found: Option<Checkpoint<Memory>> = store.latest(u64::MAX)?;
    let mut of_shorter = false;
    if found.is_none()
        && let Some(shorter) = &context.continue_from
    {
        found =
            CheckpointStore::new(shorter).latest(cadence.duration)?.and_then(|c| as_if_longer(c, shorter));
        of_shorter = found.is_some();
        if of_shorter {
            snapshots::adopt(shorter, context.dir)?;
        }
    }
    let Some(checkpoint) = found else { return Ok((Start::Afresh, None)) };
    let memory = &checkpoint.progress;
    // The weights that will be handed on may have been damaged, or deleted by somebody.
    let handed_on = memory.best.map_or(checkpoint.nimg, |(nimg, _)| nimg);
    let is_taken = checkpoint.nimg >= cadence.duration && memory.owes_snapshot.is_none();
    let is_there = memory.best.is_some() || is_taken;
    let lost = cadence.snapshots.filter(|_| is_there).and_then(|_| memory.lost(context.dir, handed_on));
    if let Some(problem) = &lost {
        tracing::warn!("{}: {problem}: it is made again", context.name);
        if handed_on != checkpoint.nimg {
            store.keep(0);
            return Ok((Start::Afresh, None));
        }
    }
    Ok((Start::At { nimg: checkpoint.nimg, of_shorter, remake: lost.is_some() }, Some(checkpoint)))
}

/// A shorter run ended with a snapshot that a longer one may not take. If that was its best, the best before it counts,
/// and where that is gone the shorter run is of no use.
fn as_if_longer(mut checkpoint: Checkpoint<Memory>, shorter: &Path) -> Option<Checkpoint<Memory>> {
    checkpoint.progress.owes_snapshot = checkpoint.progress.owes_snapshot.filter(|due| *due);
    if let Some(best) = checkpoint.progress.best_but_last.take() {
        checkpoint.progress.best = Some(best);
        return snapshots::weights(shorter, best.0).is_file().then_some(checkpoint);
    }
    Some(checkpoint)
}
