//! The ranks meet: each calls rank 0, which looks whether all are there and fit together, and tells them where the others are.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    handshake::{Claim, Key, hear, patient},
    place::Place,
    wire::send_json,
};
use crate::{Error, Result};

/// How long to wait before calling again.
const AGAIN: Duration = Duration::from_millis(50);
/// After a refusal, ranks that are late are told of it for so long.
pub(super) const LINGER: Duration = Duration::from_secs(3);

/// What a rank says when it calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Call {
    claim: Claim,
    /// Where it waits for other ranks.
    port: u16,
}

/// What rank 0 answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Answer {
    Welcome { at: Vec<At>, hosts: Vec<String> },
    Refused(String),
    Stopped,
}

/// Where a rank waits for others.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct At {
    /// As rank 0 sees it; `None` for those of its own machine, which are where it is.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

/// What a rank knows after the meeting.
pub(super) struct Met {
    /// The news connections: rank 0 has one with each other rank, which has this one alone.
    pub(super) news: Vec<Option<TcpStream>>,
    /// A connection with each other rank.
    pub(super) data: Vec<Option<TcpStream>>,
    /// The machines, by rank.
    pub(super) hosts: Vec<String>,
}

/// A meeting that all ranks take part in until a deadline.
pub(super) struct Meeting<'a> {
    place: &'a Place,
    pub(super) key: Key,
    pub(super) deadline: Instant,
    patience: Duration,
    bind: Vec<IpAddr>,
    stop: &'a AtomicBool,
}

