//! The ranks of a run: those that `torchrun`, `srun` or `mpirun` started, or those that `--ranks` starts.

use std::{
    env,
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread::{available_parallelism, sleep},
    time::{Duration, Instant},
};

use burn::tensor::Device;

use super::device;
use crate::{
    Error, Result,
    kernels::{self, Nccl, Seat},
    pipeline::{Asked, Parsed, Setting, Source},
    process,
    ranks::{Claim, PATIENCE, Place, Ranks},
    stages::Stop,
};

const SECRET: &str = "SIDA_SECRET";
/// Ranks that are done have so long to end.
const FAREWELL: Duration = Duration::from_secs(10);

/// What started this process, and what it started itself.
#[derive(Debug, Default)]
pub(super) struct Crew {
    place: Option<Place>,
    secret: String,
    /// Ranks that this process is to start.
    wanted: usize,
    children: Vec<Child>,
}

/// The place that the environment gives this process.
///
/// # Errors
/// `Usage` where it contradicts itself.
pub(super) fn place() -> Result<Option<Place>> {
    Place::of(&|name| env::var(name).ok())
}

impl Crew {
    /// Of the environment, and of what `--ranks` asks for.
    ///
    /// # Errors
    /// `Usage` where both say something.
    pub(super) fn new(asked: Option<u32>) -> Result<Self> {
        let place = place()?;
        if let (Some(place), Some(_)) = (&place, asked) {
            let Place { rank, ranks, .. } = place;
            return Err(Error::Usage(format!(
                "this process was started as rank {rank} of {ranks}: leave `--ranks` out, which starts processes itself"
            )));
        }
        let secret = env::var(SECRET).unwrap_or_default();
        Ok(Self { place, secret, wanted: asked.unwrap_or(1) as usize, children: Vec::new() })
    }

    /// How many there are, this one included.
    pub(super) fn count(&self) -> usize {
        self.place.as_ref().map_or(self.wanted, |place| place.ranks)
    }

