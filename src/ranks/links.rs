//! `Ranks`: the ranks of a run, as one of them sees the others.

use std::{
    fmt,
    net::TcpStream,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    handshake::{Claim, without_limit},
    meeting::{Meeting, Met},
    place::Place,
    sums,
    watch::Watch,
    wire::{LONGEST, receive, send},
};
use crate::{Error, Result, process};

/// How long ranks wait for each other at the beginning.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The ranks of a run, as one of them sees the others; or this process alone. What they do together, all of them call
/// equally often and in the same order.
#[derive(Clone, Debug, Default)]
pub struct Ranks(Option<Arc<Links>>);

struct Links {
    rank: usize,
    count: usize,
    /// With each other rank, and how many things were done together.
    data: Mutex<(Vec<Option<TcpStream>>, u64)>,
    watch: Arc<Watch>,
    stages: AtomicU64,
    /// Nanoseconds of waiting for others, and of adding up.
    waited: AtomicU64,
    /// Whether their devices add up tensors by themselves.
    by_device: AtomicBool,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {}", self.rank)
    }
}

impl Ranks {
    /// This process alone.
    pub fn alone() -> Self {
        Self(None)
    }

    /// Meets the others, and watches them from then on. `stop` is set on rank 0 when any rank is asked to stop; see `Place`
    /// for where they meet. `alike` is what has to be alike on all of them: what it is, and its value or a hash of it.
    ///
    /// # Errors
    /// `Usage` where they do not fit together, the same on all of them; `Unusable` where some do not come in time;
    /// `Interrupted`.
    pub fn meet(
        place: &Place,
        alike: &[(&str, String)],
        secret: &str,
        patience: Duration,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let claim = Claim {
            rank: place.rank,
            ranks: place.ranks,
            host: process::host(),
            pid: std::process::id(),
            alike: alike.iter().map(|(what, value)| ((*what).to_owned(), value.clone())).collect(),
        };
        Self::meet_as(place, &claim, secret, patience, stop)
    }

    pub(super) fn meet_as(
        place: &Place,
        claim: &Claim,
        secret: &str,
        patience: Duration,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let Met { news, data, hosts } = Meeting::new(place, secret, patience, &stop)?.hold(claim)?;
        let ready = || {
            let mut to_shut = Vec::new();
            for stream in data.iter().flatten() {
                without_limit(stream)?;
                to_shut.push(stream.try_clone()?);
            }
            Watch::begin(claim.rank, hosts, news, to_shut, stop)
        };
        let failed = |error| Error::Unusable(format!("cannot watch the other ranks: {error}"));
        let watch = ready().map_err(failed)?;
        let (rank, count, data) = (claim.rank, data.len(), Mutex::new((data, 0)));
        Ok(Self(Some(Arc::new(Links {
            rank,
            count,
            data,
            watch,
            stages: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            by_device: AtomicBool::new(false),
        }))))
    }

