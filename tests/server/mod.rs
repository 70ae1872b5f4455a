//! A server on loopback that answers as a test says.
#![expect(unreachable_pub, clippy::unwrap_used, reason = "part of a test, which may fail and has no outside")]
#![allow(
    dead_code,
    reason = "each test file uses its part; whether anything is left over depends on the file"
)]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first byte that is wanted.
    pub fn from(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        range.map_or(0, |from| from.parse().unwrap())
    }
}

/// What the server does, in order; then it closes the connection.
#[derive(Clone, Debug)]
pub enum Does {
    Says(Vec<u8>),
    Waits(Duration),
}

/// An answer with this status, these headers and this body.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Does> {
    let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    vec![Does::Says([head.as_bytes(), body].concat())]
}

/// All of a file, with its length.
pub fn whole(body: &[u8], headers: &[(&str, &str)]) -> Vec<Does> {
    let length = body.len().to_string();
    answer("200 OK", &[headers, &[("Content-Length", &length)]].concat(), body)
}

/// A part of a file from `first` on.
pub fn part(body: &[u8], first: usize, headers: &[(&str, &str)]) -> Vec<Does> {
    let (length, all) = (body.len() - first, body.len());
    let (length, range) = (length.to_string(), format!("bytes {first}-{}/{all}", all - 1));
    let own = [("Content-Length", length.as_str()), ("Content-Range", range.as_str())];
    answer("206 Partial Content", &[headers, &own].concat(), &body[first..])
}

/// The server.
pub struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// `says` gets the number of the request, from 1 on, among those of its path and method.
    pub fn new(says: impl Fn(usize, &Asked) -> Vec<Does> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let (heard, says) = (Arc::clone(&server.heard), Arc::new(says));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, says) = (Arc::clone(&heard), Arc::clone(&says));
                thread::spawn(move || {
                    let Some(asked) = read(&stream) else { return };
                    let number = {
                        let mut heard = heard.lock().unwrap();
                        heard.push(asked.clone());
                        let same = |other: &&Asked| other.path == asked.path && other.method == asked.method;
                        heard.iter().filter(same).count()
                    };
                    act(stream, &says(number, &asked), asked.method == "HEAD");
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// All that was asked, of whatever method.
    pub fn heard(&self) -> Vec<Asked> {
        self.heard.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Asked { method, path, headers })
}

fn act(mut stream: TcpStream, all: &[Does], only_head: bool) {
    for does in all {
        match does {
            Does::Says(bytes) => {
                let head =
                    bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
                let bytes = if only_head { &bytes[..head] } else { bytes };
                // Who asked may be gone.
                if stream.write_all(bytes).and_then(|()| stream.flush()).is_err() {
                    return;
                }
            }
            Does::Waits(time) => thread::sleep(*time),
        }
    }
}
