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
    ranks::{PATIENCE, Place, Ranks, unguessable},
    stop::Stop,
};

const SECRET: &str = "SIDA_SECRET";
/// Ranks that are done have so long to end.
const FAREWELL: Duration = Duration::from_secs(10);

/// This process among those that work on a run together, and those that it starts itself.
#[derive(Debug)]
pub(super) struct Crew {
    /// `None` where it is alone.
    place: Option<Place>,
    secret: String,
    /// What those that are to be started find in their environment; `None` where somebody else starts them.
    environment: Option<Vec<(&'static str, String)>>,
    children: Vec<Child>,
}

impl Crew {
    /// Of the environment, or of what `--ranks` asks for. To be called while this process has one thread.
    ///
    /// # Errors
    /// `Usage` where both say something.
    pub(super) fn new(asked: Option<u32>) -> Result<Self> {
        let place = Place::given()?;
        if let (Some(place), Some(_)) = (&place, asked) {
            let Place { rank, ranks, .. } = place;
            return Err(Error::Usage(format!(
                "this process was started as rank {rank} of {ranks}: leave `--ranks` out, which starts processes itself"
            )));
        }
        let secret = env::var(SECRET).unwrap_or_default();
        let mut crew = Self { place, secret, environment: None, children: Vec::new() };
        if let Some(ranks) = asked.filter(|ranks| *ranks > 1) {
            crew.take_place(ranks)?;
        }
        if let Some(place) = &crew.place {
            kernels::meet_at(&place.collectives());
        }
        Ok(crew)
    }

    /// Takes the first place among the ranks that this process will start. They find in their environment what `torchrun`
    /// would say.
    fn take_place(&mut self, ranks: u32) -> Result<()> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.map_err(|error| cannot("listen for ranks", error))?.port();
        let letters = || blake3::Hash::from(unguessable()).to_hex().to_string();
        if self.secret.is_empty() {
            self.secret = letters();
        }
        let environment = vec![
            ("WORLD_SIZE", ranks.to_string()),
            ("LOCAL_WORLD_SIZE", ranks.to_string()),
            ("MASTER_ADDR", "127.0.0.1".to_owned()),
            ("MASTER_PORT", port.to_string()),
            ("TORCHELASTIC_RUN_ID", letters()),
        ];
        let own = |name: &str| match name {
            "RANK" | "LOCAL_RANK" => Some("0".to_owned()),
            _ => environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()),
        };
        self.place = Place::of(&own)?;
        self.environment = Some(environment);
        Ok(())
    }

    /// Whether this process writes what is shared.
    pub(super) fn is_first(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.rank == 0)
    }

    /// The number of this process' device among those of its machine; `None` where it is alone.
    pub(super) fn local_rank(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.local_rank)
    }

    /// Threads of this process, where it works on the CPU: ranks of one machine divide its processors.
    pub(super) fn threads(&self) -> Option<usize> {
        let here = self.place.as_ref()?.local_ranks.unwrap_or(1);
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
        let Some(place) = self.place.clone() else { return Ok(Ranks::alone()) };
        source.shared_by(settings, parsed, place.ranks, stages)?;
        if let Some(environment) = self.environment.take() {
            device::enough(asked, place.ranks)?;
            self.start(place.ranks, &environment)?;
        }
        let alike = [
            ("the version of sida", env!("CARGO_PKG_VERSION").to_owned()),
            ("the file's stages, their values or the seed", said(parsed)),
            ("`--device`", asked.to_owned()),
        ];
        Ranks::meet(&place, &alike, &self.secret, PATIENCE, stop.flag())
    }

    /// Starts the other ranks: this program again, with its own words.
    fn start(&mut self, ranks: usize, environment: &[(&'static str, String)]) -> Result<()> {
        let program =
            env::current_exe().map_err(|error| cannot("find this program to start ranks", error))?;
        for rank in 1..ranks {
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
    }
}
