//! Ranks are connected each with each.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    handshake::hear,
    meeting::{At, LINGER, Meeting},
    wire::send_json,
};
use crate::{Error, Result};

impl Meeting<'_> {
    /// Calls the lower ranks, and hears the higher ones.
    pub(super) fn connect(
        &self,
        rank: usize,
        waiting: &TcpListener,
        at: &[At],
        first: IpAddr,
    ) -> Result<Vec<Option<TcpStream>>> {
        let mut data: Vec<Option<TcpStream>> = at.iter().map(|_| None).collect();
        for (lower, at) in at.iter().enumerate().take(rank) {
            let address = SocketAddr::new(at.address.unwrap_or(first), at.port);
            let called = || {
                let stream = TcpStream::connect_timeout(&address, Duration::from_secs(20))?;
                self.key.shake(&stream, true)?;
                send_json(&stream, &rank)?;
                Ok::<_, std::io::Error>(stream)
            };
            let failed = |error| {
                Error::Unusable(format!("rank {rank} cannot reach rank {lower} at {address}: {error}"))
            };
            data[lower] = Some(called().map_err(failed)?);
        }
        let _ = waiting.set_nonblocking(true);
        while let Some(missing) = (rank + 1..at.len()).find(|higher| data[*higher].is_none()) {
            match waiting.accept() {
                Ok((stream, _)) => {
                    let _ = stream.set_nonblocking(false);
                    if self.key.shake(&stream, false).is_ok()
                        && let Ok(higher) = hear::<usize>(&stream)
                        && higher > rank
                        && higher < at.len()
                    {
                        data[higher] = Some(stream);
                    }
                }
                Err(_) if self.stops() => return Err(Error::Interrupted),
                Err(_) if Instant::now() > self.deadline + LINGER => {
                    return Err(self.too_late(&format!("rank {missing} did not reach rank {rank}")));
                }
                Err(_) => sleep(Duration::from_millis(5)),
            }
        }
        Ok(data)
    }
}
