//! Messages over a connection: a length, and so many bytes.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
};

use serde::{Serialize, de::DeserializeOwned};

/// The longest message of words. Tensors have no length of their own: both sides know it.
pub(super) const LONGEST: usize = 1 << 31;

/// Sends a message.
pub(super) fn send(mut to: &TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    // In one piece: a small one goes at once.
    if message.len() < 1024 {
        return to.write_all(&[&length.to_le_bytes(), message].concat());
    }
    to.write_all(&length.to_le_bytes())?;
    to.write_all(message)
}

/// The next message, of at most so many bytes.
pub(super) fn receive(mut from: &TcpStream, longest: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > longest {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            format!("a message of {length} bytes, where at most {longest} are sent"),
        ));
    }
    // A length is somebody's word: memory is taken as the bytes come.
    let mut message = Vec::new();
    from.take(length as u64).read_to_end(&mut message)?;
    if message.len() < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

/// Sends data as JSON.
pub(super) fn send_json(to: &TcpStream, data: &impl Serialize) -> io::Result<()> {
    send(to, &serde_json::to_vec(data).map_err(io::Error::from)?)
}

/// Receives data as JSON.
pub(super) fn receive_json<T: DeserializeOwned>(from: &TcpStream, longest: usize) -> io::Result<T> {
    serde_json::from_slice(&receive(from, longest)?).map_err(io::Error::from)
}
