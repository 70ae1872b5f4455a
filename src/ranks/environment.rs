//! `Environment`: what `torchrun`, `srun` and `mpirun` say to the processes that they start.

use super::place::{Place, Start, drawn};
use crate::{Error, Result};

/// The variables of a process.
pub(super) struct Environment<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    /// What started this process, by what is there: `torchrun` may itself have been started by `srun`.
    pub(super) fn start(&self) -> Result<Option<Start>> {
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

    pub(super) fn torchrun(&self) -> Result<Place> {
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

    pub(super) fn slurm(&self) -> Result<Place> {
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

    pub(super) fn open_mpi(&self) -> Result<Place> {
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
