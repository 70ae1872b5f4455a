//! `Watch`: news between rank 0 and the others, beside the work: that a rank lives, that it was asked to stop, that it has
//! come to the end of a stage, and that one is lost. A rank that is lost ends all.

use std::{
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::wire::{receive_json, send_json};
use crate::{Error, terminal};

/// How often a rank says that it lives.
const BEAT: Duration = Duration::from_millis(500);
/// A rank that was not heard of for so long is lost.
const SILENCE: Duration = Duration::from_secs(20);
/// Who has not ended so long after a rank was lost is ended: NCCL waits for ever.
const GRACE: Duration = Duration::from_secs(8);
/// One rank's mistake may be everybody's: the others have so long to come to the same end.
const SAME_END: Duration = Duration::from_secs(8);
/// More than any news.
const LONGEST: usize = 1 << 20;

/// News, from a rank to rank 0 or from that to another one.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum News {
    /// It lives; whether it was asked to stop; what it does.
    Beat { stop: bool, doing: String },
    /// It has come to the end of its `n`th stage, with what error.
    End { n: u64, problem: Option<String> },
    /// All have come to the end of the `n`th stage.
    Together { n: u64 },
    /// A rank is lost.
    Lost(Lost),
    /// All is done.
    Bye,
}

/// A rank that is lost, and its last words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lost {
    rank: usize,
    host: String,
    words: String,
}

impl From<Lost> for Error {
    fn from(Lost { rank, host, words }: Lost) -> Self {
        Self::RankLost { rank, host, words }
    }
}

/// What is known of the others.
#[derive(Debug, Default)]
struct Known {
    lost: Option<Lost>,
    /// How many stages all have come to the end of, as rank 0 says.
    together: u64,
    /// The end of each rank's last stage.
    ends: Vec<Option<(u64, Option<String>)>>,
    doing: Vec<String>,
    ended: bool,
}