    /// This one's number.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |links| links.rank)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |links| links.count)
    }

    /// Whether there is no other.
    pub fn are_one(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this one writes what is shared, and decides what is not agreed on otherwise.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// The sum over all ranks of each value, in the order of a binary tree over the ranks: the same bits on each.
    ///
    /// # Errors
    /// `RankLost`.
    pub fn sum(&self, values: &mut [f32]) -> Result<()> {
        let Some(links) = &self.0 else { return Ok(()) };
        links.together(|data, step| sums::sum(data, links.rank, step, values))
    }

    /// From now on the ranks' devices add up tensors by themselves: all of them have joined each other.
    pub fn have_joined_devices(&self) {
        if let Some(links) = &self.0 {
            links.by_device.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the ranks' devices add up tensors by themselves.
    pub fn add_up_by_device(&self) -> bool {
        self.0.as_ref().is_some_and(|links| links.by_device.load(Ordering::Relaxed))
    }

    /// What rank 0 says, on every rank.
    ///
    /// # Errors
    /// `RankLost`.
    pub fn tell<T: Serialize + DeserializeOwned>(&self, own: impl FnOnce() -> T) -> Result<T> {
        let Some(links) = &self.0 else { return Ok(own()) };
        // It may take long, and look at the ranks itself.
        let value = self.is_first().then(own);
        links.together(|data, step| {
            let Some(value) = value else {
                let (said, value): (u64, T) = serde_json::from_slice(&receive(first(data)?, LONGEST)?)?;
                return same_step(said, step).map(|()| value);
            };
            let message = serde_json::to_vec(&(step, &value))?;
            data.iter().flatten().try_for_each(|stream| send(stream, &message))?;
            Ok(value)
        })
    }

    /// What rank 0 does for all, and comes to: the others wait for it.
    ///
    /// # Errors
    /// Rank 0's own, on the others in words; `RankLost`.
    pub fn first<T: Serialize + DeserializeOwned>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut failed = None;
        let done = self.tell(|| work().map_err(|error| failed.insert(error).to_string()));
        match failed {
            Some(error) => Err(error),
            None => done?.map_err(|words| Error::Unusable(format!("on rank 0: {words}"))),
        }
    }

    /// What every rank has, by rank; on rank 0 alone, the others get nothing.
    ///
    /// # Errors
    /// `RankLost`.
    pub fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        let Some(links) = &self.0 else { return Ok(vec![own]) };
        links.together(|data, step| {
            if links.rank > 0 {
                send(first(data)?, &step.to_le_bytes())?;
                send(first(data)?, &own)?;
                return Ok(Vec::new());
            }
            let mut all = vec![own];
            for stream in data.iter().flatten() {
                let said = receive(stream, 8)?.try_into().map_or(u64::MAX, u64::from_le_bytes);
                same_step(said, step)?;
                all.push(receive(stream, LONGEST)?);
            }
            Ok(all)
        })
    }

    /// How long this rank has waited for others so far, adding up included.
    pub fn waited(&self) -> Duration {
        let nanos = self.0.as_ref().map_or(0, |links| links.waited.load(Ordering::Relaxed));
        Duration::from_nanos(nanos)
    }

    /// What this rank does, in words: its last ones, if it dies.
    pub fn does(&self, doing: impl FnOnce() -> String) {
        if let Some(links) = &self.0 {
            links.watch.does(doing());
        }
    }

    /// The end of a stage that all ranks work on: what it came to on this one. An error that all have leaves the ranks
    /// together.
    ///
    /// # Errors
    /// On rank 0 that of another rank, where this one has none; `RankLost`.
    pub fn end_of_stage(&self, problem: Option<&Error>) -> Result<()> {
        let Some(links) = &self.0 else { return Ok(()) };
        let n = links.stages.fetch_add(1, Ordering::Relaxed);
        links.watch.end_of_stage(n, problem.map(ToString::to_string))
    }

    /// This rank has failed: the others hear of it and end.
    pub fn fail(&self, error: &Error) {
        if let Some(links) = &self.0 {
            links.watch.fail(error);
        }
    }

    /// All is done: ranks may go.
    pub fn part(&self) {
        if let Some(links) = &self.0 {
            links.watch.bye();
        }
    }
}

impl Links {
    fn data(&self) -> MutexGuard<'_, (Vec<Option<TcpStream>>, u64)> {
        self.data.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn together<T>(&self, work: impl FnOnce(&[Option<TcpStream>], u64) -> std::io::Result<T>) -> Result<T> {
        let mut data = self.data();
        data.1 += 1;
        let began = Instant::now();
        let worked = work(&data.0, data.1);
        self.waited.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        worked.map_err(|error| self.watch.why(error))
    }
}

fn first(data: &[Option<TcpStream>]) -> std::io::Result<&TcpStream> {
    data[0].as_ref().ok_or_else(|| std::io::ErrorKind::NotConnected.into())
}

/// Ranks that do not do the same thing must not take each other's numbers for it.
fn same_step(said: u64, own: u64) -> std::io::Result<()> {
    if said == own {
        return Ok(());
    }
    let problem = format!("a rank is at step {said}, and this one at step {own}");
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem))
}