    /// Whether this process writes what is shared.
    pub(super) fn is_first(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.rank == 0)
    }

    /// The number of this process' device among those of its machine; `None` where it is alone.
    pub(super) fn local_rank(&self) -> Option<usize> {
        let place = self.place.as_ref().map(|place| place.local_rank);
        place.or((self.wanted > 1).then_some(0))
    }

    /// Threads of this process, where it works on the CPU: ranks of one machine divide its processors.
    pub(super) fn threads(&self) -> Option<usize> {
        let here = self.place.as_ref().map_or(self.wanted, |place| place.local_ranks.unwrap_or(1));
        let is_said = env::var_os("RAYON_NUM_THREADS").is_some();
        let processors = available_parallelism().map_or(1, usize::from);
        (here > 1 && !is_said).then(|| (processors / here).max(1))
    }

    /// Meets the other ranks, once they are started.
    ///
    /// # Errors
    /// `Mistakes` for batches that they cannot share; `NoDevice` for more ranks than GPUs; see `Ranks::meet`.
    pub(super) fn meet(
        &mut self,
        source: &Source,
        settings: &[Setting],
        parsed: &Parsed,
        asked: &str,
        stop: &Stop,
        stages: Asked<'_>,
    ) -> Result<Ranks> {
        let ranks = self.count();
        if ranks == 1 {
            return Ok(Ranks::alone());
        }
        source.shared_by(settings, parsed, ranks, stages)?;
        let to_start = if self.place.is_none() { Some(self.take_place()?) } else { None };
        let place = self.place.clone().expect("given, or taken");
        // While this process has one thread.
        kernels::meet_at(&place.collectives());
        if let Some(environment) = to_start {
            device::enough(asked, self.wanted)?;
            self.start(&environment)?;
        }
        let alike = [
            ("the version of sida", env!("CARGO_PKG_VERSION").to_owned()),
            ("the file's stages, their values or the seed", said(parsed)),
            ("`--device`", asked.to_owned()),
        ];
        let claim = Claim {
            rank: place.rank,
            ranks,
            host: process::host(),
            pid: std::process::id(),
            alike: alike.map(|(what, value)| (what.to_owned(), value)).to_vec(),
        };
        let met = Ranks::meet(&place, &claim, &self.secret, PATIENCE, stop.flag())?;
        Ok(met)
    }

    /// Takes the first place among the ranks that this process starts: the environment of all of them, such as `torchrun`
    /// gives it.
    fn take_place(&mut self) -> Result<Vec<(&'static str, String)>> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.map_err(|error| cannot("listen for ranks", error))?.port();
        if self.secret.is_empty() {
            self.secret = fresh();
        }
        let environment = vec![
            ("WORLD_SIZE", self.wanted.to_string()),
            ("LOCAL_WORLD_SIZE", self.wanted.to_string()),
            ("MASTER_ADDR", "127.0.0.1".to_owned()),
            ("MASTER_PORT", port.to_string()),
            ("TORCHELASTIC_RUN_ID", fresh()),
        ];
        let own = |name: &str| match name {
            "RANK" | "LOCAL_RANK" => Some("0".to_owned()),
            _ => environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()),
        };
        self.place = Place::of(&own)?;
        Ok(environment)
    }

    /// Starts the other ranks: this program again, with its own words.
    fn start(&mut self, environment: &[(&'static str, String)]) -> Result<()> {
        let program =
            env::current_exe().map_err(|error| cannot("find this program to start ranks", error))?;
        for rank in 1..self.wanted {
            let mut command = Command::new(&program);
            command.args(without_ranks(env::args_os().skip(1))).env(SECRET, &self.secret);
            command.envs(environment.iter().map(|(name, value)| (name, value)));
            command.env("RANK", rank.to_string()).env("LOCAL_RANK", rank.to_string());
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
            self.children.push(child.map_err(|error| cannot("start a rank", error))?);
        }
        Ok(())
    }
}

impl Drop for Crew {
    /// Nobody is left behind.
    fn drop(&mut self) {
        let began = Instant::now();
        for child in &mut self.children {
            while began.elapsed() < FAREWELL && matches!(child.try_wait(), Ok(None)) {
                sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ranks compute on devices of one kind: others round differently, and their weights would drift apart.
///
/// # Errors
/// `Usage` on every rank where they do not; `RankLost`.
pub(super) fn same_kind(ranks: &Ranks, kind: &str) -> Result<()> {
    let all = ranks.gather(kind.as_bytes().to_vec())?;
    let differs = ranks.tell(|| {
        let other = all.iter().position(|other| *other != all[0])?;
        let [first, other_kind] =
            [&all[0], &all[other]].map(|kind| String::from_utf8_lossy(kind).into_owned());
        Some(format!(
            "the ranks compute on devices of different kinds: rank 0 on {first}, rank {other} on {other_kind}"
        ))
    })?;
    differs.map_or(Ok(()), |problem| {
        Err(Error::Usage(format!(
            "{problem}; their numbers would drift apart. Of processors, `SIDA_KERNELS` chooses the kind"
        )))
    })
}

/// The ranks' GPUs join each other, where NCCL is there for all of them.
///
/// # Errors
/// `Unusable` where they do not come together; `RankLost`.
pub(super) fn join(ranks: &Ranks, device: &Device) -> Result<()> {
    let Some(found) = (!ranks.are_one()).then(|| kernels::nccl(device)).flatten() else { return Ok(()) };
    let all = ranks.gather(vec![u8::from(matches!(found, Nccl::Found(_)))])?;
    match ranks.tell(|| all.iter().position(|found| *found != [1]))? {
        Some(rank) => {
            tracing::warn!(
                "rank {rank} finds no NCCL: gradients go through the hosts, which takes long; `sida doctor` says what to install"
            );
            Ok(())
        }
        None => {
            let seat = Seat { rank: ranks.rank(), ranks: ranks.count() };
            kernels::join(device, seat, PATIENCE).map_err(Error::Unusable)?;
            ranks.have_joined_devices();
            Ok(())
        }
    }
}

fn cannot(what: &str, error: std::io::Error) -> Error {
    Error::Unusable(format!("cannot {what}: {error}"))
}

/// The command line without `--ranks`.
fn without_ranks(words: impl Iterator<Item = std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    let mut kept = Vec::new();
    let mut words = words;
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--ranks") => drop(words.next()),
            Some(word) if word.starts_with("--ranks=") => {}
            _ => kept.push(word),
        }
    }
    kept
}

/// What a file says, in a few letters.
fn said(parsed: &Parsed) -> String {
    let values = match parsed {
        Parsed::Pipeline(pipeline) => serde_json::to_vec(pipeline),
        Parsed::Sweep(_, points) => {
            serde_json::to_vec(&points.iter().map(|point| &point.pipeline).collect::<Vec<_>>())
        }
    };
    blake3::hash(&values.unwrap_or_default()).to_hex()[..8].to_owned()
}

/// Letters that nobody guesses.
fn fresh() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let letters = || format!("{:016x}", RandomState::new().hash_one(Instant::now()));
    // The system seeds the first; the others follow from it and from the clock.
    blake3::hash(format!("{}{}{}", letters(), letters(), letters()).as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_started_with_the_same_words_but_one() {
        let kept = |words: &str| {
            let words = without_ranks(words.split(' ').map(Into::into));
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(kept("run a.yaml --ranks 2 --device cpu"), "run a.yaml --device cpu");
        assert_eq!(kept("run --ranks=2 a.yaml"), "run a.yaml");
        assert_ne!(fresh(), fresh());
    }
}
