//! Who is at the other end of a connection: both sides prove that they know the run and its secret, without saying it.

use std::{
    io::{self, ErrorKind},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::wire::{receive, receive_json, send};

/// A stranger is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a connection begins with.
const GREETING: &[u8] = b"sida ranks 1";
/// More than any answer in a handshake.
const LONGEST: usize = 64 << 10;

/// What a rank says of itself, and what has to be alike on all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// Its number.
    pub(super) rank: usize,
    /// How many it believes there are.
    pub(super) ranks: usize,
    /// Its machine.
    pub(super) host: String,
    /// Its process.
    pub(super) pid: u32,
    /// What has to be alike: what it is, and its value or a hash of it.
    pub(super) alike: Vec<(String, String)>,
}

/// What ranks of one run know: a key.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Of a run, and of its secret, which may be empty.
    pub(super) fn new(run: &str, secret: &str) -> Self {
        Self(blake3::derive_key("sida ranks of one run", format!("{run}\n{secret}").as_bytes()))
    }

    fn proof(&self, side: &str, nonces: [&[u8]; 2]) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(side.as_bytes());
        for nonce in nonces {
            hasher.update(nonce);
        }
        hasher.finalize().as_bytes().to_vec()
    }

    /// Proves that this side knows the key, and that the other one does. Of both sides one has `called`.
    pub(super) fn shake(&self, stream: &TcpStream, called: bool) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let own = unguessable();
        send(stream, GREETING)?;
        send(stream, &own)?;
        if receive(stream, GREETING.len())? != GREETING {
            return Err(io::Error::new(ErrorKind::InvalidData, "no rank of this version of sida"));
        }
        let other = receive(stream, 64)?;
        let nonces: [&[u8]; 2] = if called { [&own, &other] } else { [&other, &own] };
        let sides = if called { ["called", "answered"] } else { ["answered", "called"] };
        send(stream, &self.proof(sides[0], nonces))?;
        let proof = receive(stream, 64)?;
        // Hashes of blake3 compare in constant time.
        let expected = self.proof(sides[1], nonces);
        let [expected, proof] =
            [expected, proof].map(|proof| <[u8; 32]>::try_from(proof).map(blake3::Hash::from));
        match (expected, proof) {
            (Ok(expected), Ok(proof)) if expected == proof => Ok(()),
            _ => Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "it knows another secret, or is of another run",
            )),
        }
    }
}

/// Bytes that nobody guesses and that do not come again.
pub fn unguessable() -> [u8; 32] {
    // The system seeds the first; the others follow from it and from the clock.
    use std::hash::{BuildHasher as _, RandomState};
    let mut hasher = blake3::Hasher::new();
    for _ in 0..4 {
        hasher.update(&RandomState::new().hash_one(Instant::now()).to_le_bytes());
    }
    hasher.update(format!("{} {:?}", std::process::id(), Instant::now()).as_bytes());
    *hasher.finalize().as_bytes()
}

/// Hears something in the handshake.
pub(super) fn hear<T: serde::de::DeserializeOwned>(stream: &TcpStream) -> io::Result<T> {
    receive_json(stream, LONGEST)
}

/// Waits for as long as it takes from now on.
pub(super) fn without_limit(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)
}

/// Waits for answers as in a handshake.
pub(super) fn patient(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))
}
