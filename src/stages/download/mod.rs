//! Files that a pipeline names: found on this machine, or downloaded once into the cache.

mod cache;
mod credentials;
mod judge;
mod mirror;
mod offline;
mod part;
mod request;
mod transfer;
mod trouble;
mod wanted;
mod web;

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

pub use self::{
    cache::{cached, free},
    mirror::Mirrors,
    offline::{Missing, missing, none_missing},
    wanted::Wanted,
    web::Web,
};
use self::{part::Part, transfer::Transfer};
use super::{
    addresses::Addresses,
    progress::{BYTES, Progress},
    stage::Stage,
    world,
};
use crate::{
    Error, Result,
    checkpoint::{Asked, Lease, Watch},
    formats::sha256,
    location::{Resolved, Url},
    secret,
    stop::Stop,
    terminal,
};

/// How soon it is seen that another process has brought a file.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where files come from, and where they go.
#[derive(Debug)]
pub struct Downloads<'a> {
    /// Who reads them, in progress.
    pub name: &'a str,
    /// Folder for downloads.
    pub cache: &'a Path,
    /// What came before.
    pub addresses: &'a Addresses,
    /// Where relative paths are looked for.
    pub search: &'a [PathBuf],
    /// What of the network may be used.
    pub web: &'a Web,
    /// Whether to stop.
    pub stop: &'a Stop,
}

impl Downloads<'_> {
    /// Downloads what a stage reads from addresses and the cache does not have: the stage's key depends on what comes. Says
    /// whether anything that keys depend on is another than it was known to be.
    ///
    /// # Errors
    /// As `fetch`.
    pub fn fetch_all(&self, stage: &dyn Stage) -> Result<bool> {
        let mut any = false;
        for wanted in stage.wanted() {
            if let Resolved::Url(url) = wanted.location.resolve()? {
                let before = self.addresses.sha256(&url);
                self.of_address(&url, &wanted)?;
                any |= wanted.field.is_some() && self.addresses.sha256(&url) != before;
            }
        }
        Ok(any)
    }

    /// The file that is wanted; an address is downloaded unless the cache has it.
    ///
    /// # Errors
    /// The file is absent, the download fails, or what came twice is not what it has to be; `Interrupted`.
    pub fn fetch(&self, wanted: &Wanted<'_>) -> Result<PathBuf> {
        let path = match wanted.location.resolve()? {
            Resolved::Url(url) => return self.of_address(&url, wanted),
            Resolved::Path(path) => world::locate(&path, self.search).ok_or_else(|| absent(path))?,
        };
        if let Some(asked) = wanted.sha256 {
            let found = sha256::of_file(&path)?;
            if found != asked {
                let problem = format!("its SHA-256 is {found}, but the pipeline asks for {asked}");
                return Err(Error::bad_file(path, "copy of the wanted file", problem));
            }
        }
        Ok(path)
    }

    /// Bytes that the server of an address says its file has; `None` where it does not say.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn size(&self, url: &Url) -> Result<Option<u64>> {
        self.transfer(&self.web.mirrors.apply(url.address()), &|said| url.hide_in(said)).size()
    }

    fn of_address(&self, url: &Url, wanted: &Wanted<'_>) -> Result<PathBuf> {
        let path = cached(self.cache, url);
        if self.has(&path, url, wanted)? {
            return Ok(path);
        }
        if self.web.offline {
            return none_missing(&[Missing::new(self.name, url)], self.cache).map(|()| path);
        }
        let folder = self.cache.join(part::FOLDER);
        fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
        let _lease = self.lease(&path, url)?;
        if self.has(&path, url, wanted)? {
            return Ok(path);
        }
        part::clean(self.cache);
        let Err(refused) = self.bring(&path, url, wanted)? else { return Ok(path) };
        tracing::warn!("{}: what came from {url} is removed and fetched once more: {refused}", self.name);
        let Err(refused) = self.bring(&path, url, wanted)? else { return Ok(path) };
        let advice = wanted::advice(url);
        let place = terminal::path(&path);
        Err(failed(url, format!("what came twice is refused, and `{place}` is not kept: {refused}{advice}")))
    }

    /// Whether the cache has the file. What was changed since it came, or came in another way, is judged as if it came now.
    fn has(&self, path: &Path, url: &Url, wanted: &Wanted<'_>) -> Result<bool> {
        if !path.is_file() {
            return Ok(false);
        }
        let content = match self.addresses.content_of(url, path) {
            Some(content) => self.expect(url, wanted, &content).map(|()| content),
            None => self.judge(path, path, url, wanted)?,
        };
        match content {
            Ok(content) => self.addresses.note(url, &content, path).map(|()| true),
            Err(refused) if self.web.offline => Err(failed(
                url,
                format!("its copy in the cache, `{}`, is refused: {refused}", terminal::path(path)),
            )),
            Err(refused) => {
                tracing::warn!("{}: `{}` is removed: {refused}", self.name, terminal::path(path));
                fs::remove_file(path).map_err(Error::io("remove", path)).map(|()| false)
            }
        }
    }

    /// Downloads the file, and says why it is refused if it is.
    fn bring(&self, path: &Path, url: &Url, wanted: &Wanted<'_>) -> Result<std::result::Result<(), String>> {
        let address = self.web.mirrors.apply(url.address());
        let mut part = Part::open(path, &address)?;
        let mut progress = Progress::new(self.name, BYTES, part.len(), 0);
        progress.say(&format!("  {}: downloading {url}", self.name));
        let hide = |said: &str| {
            let said = url.hide_in(said);
            if url.address() == address {
                return said;
            }
            format!("its mirror `{}`: {said}", secret::masked(&address))
        };
        let brought = self.transfer(&address, &hide).run(&mut part, &mut progress)?;
        progress.finish();
        if let Err(problem) = brought {
            if part.version().is_none() {
                part.discard()?;
            }
            return Err(failed(url, problem));
        }
        match self.judge(&part.path, path, url, wanted)? {
            Ok(content) => {
                part.finish(path)?;
                self.addresses.note(url, &content, path).map(Ok)
            }
            Err(refused) => part.discard().map(|()| Err(refused)),
        }
    }

    fn transfer<'a>(&'a self, address: &'a str, hide: &'a dyn Fn(&str) -> String) -> Transfer<'a> {
        Transfer { address, web: self.web, stop: self.stop, hide }
    }

    /// Waits until nobody else downloads the file.
    fn lease(&self, path: &Path, url: &Url) -> Result<Lease> {
        let (lease, mut watch, mut said) = (part::lease(path), Watch::default(), false);
        loop {
            if self.stop.requested() {
                return Err(Error::Interrupted);
            }
            match Lease::ask(&lease, &mut watch)? {
                Asked::Held(lease) => return Ok(lease),
                Asked::Busy(holder) if !said => {
                    terminal::note(&format!("  {}: waits for {url}, which {holder} downloads", self.name));
                    said = true;
                }
                Asked::Busy(_) => {}
            }
            sleep(LOOK_AGAIN);
        }
    }
}

fn failed(url: &Url, problem: String) -> Error {
    Error::Download { url: url.to_string(), problem }
}

fn absent(path: PathBuf) -> Error {
    let where_else = if path.is_absolute() {
        ""
    } else {
        ", neither from the working directory nor from the pipeline file's folder upwards"
    };
    let what = format!("there is no such file or folder{where_else}");
    Error::Io { action: "read", path, source: io::Error::new(io::ErrorKind::NotFound, what) }
}
