//! `Place`: which of the ranks a process is, and where they meet, as what started it says in its environment.

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
    /// The place that the environment gives; `None` where a process is alone.
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
    fn variables(self) -> [&'static str; 3] {
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

struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    /// What started this process, by what is there: `torchrun` may itself have been started by `srun`.
    fn start(&self) -> Result<Option<Start>> {
        for start in [Start::Torchrun, Start::Slurm, Start::OpenMpi] {
            let [rank, ranks, _] = start.variables();
            match [rank, ranks].map(|name| self.text(name).is_some()) {
                [true, true] => return Ok(Some(start)),
                // Slurm sets some of its variables in every job.
                [true, false] | [false, true] if start == Start::Torchrun => {
                    return Err(Error::Usage(format!(
                        "of `{rank}` and `{ranks}` only one is set: set both, or none"
                    )));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn torchrun(&self) -> Result<Place> {
        let needs = |name: &str| {
            self.text(name).ok_or_else(|| {
                Error::Usage(format!(
                    "`RANK` and `WORLD_SIZE` are set, but `{name}` is not: where do the ranks meet?"
                ))
            })
        };
        let (host, port) = (needs("MASTER_ADDR")?, needs("MASTER_PORT")?);
        let port = port_of(&port)?;
        let id = self.text("TORCHELASTIC_RUN_ID").unwrap_or_default();
        let again = self.text("TORCHELASTIC_RESTART_COUNT").unwrap_or_default();
        let run = format!("{id} {port} {again}");
        let ports = [port].into_iter().chain(drawn(&format!("{id} {port}"))).collect();
        Ok(Place {
            host,
            ports,
            local_ranks: self.optional("LOCAL_WORLD_SIZE")?,
            ..self.numbers(Start::Torchrun, run)?
        })
    }

    fn slurm(&self) -> Result<Place> {
        let nodes = self.text("SLURM_JOB_NODELIST").or_else(|| self.text("SLURM_NODELIST"));
        let host = self.text("MASTER_ADDR").or_else(|| nodes.as_deref().and_then(first_host));
        let host = host.ok_or_else(|| {
            Error::Usage(
                "`SLURM_PROCID` is set, but `SLURM_JOB_NODELIST` names no host: set `MASTER_ADDR`".to_owned(),
            )
        })?;
        let number = |name: &str| self.text(name).unwrap_or_default();
        let (job, step) = (number("SLURM_JOB_ID"), number("SLURM_STEP_ID"));
        let again = number("SLURM_RESTART_COUNT");
        let place = self.numbers(Start::Slurm, format!("{job} {step} {again}"))?;
        let one_node = ["SLURM_STEP_NUM_NODES", "SLURM_NNODES", "SLURM_JOB_NUM_NODES"];
        let nodes = one_node.iter().find_map(|name| self.text(name));
        let local_ranks = nodes.filter(|nodes| nodes == "1").map(|_| place.ranks);
        Ok(Place { host, local_ranks, ports: self.ports(&format!("{job} {step}"))?, ..place })
    }

    fn open_mpi(&self) -> Result<Place> {
        let job = ["PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"].iter().find_map(|name| self.text(name));
        let job = job.unwrap_or_default();
        let place = self.numbers(Start::OpenMpi, job.clone())?;
        let local_ranks = self.optional("OMPI_COMM_WORLD_LOCAL_SIZE")?;
        let alone = local_ranks == Some(place.ranks);
        let host = self.text("MASTER_ADDR").or_else(|| alone.then(|| "127.0.0.1".to_owned()));
        let host = host.ok_or_else(|| {
            Error::Usage(
                "the ranks are on several machines, and nothing says which has rank 0: `mpirun -x MASTER_ADDR=HOST`"
                    .to_owned(),
            )
        })?;
        Ok(Place { host, local_ranks, ports: self.ports(&job)?, ..place })
    }

    /// A place with what all of them have in common.
    fn numbers(&self, start: Start, run: String) -> Result<Place> {
        let [rank, ranks, local_rank] = start.variables().map(|name| self.number(name));
        // Of a single process on its machine nobody may say so.
        let local_rank = if self.text(start.variables()[2]).is_some() { local_rank? } else { 0 };
        let (rank, ranks) = (rank?, ranks?);
        if ranks == 0 {
            return Err(Error::Usage(format!("`{}` is 0", start.variables()[1])));
        }
        Ok(Place {
            rank,
            ranks,
            local_rank,
            local_ranks: None,
            host: String::new(),
            ports: Vec::new(),
            run,
            start,
        })
    }

    fn ports(&self, run: &str) -> Result<Vec<u16>> {
        let named = self.text("MASTER_PORT").map(|port| port_of(&port)).transpose()?;
        Ok(named.into_iter().chain(drawn(run)).collect())
    }

    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Result<usize> {
        let text = self.text(name).unwrap_or_default();
        text.parse().map_err(|_| Error::Usage(format!("`{name}` is `{text}`, which is no number from 0 on")))
    }

    fn optional(&self, name: &str) -> Result<Option<usize>> {
        self.text(name).map(|_| self.number(name)).transpose()
    }
}

fn port_of(text: &str) -> Result<u16> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| Error::Usage(format!("`MASTER_PORT` is `{text}`, which is no port")))
}

/// A few ports that all ranks of a run draw alike.
fn drawn(run: &str) -> impl Iterator<Item = u16> {
    let hash = blake3::hash(run.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    let first = u32::from_le_bytes([a, b, c, d]) % u32::from(PORTS.end - PORTS.start);
    (0..4).map(move |i| PORTS.start + ((first + 1009 * i) % u32::from(PORTS.end - PORTS.start)) as u16)
}

/// The first host of a list such as `gpu[03-07,9],login2` or `node-1`.
fn first_host(list: &str) -> Option<String> {
    let end = list.find(['[', ',']).unwrap_or(list.len());
    let (name, rest) = list.split_at(end);
    let Some(numbers) = rest.strip_prefix('[') else {
        return Some(name.to_owned()).filter(|name| !name.is_empty());
    };
    let (numbers, after) = numbers.split_once(']')?;
    let first = numbers.split([',', '-']).next()?;
    let suffix = after.split(',').next().unwrap_or_default();
    Some(format!("{name}{first}{suffix}"))
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