/// See above.
#[derive(Debug)]
pub(super) struct Watch {
    rank: usize,
    hosts: Vec<String>,
    known: Mutex<Known>,
    changed: Condvar,
    /// To write to; rank 0 has one to each other rank.
    news: Vec<Option<Mutex<TcpStream>>>,
    /// Shut when a rank is lost, so that nobody waits for it.
    data: Vec<TcpStream>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to watch. `stop` is set on rank 0 when any rank was asked to stop.
    pub(super) fn begin(
        rank: usize,
        hosts: Vec<String>,
        news: Vec<Option<TcpStream>>,
        data: Vec<TcpStream>,
        stop: Arc<AtomicBool>,
    ) -> std::io::Result<Arc<Self>> {
        let ranks = news.len();
        let known = Known { ends: vec![None; ranks], doing: vec![String::new(); ranks], ..Known::default() };
        let mut readers = Vec::new();
        for (other, stream) in news.iter().enumerate() {
            if let Some(stream) = stream {
                stream.set_read_timeout(Some(SILENCE))?;
                stream.set_write_timeout(Some(SILENCE))?;
                readers.push((other, stream.try_clone()?));
            }
        }
        let watch = Arc::new(Self {
            rank,
            hosts,
            known: Mutex::new(known),
            changed: Condvar::new(),
            news: news.into_iter().map(|stream| stream.map(Mutex::new)).collect(),
            data,
            stop,
        });
        for (other, stream) in readers {
            let watch = Arc::clone(&watch);
            thread::Builder::new().name("news".to_owned()).spawn(move || watch.hear(other, &stream))?;
        }
        let beating = Arc::clone(&watch);
        thread::Builder::new().name("beat".to_owned()).spawn(move || beating.beat())?;
        Ok(watch)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn say(&self, to: usize, news: &News) {
        if let Some(stream) = &self.news[to] {
            let stream = stream.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // Who cannot be told is missed by whoever reads from it.
            let _ = send_json(&stream, news);
        }
    }

    fn say_to_all(&self, news: &News) {
        (0..self.news.len()).for_each(|to| self.say(to, news));
    }

    fn beat(&self) {
        loop {
            let news = {
                let known = self.known();
                if known.ended || known.lost.is_some() {
                    return;
                }
                News::Beat { stop: self.stop.load(Ordering::Relaxed), doing: known.doing[self.rank].clone() }
            };
            self.say_to_all(&news);
            thread::sleep(BEAT);
        }
    }

    fn hear(self: &Arc<Self>, other: usize, stream: &TcpStream) {
        loop {
            match receive_json(stream, LONGEST) {
                Ok(News::Beat { stop, doing }) => {
                    // Rank 0 tells the others when all have come to the same place.
                    if stop && self.rank == 0 {
                        self.stop.store(true, Ordering::Relaxed);
                    }
                    self.known().doing[other] = doing;
                }
                Ok(News::End { n, problem }) => {
                    let failed = problem.is_some();
                    self.known().ends[other] = Some((n, problem));
                    self.changed.notify_all();
                    if failed {
                        let watch = Arc::clone(self);
                        let wait = move || {
                            thread::sleep(SAME_END);
                            watch.is_alone_in_this(other, n);
                        };
                        drop(thread::Builder::new().name("verdict".to_owned()).spawn(wait));
                    }
                }
                Ok(News::Together { n }) => {
                    self.known().together = n + 1;
                    self.changed.notify_all();
                }
                Ok(News::Lost(lost)) => return self.lose(lost),
                Ok(News::Bye) => return self.end(),
                Err(error) => {
                    let silent =
                        matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                    return self.lose(self.last_of(other, silent));
                }
            }
        }
    }

    /// What is said of a rank that says nothing itself.
    fn last_of(&self, rank: usize, silent: bool) -> Lost {
        let known = self.known();
        // What it failed with before it went, unless all did, and went on.
        if let Some((n, Some(words))) = &known.ends[rank]
            && *n >= known.together
        {
            return Lost { rank, host: self.hosts[rank].clone(), words: words.clone() };
        }
        let doing = known.doing[rank].clone();
        let last = if doing.is_empty() {
            String::new()
        } else {
            format!("; the last that was heard of it: {doing}")
        };
        let words = if silent {
            format!(
                "it was not heard of for {} s{last}; the same command continues from the last checkpoint",
                SILENCE.as_secs()
            )
        } else {
            format!(
                "it ended without a word (killed, or out of memory?){last}; the same command continues from the last checkpoint"
            )
        };
        Lost { rank, host: self.hosts[rank].clone(), words }
    }

    /// A rank has failed at the end of a stage that rank 0 does not come to.
    fn is_alone_in_this(&self, other: usize, n: u64) {
        let known = self.known();
        let own = known.ends[self.rank].as_ref().map(|(n, _)| *n);
        let words = match &known.ends[other] {
            Some((m, Some(words))) if *m == n && own.is_none_or(|own| own < n) => words.clone(),
            _ => return,
        };
        drop(known);
        self.lose(Lost { rank: other, host: self.hosts[other].clone(), words });
    }

    /// A rank is lost: all are told, and nobody waits for data any more.
    pub(super) fn lose(&self, lost: Lost) {
        {
            let mut known = self.known();
            if known.ended || known.lost.is_some() {
                return;
            }
            known.lost = Some(lost.clone());
        }
        self.changed.notify_all();
        self.say_to_all(&News::Lost(lost.clone()));
        for stream in &self.data {
            let _ = stream.shutdown(Shutdown::Both);
        }
        thread::sleep(GRACE);
        if !self.known().ended {
            let error = Error::from(lost);
            let text = format!("error: {error}");
            terminal::error(
                &text,
                [serde_json::Map::from_iter([("message".to_owned(), error.to_string().into())])],
            );
            // What is to be done at an exit may wait for a device that waits for the lost rank.
            drop(thread::Builder::new().spawn(|| {
                thread::sleep(GRACE);
                std::process::abort();
            }));
            std::process::exit(i32::from(error.exit_code()));
        }
    }

    /// This rank has failed, and nobody else need wait for it.
    pub(super) fn fail(&self, error: &Error) {
        let mut known = self.known();
        if known.ended || known.lost.is_some() {
            return;
        }
        known.ended = true;
        drop(known);
        let lost = Lost { rank: self.rank, host: self.hosts[self.rank].clone(), words: error.to_string() };
        self.say_to_all(&News::Lost(lost));
    }

    /// All is done.
    pub(super) fn bye(&self) {
        self.say_to_all(&News::Bye);
        self.end();
    }

    fn end(&self) {
        self.known().ended = true;
        self.changed.notify_all();
    }

    /// What this rank does.
    pub(super) fn does(&self, doing: String) {
        self.known().doing[self.rank] = doing;
    }

    /// Why data do not come: the rank that is lost, or, where none is said to be, what the connection says.
    pub(super) fn why(&self, error: std::io::Error) -> Error {
        let deadline = Instant::now() + Duration::from_secs(3);
        let mut known = self.known();
        while known.lost.is_none() && Instant::now() < deadline {
            known = self.wait(known, deadline);
        }
        match &known.lost {
            Some(lost) => lost.clone().into(),
            None => Error::Unusable(format!("the ranks do not hear each other any more: {error}")),
        }
    }

    fn wait<'a>(&self, known: MutexGuard<'a, Known>, until: Instant) -> MutexGuard<'a, Known> {
        let left = until.saturating_duration_since(Instant::now());
        self.changed.wait_timeout(known, left).unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    /// This rank has come to the end of its `n`th stage. Rank 0 waits for the others; who has failed, for rank 0.
    ///
    /// # Errors
    /// Another rank's failure, where this one has none; `RankLost` where only this one has failed.
    pub(super) fn end_of_stage(&self, n: u64, problem: Option<String>) -> Result<(), Error> {
        let failed = problem.is_some();
        self.known().ends[self.rank] = Some((n, problem.clone()));
        if self.rank != 0 {
            self.say(0, &News::End { n, problem });
            let mut known = self.known();
            // Until then the others may be in the middle of what this one has left.
            while failed && known.together <= n && known.lost.is_none() && !known.ended {
                known = self.wait(known, Instant::now() + BEAT);
            }
            return known.lost.clone().map_or(Ok(()), |lost| Err(lost.into()));
        }
        let deadline = failed.then(|| Instant::now() + SAME_END);
        let mut known = self.known();
        loop {
            if let Some(lost) = &known.lost {
                return Err(lost.clone().into());
            }
            let came = |end: &Option<(u64, Option<String>)>| end.as_ref().is_some_and(|(m, _)| *m >= n);
            if known.ends.iter().all(came) {
                break;
            }
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                drop(known);
                let (host, words) = (self.hosts[0].clone(), problem.unwrap_or_default());
                let lost = Lost { rank: 0, host, words };
                self.say_to_all(&News::Lost(lost));
                self.end();
                return Ok(());
            }
            known = self.wait(known, Instant::now() + BEAT);
        }
        known.together = n + 1;
        drop(known);
        self.say_to_all(&News::Together { n });
        let known = self.known();
        let others = known.ends.iter().enumerate().skip(1);
        let mut problems = others.filter_map(|(rank, end)| Some((rank, end.as_ref()?.1.clone()?)));
        match problems.next() {
            Some((rank, words)) if !failed => {
                Err(Error::RankLost { rank, host: self.hosts[rank].clone(), words })
            }
            _ => Ok(()),
        }
    }
}
