//! `Place`: which of the ranks a process is, and where they meet.

use std::env;

use super::environment::Environment;
use crate::{Error, Result};

/// Ports that nobody is known for; the one that ranks meet at is drawn from them where nobody names one.
const PORTS: std::ops::Range<u16> = 21_000..29_000;

/// What started the ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// `torchrun`, and all that set the same variables: Kubeflow's `PyTorchJob`, `SkyPilot`, dstack; and `--ranks`.
    Torchrun,
    /// `srun`.
    Slurm,
    /// `mpirun` of Open MPI.
    OpenMpi,
}

/// A process' place among the ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
    /// Its number among those of its machine: that of its device.
    pub local_rank: usize,
    /// How many its machine has, where that is known.
    pub local_ranks: Option<usize>,
    /// The machine of rank 0, by name or address.
    pub host: String,
    /// Where rank 0 listens: the first of these that is free. `torchrun` itself may listen at the port that it names.
    pub ports: Vec<u16>,
    /// What tells these ranks from those of other runs, and of the same run before it was started again.
    pub run: String,
    /// What started them.
    pub start: Start,
}

impl Place {
    /// The place that this process' environment gives it.
    ///
    /// # Errors
    /// As `of`.
    pub fn given() -> Result<Option<Self>> {
        Self::of(&|name| env::var(name).ok())
    }

    /// The place that an environment gives; `None` where a process is alone.
    ///
    /// # Errors
    /// `Usage` where the environment contradicts itself.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let environment = Environment { variable };
        let place = match environment.start()? {
            None => return Ok(None),
            Some(Start::Torchrun) => environment.torchrun()?,
            Some(Start::Slurm) => environment.slurm()?,
            Some(Start::OpenMpi) => environment.open_mpi()?,
        };
        if place.rank >= place.ranks {
            let [rank, ranks, _] = place.start.variables();
            return Err(Error::Usage(format!(
                "`{rank}` is {}, but `{ranks}` is {}: ranks count from 0",
                place.rank, place.ranks
            )));
        }
        Ok((place.ranks > 1).then_some(place))
    }

    /// `host:port` at which what adds up on GPUs can meet: the same on all ranks, and another one when they are started again.
    pub fn collectives(&self) -> String {
        let host = if self.is_one_machine() { "127.0.0.1" } else { &self.host };
        let port = drawn(&format!("{} collectives", self.run)).next().unwrap_or(PORTS.start);
        format!("{host}:{port}")
    }

    /// Whether all ranks are known to be of one machine.
    pub fn is_one_machine(&self) -> bool {
        self.local_ranks == Some(self.ranks)
            || matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1")
    }
}

impl Start {
    /// The variables that say rank, number of ranks, and rank within the machine.
    pub(super) fn variables(self) -> [&'static str; 3] {
        match self {
            Self::Torchrun => ["RANK", "WORLD_SIZE", "LOCAL_RANK"],
            Self::Slurm => ["SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"],
            Self::OpenMpi => ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"],
        }
    }

    /// What a user is told who waits for ranks that do not come.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Torchrun => "are all of them running, and can they reach that address?",
            Self::Slurm => "was it started by `srun`, which starts all tasks?",
            Self::OpenMpi => "did `mpirun` start all of them, and can they reach that address?",
        }
    }
}

/// A few ports that all ranks of a run draw alike.
pub(super) fn drawn(run: &str) -> impl Iterator<Item = u16> {
    let hash = blake3::hash(run.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    let first = u32::from_le_bytes([a, b, c, d]) % u32::from(PORTS.end - PORTS.start);
    (0..4).map(move |i| PORTS.start + ((first + 1009 * i) % u32::from(PORTS.end - PORTS.start)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Place::of(&find)
    }

    const TORCHRUN: [(&str, &str); 5] = [
        ("RANK", "3"),
        ("WORLD_SIZE", "4"),
        ("LOCAL_RANK", "1"),
        ("MASTER_ADDR", "a"),
        ("MASTER_PORT", "29500"),
    ];

    #[test]
    fn torchrun_comes_first() {
        assert_eq!(place(&[]).unwrap(), None);
        let of_slurm = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2"), ("SLURM_JOB_NODELIST", "n1")];
        let found = place(&[&TORCHRUN[..], &of_slurm].concat()).unwrap().unwrap();
        assert_eq!((found.rank, found.ranks, found.local_rank, &*found.host), (3, 4, 1, "a"));
        assert_eq!((found.ports[0], found.start, found.is_one_machine()), (29_500, Start::Torchrun, false));
        let again =
            place(&[&TORCHRUN[..], &[("TORCHELASTIC_RESTART_COUNT", "1")]].concat()).unwrap().unwrap();
        assert_ne!(found.run, again.run, "those of before may still be dying");
        assert_eq!(found.ports, again.ports);
        assert_ne!(found.collectives(), again.collectives());
        assert!(found.collectives().starts_with("a:"));
        assert_eq!(
            place(&[("RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "1")]).unwrap(),
            None
        );
    }

    #[test]
    fn slurm_names_its_first_host() {
        let of = |list| {
            let all = [
                ("SLURM_PROCID", "1"),
                ("SLURM_NTASKS", "8"),
                ("SLURM_LOCALID", "1"),
                ("SLURM_JOB_NODELIST", list),
            ];
            place(&all).unwrap().unwrap().host
        };
        let lists = ["gpu[03-07,9],login2", "node-1", "a,b", "r[1-2]n3,x", "n[10,12-14]"];
        assert_eq!(lists.map(of), ["gpu03", "node-1", "a", "r1n3", "n10"]);
    }

    #[test]
    fn mpirun_on_one_machine_needs_no_address() {
        let one = [
            ("OMPI_COMM_WORLD_RANK", "0"),
            ("OMPI_COMM_WORLD_SIZE", "2"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "0"),
        ];
        let found = place(&[&one[..], &[("OMPI_COMM_WORLD_LOCAL_SIZE", "2")]].concat()).unwrap().unwrap();
        assert!(found.is_one_machine() && found.ports.iter().all(|port| PORTS.contains(port)));
        let error = place(&[&one[..], &[("OMPI_COMM_WORLD_LOCAL_SIZE", "1")]].concat()).unwrap_err();
        assert!(error.to_string().contains("mpirun -x MASTER_ADDR"), "{error}");
    }

    #[test]
    fn what_contradicts_itself_is_said() {
        let with = |name: &'static str, value: &'static str| {
            let mut all = TORCHRUN.to_vec();
            all.retain(|(key, _)| *key != name);
            if !value.is_empty() {
                all.push((name, value));
            }
            let error = place(&all).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        };
        assert!(with("RANK", "4").contains("`RANK` is 4, but `WORLD_SIZE` is 4"));
        assert!(with("RANK", "").contains("only one is set"));
        assert!(with("RANK", "-1").contains("`RANK` is `-1`"));
        assert!(with("WORLD_SIZE", "0").contains("`WORLD_SIZE` is 0"));
        assert!(with("MASTER_ADDR", "").contains("`MASTER_ADDR` is not"));
        assert!(with("MASTER_PORT", "many").contains("no port"));
    }
}
