//! What the ranks of a training have to have alike.

use super::{Clock, Training};
use crate::{Error, Result, kimg::Kimg, stages::context::Context, terminal, training::Tree};

/// Says so where ranks cannot add up what one rank would.
pub(super) fn say_how_sums_differ(rounds: usize, context: &Context<'_>) {
    let ranks = context.ranks.count();
    if !Tree::<()>::splits_into(rounds, ranks) {
        terminal::note(&format!(
            "  {}: {ranks} ranks add up the gradients of {rounds} micro-batches in another order than one rank: results are \
             the same but for rounding",
            context.name
        ));
    }
}

/// Ranks take equal steps from equal weights. Where one does not, as on a card that computes wrongly, nothing that they come
/// to means anything. Rank 0 learns what their own work took them.
pub(super) fn same_weights(
    training: &impl Training,
    clock: &mut Clock<'_>,
    context: &Context<'_>,
) -> Result<Vec<f64>> {
    if context.ranks.are_one() {
        return Ok(Vec::new());
    }
    let own = [training.fingerprint(), clock.own_seconds().to_bits()].map(u64::to_le_bytes).concat();
    let all = context.ranks.gather(own)?;
    let weights = |rank: usize| all[rank].first_chunk::<8>();
    context.ranks.first(|| match (0..all.len()).find(|rank| weights(*rank) != weights(0)) {
        None => Ok(()),
        Some(rank) => Err(Error::Unusable(format!(
            "the weights of rank {rank} are not those of rank 0 at {}: do all ranks have the same kind of device, and does \
             each compute right (`sida doctor`)? The last checkpoint is older",
            Kimg::from_nimg(training.nimg())
        ))),
    })?;
    Ok(all.iter().filter_map(|own| Some(f64::from_le_bytes(*own.last_chunk()?))).collect())
}
