//! One request, in a thread of its own: who waits for it can stop, however long a server is silent.

use std::{
    ffi::OsStr,
    io::{self, Read},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use ureq::{
    Agent, Body,
    http::{
        HeaderMap, Method, Response, StatusCode,
        header::{
            ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE,
            LOCATION, RANGE,
        },
    },
};

use super::{credentials::Target, trouble::Trouble};
use crate::Error;

/// No published network or dataset is larger.
pub(super) const LARGEST: u64 = 256 << 30;
const BLOCK: usize = 256 << 10;
/// Blocks that wait for the disk.
const AHEAD: usize = 8;
const REDIRECTS: usize = 10;
const CONNECT: Duration = Duration::from_secs(30);
/// Times the patience of who listens, after which the thread ends by itself: who listens gives up first, and says why.
const LONGER: u32 = 2;

/// What is asked for.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) target: Target,
    /// The first byte, of the version with this entity tag; the whole file where that is another one by now.
    pub(super) from: Option<(u64, String)>,
    pub(super) patience: Duration,
}

/// What is heard, in this order: a head, blocks, the end.
pub(super) enum Heard {
    Head(Head),
    Block(Vec<u8>),
    End,
}

/// What an answer says of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The place of the first byte that comes.
    pub(super) first: u64,
    /// Bytes of the whole file, where that is known.
    pub(super) bytes: Option<u64>,
    pub(super) etag: Option<String>,
}

impl Request {
    /// Sends it. The thread ends once nobody listens, or the server is silent for much longer than its patience.
    ///
    /// # Errors
    /// `Unusable` where there is no thread to be had.
    pub(super) fn send(self) -> Result<Receiver<Result<Heard, Trouble>>, Error> {
        let (to, heard) = sync_channel(AHEAD);
        let run = move || {
            if let Err(trouble) = self.run(&to) {
                let _ = to.send(Err(trouble));
            }
        };
        let thread = thread::Builder::new().name("download".to_owned()).spawn(run);
        thread.map_err(|error| Error::Unusable(format!("cannot start a thread: {error}")))?;
        Ok(heard)
    }

    fn run(self, to: &SyncSender<Result<Heard, Trouble>>) -> Result<(), Trouble> {
        let asked_from = self.from.as_ref().map(|(from, _)| *from);
        let ending = Path::new(self.target.uri.path()).extension().map(OsStr::to_ascii_lowercase);
        let is_gz = ending.is_some_and(|ending| ending == "gz" || ending == "tgz");
        let method = self.method.clone();
        let response = self.answer()?;
        let (encoded, head) = head(response.status(), response.headers(), asked_from, is_gz)?;
        if to.send(Ok(Heard::Head(head))).is_err() || method == Method::HEAD {
            return Ok(());
        }
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut body: Box<dyn Read> =
            if encoded { Box::new(MultiGzDecoder::new(body)) } else { Box::new(body) };
        loop {
            let mut block = vec![0; BLOCK];
            let n = match body.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| Trouble::passing(format!("the answer breaks off: {error}")))?,
            };
            block.truncate(n);
            let heard = if n == 0 { Heard::End } else { Heard::Block(block) };
            if to.send(Ok(heard)).is_err() || n == 0 {
                return Ok(());
            }
        }
    }

    /// The answer at the end of all redirects.
    fn answer(self) -> Result<Response<Body>, Trouble> {
        let silent = self.patience * LONGER;
        let agent: Agent = Agent::config_builder()
            .user_agent(concat!("sida/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT.min(silent)))
            .timeout_recv_response(Some(silent))
            .timeout_per_read(Some(silent))
            .build()
            .into();
        let mut target = self.target;
        for _ in 0..REDIRECTS {
            let mut request = ureq::http::Request::builder()
                .method(self.method.clone())
                .uri(target.uri.clone())
                .header(ACCEPT_ENCODING, "identity");
            if let Some(authorization) = &target.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            if let Some((from, etag)) = &self.from {
                request = request.header(RANGE, format!("bytes={from}-")).header(IF_RANGE, etag);
            }
            let request = request.body(()).map_err(|error| Trouble::lasting(error.to_string()))?;
            let response = agent.run(request).map_err(|error| Trouble::of(&error))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let Some(to) = text(response.headers(), &LOCATION) else { return Ok(response) };
            target = target.moved(&to)?;
        }
        Err(Trouble::lasting(format!("it has moved more than {REDIRECTS} times, perhaps in a circle")))
    }
}

/// What an answer says, and whether its body is packed by gzip on its way. It was asked for the bytes from `asked` on.
fn head(
    status: StatusCode,
    headers: &HeaderMap,
    asked: Option<u64>,
    is_gz: bool,
) -> Result<(bool, Head), Trouble> {
    let encoding = text(headers, &CONTENT_ENCODING).unwrap_or_default().to_ascii_lowercase();
    let encoded = match encoding.trim() {
        "" | "identity" => false,
        // Some servers say this of files that are gzip themselves.
        "gzip" | "x-gzip" => !is_gz,
        other => {
            return Err(Trouble::lasting(format!("it comes packed by `{other}`, which was not asked for")));
        }
    };
    let length = text(headers, &CONTENT_LENGTH).map(|length| match length.trim().parse::<u64>() {
        Ok(length) => Ok(length),
        Err(_) => Err(Trouble::lasting(format!("the server says that it has `{length}` bytes"))),
    });
    let length = length.transpose()?;
    let (first, bytes) = match (status, asked) {
        (StatusCode::OK, _) => (0, length),
        (StatusCode::PARTIAL_CONTENT, Some(_)) => {
            let range = text(headers, &CONTENT_RANGE).and_then(|range| content_range(&range));
            range.ok_or_else(|| Trouble::unfit("the server sends a part, and does not say which"))?
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
            return Err(Trouble::unfit("the server has fewer bytes than came before"));
        }
        _ => return Err(Trouble::status(status, headers)),
    };
    if let Some(bytes) = bytes.filter(|bytes| *bytes > LARGEST) {
        return Err(Trouble::lasting(format!(
            "the server says that it has {bytes} bytes, more than the {LARGEST} of the largest file that is downloaded"
        )));
    }
    if encoded {
        // Its length and its ranges are those of the packed bytes.
        let whole = Head { first: 0, bytes: None, etag: None };
        return if first == 0 { Ok((true, whole)) } else { Err(Trouble::unfit("a part comes packed")) };
    }
    Ok((false, Head { first, bytes, etag: text(headers, &ETAG) }))
}

/// `bytes 5-9/10`: the first byte, and the bytes of the whole file (RFC 9110, 14.4).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, whole) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let whole = if whole == "*" { None } else { Some(whole.trim().parse().ok()?) };
    (first <= last && whole.is_none_or(|whole| last < whole)).then_some((first, whole))
}

fn text(headers: &HeaderMap, name: &ureq::http::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_where_it_belongs() {
        for (text, range) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 0-0/*", Some((0, None))),
            ("bytes 9-5/10", None),
            ("bytes 5-10/10", None),
            ("bytes */10", None),
            ("5-9/10", None),
            ("bytes -5/10", None),
        ] {
            assert_eq!(content_range(text), range, "{text}");
        }
    }
}
