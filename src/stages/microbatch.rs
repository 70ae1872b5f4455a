//! `microbatch_size: auto` becomes a number: once, before a training begins, and the same whenever it goes on.

use burn::tensor::Device;

use super::{context::Context, progress::bytes, stage::Stage, training_loop, work::parameters};
use crate::{
    Error, Result, kernels,
    nn::NetworkConfig,
    terminal,
    training::{Microbatch, Pace},
};

/// The share of a device's memory that a training may count on, in percent: drivers, libraries and what lies between
/// allocations take some, and what a training needs is reckoned, not measured.
const USABLE: u64 = 80;

/// The largest micro-batch of a training that fits into the memory of its device, of which each of its ranks has `memory`
/// bytes. `None` where a single image is too much.
pub fn largest(
    stage: &dyn Stage,
    pace: &Pace<'_>,
    network: &NetworkConfig,
    parameters: u64,
    [ranks, memory]: [u64; 2],
) -> Option<u32> {
    let ranks = u32::try_from(ranks).ok()?;
    let bytes = |pace: &Pace<'_>| stage.memory_bytes(pace, network, parameters, ranks).unwrap_or(u64::MAX);
    pace.largest_microbatch(ranks, memory / 100 * USABLE, bytes)
}

/// Whether an iteration of a training with so many images at once fits into a device's memory, as far as that is known.
pub(super) fn fits(
    stage: &impl Stage,
    network: &NetworkConfig,
    parameters: Option<u64>,
    device: &Device,
) -> impl Fn(u32) -> bool {
    let memory = kernels::memory(device).map(|memory| memory.share(1) / 100 * USABLE);
    move |size| {
        let pace = stage.pace().map(|pace| pace.with(size));
        let needs = pace
            .zip(parameters)
            .and_then(|(pace, parameters)| stage.memory_bytes(&pace, network, parameters, 1));
        needs.zip(memory).is_none_or(|(needs, memory)| needs <= memory)
    }
}

/// The images that a training of `network` has in memory at once: where a device has to say it, as many as it began with,
/// or as many as fit. All ranks come to the same.
///
/// # Errors
/// `Unusable` where a single image is too much for the device, and where nobody knows how much memory it has; `RankLost`.
pub(super) fn settled(
    stage: &impl Stage,
    network: &NetworkConfig,
    context: &Context<'_>,
) -> Result<Option<Microbatch>> {
    let Some(pace) = stage.pace() else { return Ok(None) };
    if !pace.is_open() {
        return Ok(pace.microbatch_size);
    }
    let parameters = parameters(network).ok_or_else(|| {
        Error::Unusable("the network's size is not known, which `auto` asks for".to_owned())
    })?;
    let ranks = context.ranks.count() as u32;
    // Ranks on processors share those of their machine, and no rank may have more than another.
    let own = kernels::memory(&context.device).map_or(0, |memory| memory.share(u64::from(ranks)));
    let all = context.ranks.gather(own.to_le_bytes().to_vec())?;
    let needs = |size| {
        stage.memory_bytes(&pace.with(size), network, parameters, ranks).map_or_else(String::new, bytes)
    };
    let (size, why) = context.ranks.first(|| {
        let least = all.iter().filter_map(|own| Some(u64::from_le_bytes(*own.first_chunk()?))).min();
        let free = least.filter(|least| *least > 0).ok_or_else(|| {
            let number = "write a number in `microbatch_size`";
            Error::Unusable(format!("the memory of this device is not known, which `auto` asks for: {number}"))
        })?;
        let fitting = largest(stage, &pace, network, parameters, [u64::from(ranks), free]);
        let before = training_loop::remembered(pace.duration_kimg.nimg(), context);
        let before = before.and_then(|memory| memory.microbatch_size);
        match (before.filter(|size| pace.batch_size.is_multiple_of(*size)), fitting) {
            (Some(before), Some(fitting)) if before > fitting => {
                let other = format!("it began with {before}, which do not fit here: other rounding from here on");
                Ok((fitting, other))
            }
            (Some(before), Some(_)) => Ok((before, "as it began".to_owned())),
            (None, Some(fitting)) => {
                Ok((fitting, format!("the largest that fits into {USABLE} % of {}", bytes(free))))
            }
            (_, None) => Err(Error::Unusable(format!(
                "one image at a time needs about {}, and {USABLE} % of {} is all that `microbatch_size: auto` counts on; \
                 `recompute: true` needs less, and `microbatch_size: 1` tries it nevertheless",
                needs(1),
                bytes(free)
            ))),
        }
    })?;
    if context.ranks.is_first() {
        terminal::note(&format!("  {}: micro-batches of {size}, about {}: {why}", context.name, needs(size)));
    }
    Ok(Some(Microbatch::Size(size)))
}
