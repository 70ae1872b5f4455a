//! The loop around every training: continue, step, report, save, stop.

mod clock;
pub(super) mod distillation;
mod resume;
pub(super) mod teacher_training;

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use clock::Clock;
use resume::resume;

use super::{
    context::Context,
    guard::{self, Loss, Vitals, Watcher},
    progress::Progress,
    snapshots,
    stats_jsonl::{Period, Quantity, StatisticsFile},
};
use crate::{
    Error, Result,
    checkpoint::CheckpointStore,
    formats::Digest,
    kimg::Kimg,
    state_dict::{StateDict, not_finite},
    stop::Stake,
    terminal,
    training::{Guard, Pace, Pending, Snapshots, Tree},
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

/// What a checkpoint remembers besides tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Seconds of training, over all processes that worked on it.
    pub(super) seconds: f64,
    /// The best snapshot so far by the first metric: its images and its value.
    pub(super) best: Option<(u64, f64)>,
    /// The snapshot that was taken last, in images.
    pub(super) last_snapshot: Option<u64>,
    /// At the end, where no snapshot was due: the best before the one that was taken nevertheless.
    #[serde(default)]
    pub(super) best_but_last: Option<(u64, f64)>,
    /// What the guard has seen.
    #[serde(default)]
    pub(super) guard: Watcher,
    /// What the weights of each snapshot that stays hold, by its images.
    #[serde(default)]
    pub(super) snapshots: IndexMap<u64, Digest>,
    /// The iterations since the last line of statistics.
    #[serde(default)]
    pub(super) period: Period,
    /// That a snapshot of this moment is due and not taken yet; and whether by itself, not because the training ends.
    #[serde(default)]
    pub(super) owes_snapshot: Option<bool>,
}

impl Memory {
    /// What is wrong with the weights of a snapshot; `None` where they are as they were written.
    fn lost(&self, dir: &Path, nimg: u64) -> Option<String> {
        let path = snapshots::weights(dir, nimg);
        let damage = match self.snapshots.get(&nimg) {
            Some(digest) => digest.damage(&path, true),
            None => (!path.is_file()).then(|| "is gone".to_owned()),
        };
        Some(format!("`{}` {}", path.file_name()?.display(), damage?))
    }
}

/// When what happens, in images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cadence<'a> {
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
    context: &Context<'_>,
) -> Result<Memory> {
    say_how_sums_differ(cadence.rounds as usize, context);
    let mut memory = resume(training, cadence, context)?;
    let ranks = &context.ranks;
    // The line of a snapshot that was not taken to its end comes again.
    let owed = u64::from(memory.owes_snapshot.is_some());
    let open = |name: &str, fewer: u64| {
        let nimg = training.nimg().saturating_sub(fewer);
        ranks.is_first().then(|| StatisticsFile::open(context.dir.join(name), nimg)).transpose()
    };
    let (mut statistics, mut metrics) = (open("stats.jsonl", 0)?, open("metrics.jsonl", owed)?);
    let mut progress = Progress::new(context.name.as_str(), "images", training.nimg(), cadence.duration);
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
    let mut unread = None;
    let mut at_stake = context.stop.stakes(Stake::SinceCheckpoint);
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
        }
        memory.owes_snapshot = due;
        if checkpoint || due.is_some() {
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

/// Whether the state may become a checkpoint.
fn healthy(training: &impl Training, Memory { period, guard, .. }: &Memory, cadence: Cadence<'_>) -> bool {
    if period.is_empty() {
        return !guard.is_suspicious();
    }
    guard.approves(&training.vitals(period), cadence.guard.rules())
}

/// Says so where ranks cannot add up what one rank would.
fn say_how_sums_differ(rounds: usize, context: &Context<'_>) {
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
fn same_weights(training: &impl Training, clock: &mut Clock<'_>, context: &Context<'_>) -> Result<Vec<f64>> {
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

/// Saves the state. One that may be about to diverge, or holds a NaN, must not take the place of a good one.
fn save(
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
        let bad = state.iter().find_map(|(name, data)| Some((name, not_finite(data)?)));
        match bad {
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
fn take_owed_snapshot(
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

fn headline(training: &impl Training, period: &Period) -> Vec<(&'static str, f64)> {
    training.headline().iter().filter_map(|name| Some((*name, period.get(name)?))).collect()
}

fn diverged(context: &Context<'_>, nimg: u64, seen: String) -> Error {
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

#[cfg(test)]
mod tests;
