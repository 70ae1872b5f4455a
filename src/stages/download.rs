//! Files that a pipeline names: found on this machine, or downloaded once into the cache.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{addresses::Addresses, progress::Progress, stage::Stage, world};
use crate::{
    Error, Result,
    checkpoint::atomic,
    formats::{AtomicFile, sha256},
    location::{Location, Resolved, Url},
    stage_name::StageName,
    stop::Stop,
};

/// No published network or dataset is larger.
const LARGEST: u64 = 256 << 30;
const BLOCK: usize = 1 << 20;

/// Where files come from, and where they go.
#[derive(Debug)]
pub struct Downloads<'a> {
    /// The stage that reads them.
    pub name: &'a StageName,
    /// Folder for downloads.
    pub cache: &'a Path,
    /// What came before.
    pub addresses: &'a Addresses,
    /// Where relative paths are looked for.
    pub search: &'a [PathBuf],
    /// Whether to stop.
    pub stop: &'a Stop,
}

impl Downloads<'_> {
    /// Downloads what a stage reads from addresses that nothing came from yet, or whose file the cache has no more: the
    /// stage's key depends on what comes. Says whether there was anything new.
    ///
    /// # Errors
    /// As `fetch`.
    pub fn fetch_unknown(&self, stage: &dyn Stage) -> Result<bool> {
        let mut any = false;
        for (_, location) in stage.locations() {
            if let Resolved::Url(url) = location.resolve()? {
                let before = self.addresses.sha256(&url);
                if before.is_none() || !cached(self.cache, &url).exists() {
                    self.fetch(location, None)?;
                    any |= self.addresses.sha256(&url) != before;
                }
            }
        }
        Ok(any)
    }

    /// The file that a location means; an address is downloaded unless the cache has it. With `sha256` the contents
    /// are compared.
    ///
    /// # Errors
    /// The file is absent, the download fails, or the contents are not those that were asked for, or that came before.
    pub(super) fn fetch(&self, location: &Location, sha256: Option<&str>) -> Result<PathBuf> {
        let (path, found) = match location.resolve()? {
            Resolved::Url(url) => {
                let path = cached(self.cache, &url);
                let is_new = !path.exists();
                if is_new {
                    self.download(&url, &path)?;
                }
                let mut found = self.addresses.sha256(&url);
                if is_new || found.is_none() {
                    let sha256 = sha256::of_file(&path)?;
                    self.addresses.note(&url, &sha256)?;
                    found = Some(sha256);
                }
                (path, found)
            }
            Resolved::Path(path) => (world::locate(&path, self.search).ok_or_else(|| absent(path))?, None),
        };
        if let Some(wanted) = sha256 {
            let found = found.map_or_else(|| sha256::of_file(&path), Ok)?;
            if found != wanted {
                let problem = format!("its SHA-256 is {found}, but the pipeline asks for {wanted}");
                return Err(Error::bad_file(path, "copy of the wanted file", problem));
            }
        }
        Ok(path)
    }

    fn download(&self, url: &Url, path: &Path) -> Result<()> {
        fs::create_dir_all(self.cache).map_err(Error::io("create the folder", self.cache))?;
        atomic::remove_leftovers_of_the_dead(self.cache);
        let failed =
            |problem: String| Error::Download { url: url.to_string(), problem: url.hide_in(&problem) };
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_mins(1)))
            .build()
            .into();
        let response = agent.get(url.address()).call().map_err(|e| failed(e.to_string()))?;
        let length = response
            .headers()
            .get("content-length")
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
            .filter(|length| *length <= LARGEST);
        let mut body = response.into_body().into_with_config().limit(LARGEST).reader();
        let mut file = AtomicFile::create(path)?;
        let mut progress = Progress::new(self.name.as_str(), "bytes", 0, length.unwrap_or(0));
        progress.say(&format!("  {}: downloading {url}", self.name));
        let mut block = vec![0; BLOCK];
        let mut done = 0u64;
        loop {
            if self.stop.requested() {
                return Err(Error::Interrupted);
            }
            let n = body.read(&mut block).map_err(|e| failed(e.to_string()))?;
            if n == 0 {
                break;
            }
            file.write_all(&block[..n]).map_err(Error::io("write", path))?;
            done += n as u64;
            progress.at(done, &[]);
        }
        progress.finish();
        if let Some(length) = length.filter(|length| *length != done) {
            return Err(failed(format!("the connection ended after {done} of {length} bytes")));
        }
        file.commit()
    }
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

/// Where the cache keeps an address: the hash keeps two files of one name apart, and credentials do not matter.
pub fn cached(cache: &Path, url: &Url) -> PathBuf {
    let url = url.public();
    let hash = blake3::hash(url.as_bytes()).to_hex();
    let name = url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    cache.join(format!("{}-{name}", &hash[..12]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_name_stays_in_the_cache_and_says_what_it_is() {
        let cached = |url: &str| match Location::new(url).resolve().unwrap() {
            Resolved::Url(url) => cached(Path::new("/cache"), &url),
            Resolved::Path(path) => path,
        };
        let path = cached("https://example.org/a/../b/net%20work.pkl?x=/../y");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(path.parent().unwrap(), Path::new("/cache"));
        assert!(name.ends_with("-net_20work.pkl"), "{name}");
        assert_ne!(path, cached("https://example.org/c/net%20work.pkl"));
        assert_ne!(path, cached("https://example.org/a/../b/net%20work.pkl?x=/../z"));
        let signed = |token: &str| cached(&format!("https://me:{token}@example.org/net.pkl?token={token}"));
        assert_eq!(signed("a"), signed("b"), "one file, whoever downloads it");
    }
}
