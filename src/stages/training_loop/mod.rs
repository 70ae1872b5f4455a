//! The loop around every training: continue, step, report, save, stop.

mod alike;
mod clock;
pub(super) mod distillation;
mod keeping;
mod memory;
mod resume;
pub(super) mod teacher_training;

use indexmap::IndexMap;

use alike::{same_weights, say_how_sums_differ};
use clock::Clock;
use keeping::{diverged, save, take_owed_snapshot};
pub(super) use memory::Memory;
pub(super) use resume::remembered;
use resume::resume;

use super::{
    context::Context,
    cost::{Meter, Seen, Task},
    guard::{self, Loss, Vitals},
    progress::Progress,
    stats_jsonl::{Period, Quantity, StatisticsFile},
};
use crate::{
    Error, Result,
    checkpoint::CheckpointStore,
    kimg::Kimg,
    state_dict::StateDict,
    stop::Stake,
    training::{Guard, Pace, Pending, Snapshots},
};

/// What the loop asks of a training.
pub(super) trait Training {
    /// What an iteration comes to.
    type Iteration;

    /// Images seen so far.
    fn nimg(&self) -> u64;
    /// One iteration. A GPU is only told of it. `Interrupted` leaves a state that can be saved and gone on from.
    fn step(&mut self) -> Result<Pending<Self::Iteration>>;
    /// The quantities of an iteration.
    fn quantities(&self, iteration: &Self::Iteration) -> Vec<(&'static str, Quantity)>;
    /// What the guard looks at, from a status period.
    fn vitals(&self, period: &Period) -> Vitals;
    /// The denoising error of a period.
    fn error(&self, period: &Period) -> Loss;
    /// How much generated images of one class differ; `None` where none are generated.
    fn spread(&self) -> Option<f64> {
        None
    }
    /// The quantities that a line of progress shows.
    fn headline(&self) -> &'static [&'static str];
    /// A number that other weights of what learns do not have.
    fn fingerprint(&self) -> u64;
    /// Everything that training changes.
    fn state(&self) -> StateDict;
    /// Continues from a state; `origin` names it in errors.
    fn restore(&mut self, state: &StateDict, origin: &str) -> Result<()>;
    /// Keeps weights, a picture and metrics of this moment.
    fn snapshot(&mut self, memory: &mut Memory) -> Result<IndexMap<String, f64>>;
}

/// When what happens, in images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cadence<'a> {
    /// Images of a micro-batch.
    pub(super) microbatch: u32,
    /// Micro-batches of an iteration.
    pub(super) rounds: u32,
    pub(super) duration: u64,
    pub(super) status: u64,
    pub(super) checkpoint: u64,
    pub(super) snapshots: Option<&'a Snapshots>,
    pub(super) guard: &'a Guard,
}

impl<'a> From<Pace<'a>> for Cadence<'a> {
    fn from(pace: Pace<'a>) -> Self {
        Self {
            microbatch: pace.microbatch_size(),
            rounds: pace.rounds(),
            duration: pace.duration_kimg.nimg(),
            status: pace.status_every_kimg.nimg(),
            checkpoint: pace.checkpoint_every_kimg.nimg(),
            snapshots: pace.snapshots,
            guard: pace.guard,
        }
    }
}

/// Whether a multiple of `every` lies in (before, after].
fn passed(every: u64, before: u64, after: u64) -> bool {
    every > 0 && before / every != after / every
}

