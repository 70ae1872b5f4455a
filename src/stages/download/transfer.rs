//! `Transfer`: a file from an address, in as many attempts as that takes and as make sense.

use std::{
    io::Write,
    sync::mpsc::RecvTimeoutError,
    thread::sleep,
    time::{Duration, Instant},
};

use ureq::http::Method;

use super::{
    credentials::Target,
    part::{Part, Version},
    request::{Head, Heard, LARGEST, Request},
    trouble::{Again, Trouble, pause},
    web::Web,
};
use crate::{Error, Result, stages::progress::Progress, stop::Stop};

/// Attempts in a row that bring nothing new.
const ATTEMPTS: u32 = 5;
/// Fewer bytes than these are no progress, unless they are the last.
const LEAST: u64 = 64 << 10;
/// How soon a stop is noticed.
const TICK: Duration = Duration::from_millis(50);

/// A file on its way.
pub(super) struct Transfer<'a> {
    /// Where it is asked for.
    pub(super) address: &'a str,
    pub(super) web: &'a Web,
    pub(super) stop: &'a Stop,
    /// Makes a text that can be shown of one about the address.
    pub(super) hide: &'a dyn Fn(&str) -> String,
}

/// How an attempt ended.
type Attempt = Result<std::result::Result<(), Trouble>>;

impl Transfer<'_> {
    /// Brings all of it into `part`.
    ///
    /// # Errors
    /// `Interrupted`; `Io` of the disk; in words that can be shown, what the last attempt met.
    pub(super) fn run(
        &self,
        part: &mut Part,
        progress: &mut Progress,
    ) -> Result<std::result::Result<(), String>> {
        let mut farthest = part.len();
        let mut fruitless = 0;
        loop {
            let Err(trouble) = self.attempt(part, progress)? else { return Ok(Ok(())) };
            if part.len() >= farthest + LEAST {
                farthest = part.len();
                fruitless = 0;
            }
            fruitless += 1;
            let said = (self.hide)(&trouble.said);
            let least = match trouble.again {
                Again::Never => return Ok(Err(said)),
                Again::After(least) => least,
                Again::Anew => {
                    part.discard()?;
                    None
                }
            };
            if fruitless >= ATTEMPTS {
                return Ok(Err(format!("{said}; {ATTEMPTS} attempts brought nothing more")));
            }
            let wait = pause(self.web.pause, fruitless, fastrand::f64()).max(least.unwrap_or_default());
            progress.say(&format!("  {said}; asks again in {:.1} s", wait.as_secs_f64()));
            let began = Instant::now();
            while began.elapsed() < wait {
                self.go_on(part)?;
                sleep(TICK.min(wait));
            }
        }
    }

    /// Bytes that the server says the file has.
    ///
    /// # Errors
    /// `Interrupted`.
    pub(super) fn size(&self) -> Result<Option<u64>> {
        for method in [Method::HEAD, Method::GET] {
            let Ok(request) = self.request(method, None) else { return Ok(None) };
            let heard = request.send()?;
            let began = Instant::now();
            loop {
                if self.stop.requested() {
                    return Err(Error::Interrupted);
                }
                match heard.recv_timeout(TICK) {
                    // Who is silent now will not say it when asked in another way.
                    Err(RecvTimeoutError::Timeout) if began.elapsed() > self.web.patience => return Ok(None),
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(Ok(Heard::Head(head))) if head.bytes.is_some() => return Ok(head.bytes),
                    _ => break,
                }
            }
        }
        Ok(None)
    }

    fn request(&self, method: Method, from: Option<(u64, String)>) -> std::result::Result<Request, Trouble> {
        Ok(Request { method, target: Target::of(self.address)?, from, patience: self.web.patience })
    }

    fn attempt(&self, part: &mut Part, progress: &mut Progress) -> Attempt {
        if part.version().is_some_and(|version| version.bytes == part.len()) {
            return Ok(Ok(()));
        }
        let from = part.version().map(|version| (part.len(), version.etag.clone()));
        let request = match self.request(Method::GET, from) {
            Ok(request) => request,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let heard = request.send()?;
        let mut file = None;
        let (mut done, mut bytes) = (part.len(), None);
        // When there was progress last, and how much was there then.
        let mut last = (Instant::now(), done);
        loop {
            self.go_on(part)?;
            if last.0.elapsed() > self.web.patience {
                let seconds = self.web.patience.as_secs_f64();
                return Ok(Err(Trouble::passing(format!(
                    "the server sends next to nothing for {seconds} s"
                ))));
            }
            match heard.recv_timeout(TICK) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Err(Trouble::passing("the answer breaks off")));
                }
                Ok(Err(trouble)) => {
                    return Ok(Err(Self::counted(trouble, file.as_ref().map(|_| done), bytes)));
                }
                Ok(Ok(Heard::Head(head))) => {
                    if !fits(part, &head) {
                        return Ok(Err(Trouble::unfit("another part came than the one that was asked for")));
                    }
                    file = Some(if head.first == 0 {
                        part.begin(Version::of(self.address, head.etag.as_deref(), head.bytes))?
                    } else {
                        part.go_on()?
                    });
                    (done, bytes, last) = (head.first, head.bytes, (Instant::now(), head.first));
                    progress.from(done, bytes.unwrap_or(0));
                }
                Ok(Ok(Heard::Block(block))) => {
                    let Some(file) = &mut file else {
                        return Ok(Err(Trouble::passing("an answer without a head")));
                    };
                    file.write_all(&block).map_err(Error::io("write", &part.path))?;
                    done += block.len() as u64;
                    if done > bytes.unwrap_or(LARGEST) {
                        return Ok(Err(Trouble::unfit("more bytes came than the file has")));
                    }
                    if done >= last.1 + LEAST {
                        last = (Instant::now(), done);
                    }
                    progress.at(done, &[]);
                }
                Ok(Ok(Heard::End)) => {
                    let whole = bytes.is_none_or(|bytes| bytes == done);
                    let cut = Trouble::passing("the connection ended");
                    return Ok(if whole { Ok(()) } else { Err(Self::counted(cut, Some(done), bytes)) });
                }
            }
        }
    }

    /// With how far it came.
    fn counted(mut trouble: Trouble, done: Option<u64>, bytes: Option<u64>) -> Trouble {
        if let Some(done) = done {
            let of = bytes.map(|bytes| format!(" of {bytes}")).unwrap_or_default();
            trouble.said = format!("{}, after {done}{of} bytes", trouble.said);
        }
        trouble
    }

    /// Whether a stop was asked for; what nobody can go on with is removed then.
    fn go_on(&self, part: &mut Part) -> Result<()> {
        if self.stop.requested() {
            if part.version().is_none() {
                part.discard()?;
            }
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

/// Whether what comes joins what is there.
fn fits(part: &Part, head: &Head) -> bool {
    let Some(version) = part.version().filter(|_| head.first > 0) else { return head.first == 0 };
    head.first == part.len()
        && head.bytes.is_none_or(|bytes| bytes == version.bytes)
        && head.etag.as_ref().is_none_or(|etag| *etag == version.etag)
}