impl<'a> Meeting<'a> {
    /// Of ranks that wait for each other for so long, or until one is asked to stop. Without a secret nobody of another
    /// machine is listened to.
    ///
    /// # Errors
    /// `Usage` where ranks of several machines have no secret.
    pub(super) fn new(
        place: &'a Place,
        secret: &str,
        patience: Duration,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let one_machine = place.is_one_machine();
        if secret.is_empty() && !one_machine {
            return Err(Error::Usage(
                "the ranks may be on several machines, and nothing keeps strangers out: set `SIDA_SECRET` to the same \
                 long random text for all of them"
                    .to_owned(),
            ));
        }
        let bind = if one_machine {
            vec![Ipv4Addr::LOCALHOST.into()]
        } else {
            vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()]
        };
        let key = Key::new(&place.run, secret);
        Ok(Self { place, key, deadline: Instant::now() + patience, patience, bind, stop })
    }

    /// Meets.
    ///
    /// # Errors
    /// `Usage` on every rank where they do not fit together; `Unusable` where not all of them come; `Interrupted`.
    pub(super) fn hold(&self, claim: &Claim) -> Result<Met> {
        let waiting =
            self.listen(0).map_err(|error| Error::Unusable(format!("cannot listen for ranks: {error}")))?;
        let port = waiting.local_addr().map_or(0, |address| address.port());
        let (news, answer, first) =
            if claim.rank == 0 { self.host(claim, port)? } else { self.call(claim, port)? };
        let Answer::Welcome { at, hosts } = answer else { unreachable!("refusals are errors") };
        let data = self.connect(claim.rank, &waiting, &at, first)?;
        Ok(Met { news, data, hosts })
    }

    fn listen(&self, port: u16) -> std::io::Result<TcpListener> {
        let addresses: Vec<SocketAddr> = self.bind.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        TcpListener::bind(&addresses[..])
    }

    pub(super) fn too_late(&self, problem: &str) -> Error {
        let seconds = self.patience.as_secs();
        Error::Unusable(format!("{problem} within {seconds} s: {}", self.place.start.advice()))
    }

    // ------------------------------------------------------------------ rank 0

    fn host(&self, own: &Claim, port: u16) -> Result<(Vec<Option<TcpStream>>, Answer, IpAddr)> {
        let listener = self.place.ports.iter().find_map(|port| self.listen(*port).ok()).ok_or_else(|| {
            Error::Unusable(format!("rank 0 cannot listen at any of the ports {:?}", self.place.ports))
        })?;
        let mut calls: Vec<Option<(TcpStream, Call)>> = (0..own.ranks).map(|_| None).collect();
        let mut refusal = None;
        self.answer(&listener, |stream, call| {
            refusal = refused(own, &call.claim)
                .or_else(|| Some(twice(calls.get(call.claim.rank)?.as_ref()?, &call)));
            if refusal.is_none() {
                let rank = call.claim.rank;
                calls[rank] = Some((stream, call));
            } else {
                calls.push(Some((stream, call)));
            }
            refusal.is_none() && calls[1..].iter().any(Option::is_none)
        });
        if refusal.is_none() {
            let missing: Vec<String> = calls
                .iter()
                .enumerate()
                .skip(1)
                .filter(|(_, call)| call.is_none())
                .map(|(r, _)| r.to_string())
                .collect();
            refusal = (!missing.is_empty()).then(|| {
                let (s, of) = (if missing.len() == 1 { "" } else { "s" }, own.ranks);
                self.too_late(&format!("rank{s} {} of {of} did not come", missing.join(", ")))
            });
        }
        let streams: Vec<&TcpStream> = calls.iter().flatten().map(|(stream, _)| stream).collect();
        if self.stops() {
            streams.iter().for_each(|stream| drop(send_json(stream, &Answer::Stopped)));
            return Err(Error::Interrupted);
        }
        if let Some(error) = refusal {
            let answer = Answer::Refused(error.to_string());
            streams.iter().for_each(|stream| drop(send_json(stream, &answer)));
            self.refuse_the_late(&listener, &answer);
            return Err(error);
        }
        let at = |call: &Option<(TcpStream, Call)>| match call {
            None => At { address: None, port },
            Some((stream, call)) => {
                let address = stream.peer_addr().ok().map(|address| address.ip().to_canonical());
                At { address: address.filter(|address| !address.is_loopback()), port: call.port }
            }
        };
        let host = |call: &Option<(TcpStream, Call)>| match call {
            None => own.host.clone(),
            Some((_, call)) => call.claim.host.clone(),
        };
        let answer =
            Answer::Welcome { at: calls.iter().map(at).collect(), hosts: calls.iter().map(host).collect() };
        for stream in streams {
            send_json(stream, &answer)
                .map_err(|error| Error::Unusable(format!("a rank has gone away: {error}")))?;
        }
        let news = calls.into_iter().map(|call| call.map(|(stream, _)| stream)).collect();
        Ok((news, answer, Ipv4Addr::LOCALHOST.into()))
    }

    /// Hears all who call and know the key, until `more` has enough or the time is over.
    fn answer(&self, listener: &TcpListener, mut more: impl FnMut(TcpStream, Call) -> bool) {
        let (sender, calls) = channel();
        let _ = listener.set_nonblocking(true);
        while Instant::now() < self.deadline && !self.stops() {
            match listener.accept() {
                Ok((stream, _)) => self.hear_out(stream, sender.clone()),
                Err(_) => sleep(Duration::from_millis(5)),
            }
            while let Ok((stream, call)) = calls.try_recv() {
                if !more(stream, call) {
                    return;
                }
            }
        }
    }

    /// Whether this rank was asked to stop.
    pub(super) fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A stranger who says nothing keeps nobody else waiting.
    fn hear_out(&self, stream: TcpStream, calls: Sender<(TcpStream, Call)>) {
        let key = self.key.clone();
        let hear = move || {
            let _ = stream.set_nonblocking(false);
            if key.shake(&stream, false).is_ok()
                && let Ok(call) = hear::<Call>(&stream)
            {
                let _ = calls.send((stream, call));
            }
        };
        drop(thread::Builder::new().name("meeting".to_owned()).spawn(hear));
    }

    fn refuse_the_late(&self, listener: &TcpListener, answer: &Answer) {
        let late = Self {
            deadline: Instant::now() + LINGER.min(self.patience),
            bind: Vec::new(),
            key: self.key.clone(),
            ..*self
        };
        late.answer(listener, |stream, _| {
            drop(send_json(&stream, answer));
            true
        });
    }

    // ------------------------------------------------------------------ other ranks

    fn call(&self, claim: &Claim, port: u16) -> Result<(Vec<Option<TcpStream>>, Answer, IpAddr)> {
        let mut last = String::new();
        loop {
            for address in self.addresses() {
                match self.try_call(address, claim, port) {
                    Ok((_, Answer::Refused(problem))) => return Err(Error::Usage(problem)),
                    Ok((_, Answer::Stopped)) => return Err(Error::Interrupted),
                    Ok((stream, answer)) => {
                        let mut news: Vec<Option<TcpStream>> = (0..claim.ranks).map(|_| None).collect();
                        news[0] = Some(stream);
                        return Ok((news, answer, address.ip()));
                    }
                    // Nobody is there yet, or somebody else.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                    Err(error) => last = format!(" ({address}: {error})"),
                }
            }
            if self.stops() {
                return Err(Error::Interrupted);
            }
            if Instant::now() >= self.deadline {
                let Place { host, ports, .. } = self.place;
                return Err(
                    self.too_late(&format!("rank 0 was not found at `{host}`, ports {ports:?}{last},"))
                );
            }
            sleep(AGAIN);
        }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let host = if self.place.is_one_machine() { "127.0.0.1" } else { &self.place.host };
        let resolved = self.place.ports.iter().filter_map(|port| (host, *port).to_socket_addrs().ok());
        resolved.flatten().collect()
    }

    fn try_call(
        &self,
        address: SocketAddr,
        claim: &Claim,
        port: u16,
    ) -> std::io::Result<(TcpStream, Answer)> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        self.key.shake(&stream, true)?;
        send_json(&stream, &Call { claim: claim.clone(), port })?;
        // Rank 0 answers when all are there, or when it has waited long enough.
        stream.set_read_timeout(Some(AGAIN))?;
        while Instant::now() < self.deadline + LINGER && !self.stops() {
            match stream.peek(&mut [0]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => break,
            }
        }
        patient(&stream)?;
        let answer = if self.stops() { Answer::Stopped } else { hear(&stream)? };
        Ok((stream, answer))
    }
}

/// Why a rank does not fit to rank 0.
fn refused(own: &Claim, other: &Claim) -> Option<Error> {
    let Claim { rank, host, .. } = other;
    let refuse = |problem: String| Some(Error::Usage(problem));
    if other.ranks != own.ranks {
        let [a, b] = [own.ranks, other.ranks];
        return refuse(format!("rank 0 is one of {a} ranks, and rank {rank} on `{host}` one of {b}"));
    }
    if *rank == 0 {
        return refuse(format!("two processes are rank 0: one on `{}`, and one on `{host}`", own.host));
    }
    for (what, value) in &own.alike {
        let found = other.alike.iter().find(|(name, _)| name == what).map_or("none", |(_, found)| found);
        if found != value {
            return refuse(format!(
                "the ranks differ in {what}: rank 0 has {value}, rank {rank} on `{host}` {found}"
            ));
        }
    }
    None
}

fn twice((_, first): &(TcpStream, Call), second: &Call) -> Error {
    let [a, b] = [first, second].map(|call| format!("process {} on `{}`", call.claim.pid, call.claim.host));
    Error::Usage(format!("two processes are rank {}: {a}, and {b}", second.claim.rank))
}