/// Runs a training to its end, from wherever an earlier process left it.
///
/// # Errors
/// `Interrupted` after a stop was asked for and the state saved; `Diverged`; whatever the training meets.
pub(super) fn run(
    training: &mut impl Training,
    cadence: Cadence<'_>,
    task: &Task,
    context: &Context<'_>,
) -> Result<Memory> {
    say_how_sums_differ(cadence.rounds as usize, context);
    let mut memory = resume(training, cadence, context)?;
    memory.microbatch_size = Some(cadence.microbatch);
    let ranks = &context.ranks;
    // The line of a snapshot that was not taken to its end comes again.
    let owed = u64::from(memory.owes_snapshot.is_some());
    let open = |name: &str, fewer: u64| {
        let nimg = training.nimg().saturating_sub(fewer);
        ranks.is_first().then(|| StatisticsFile::open(context.dir.join(name), nimg)).transpose()
    };
    let (mut statistics, mut metrics) = (open("stats.jsonl", 0)?, open("metrics.jsonl", owed)?);
    let mut progress = context.progress(training.nimg(), cadence.duration);
    let mut clock = Clock::start(training.nimg(), ranks);

    if ranks.is_first() {
        memory.guard.begin(training.spread());
    }
    if training.nimg() == 0 && cadence.snapshots.is_some() {
        memory.owes_snapshot = Some(true);
    }
    take_owed_snapshot(training, &mut memory, &mut metrics, context)?;
    if owed > 0 {
        save(training, &memory, cadence, context)?;
    }
    // The last iteration, which is read when the next one is queued: a GPU never waits for the host to read.
    let (mut meter, kept) = (Meter::default(), Seen::by(context));
    let mut unread = None;
    let mut at_stake = context.stop.stakes(Stake::SinceCheckpoint);
    meter.on();
    while training.nimg() < cadence.duration {
        let before = training.nimg();
        let step = if context.stops()? { Err(Error::Interrupted) } else { clock.own(|| training.step()) };
        let numbers = match step {
            Err(Error::Interrupted) => {
                note(training, unread.take(), &mut memory, &mut progress);
                progress.finish();
                memory.seconds += clock.since_counted();
                save(training, &memory, cadence, context)?;
                return Err(Error::Interrupted);
            }
            step => step?,
        };
        context.still_ours()?;
        let nimg = training.nimg();
        ranks.does(|| format!("`{}` at {}", context.name, Kimg::from_nimg(nimg)));
        let earlier = unread.replace(Unread { nimg, images: nimg - before, numbers });
        note(training, earlier, &mut memory, &mut progress);
        let last = nimg >= cadence.duration;
        let [status, checkpoint] =
            [cadence.status, cadence.checkpoint].map(|every| last || passed(every, before, nimg));
        let due = cadence.snapshots.map(|snapshots| snapshots.due(before, nimg));
        let due = due.filter(|due| last || *due);
        // Whatever looks at the networks looks at this iteration, and no further one is queued before.
        if status || checkpoint || due.is_some() {
            note(training, unread.take(), &mut memory, &mut progress);
        }
        meter.count(nimg - before);

        if status {
            memory.seconds += clock.since_counted();
            let of_ranks = same_weights(training, &mut clock, context)?;
            let seen = ranks.first(|| {
                let vitals = training.vitals(&memory.period);
                let mut line = clock.status(nimg, memory.seconds, &of_ranks);
                line.extend(vitals.spread.map(|spread| ("class_spread", spread)));
                if let Some(statistics) = &mut statistics {
                    statistics.write(memory.period.line(line))?;
                }
                Ok(memory.guard.look(&vitals, cadence.guard.rules()))
            })?;
            if let Some(seen) = seen {
                progress.finish();
                return Err(diverged(context, nimg, seen));
            }
            memory.period = Period::default();
            meter.keep_now_and_then(last, task, &kept);
        }
        memory.owes_snapshot = due;
        if checkpoint || due.is_some() {
            meter.off();
            memory.seconds += clock.since_counted();
            save(training, &memory, cadence, context)?;
        }
        if due.is_some() {
            // Metrics may take long, and may fail: the state is saved.
            drop(at_stake);
            take_owed_snapshot(training, &mut memory, &mut metrics, context)?;
            at_stake = context.stop.stakes(Stake::SinceCheckpoint);
            if last {
                memory.seconds += clock.since_counted();
                save(training, &memory, cadence, context)?;
            }
        }
        meter.on();
    }
    if ranks.is_first() {
        CheckpointStore::new(context.dir).keep(1);
    }
    progress.finish();
    Ok(memory)
}

/// An iteration whose numbers nobody has read.
struct Unread<T> {
    /// Images seen at its end.
    nimg: u64,
    /// Images of its own.
    images: u64,
    numbers: Pending<T>,
}

/// Reads an iteration, where there is one to be read: waits for it, and takes note of what it came to.
fn note<T: Training>(
    training: &T,
    unread: Option<Unread<T::Iteration>>,
    memory: &mut Memory,
    progress: &mut Progress,
) {
    let Some(Unread { nimg, images, numbers }) = unread else { return };
    memory.period.add(training.quantities(&numbers.wait()));
    if memory.guard.has_just_begun() && memory.period.iterations() * images >= guard::FIRST_IMAGES {
        memory.guard.first_error(training.error(&memory.period));
    }
    progress.at(nimg, &headline(training, &memory.period));
}

fn headline(training: &impl Training, period: &Period) -> Vec<(&'static str, f64)> {
    training.headline().iter().filter_map(|name| Some((*name, period.get(name)?))).collect()
}

#[cfg(test)]
mod tests;
