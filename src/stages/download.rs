//! Files that a pipeline names: found on this machine, or downloaded once into the cache.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{context::Context, progress::Progress, world};
use crate::{
    Error, Result,
    formats::AtomicFile,
    location::{Location, Place, Url},
};

/// No published network or dataset is larger.
const LARGEST: u64 = 256 << 30;
const BLOCK: usize = 1 << 20;

/// The file that a location means; an address is downloaded unless the cache has it. With `sha256` the contents
/// are compared.
///
/// # Errors
/// The file is absent, the download fails, or the contents are not those that were asked for.
pub(super) fn fetch(context: &Context<'_>, location: &Location, sha256: Option<&str>) -> Result<PathBuf> {
    let path = match location.resolve()? {
        Place::Url(url) => {
            let path = cached(context.cache, &url);
            if !path.exists() {
                download(context, &url, &path)?;
            }
            path
        }
        Place::Path(path) => world::locate(&path, context.search).ok_or_else(|| absent(path))?,
    };
    if let Some(wanted) = sha256 {
        let found = sha256_of(&path)?;
        if found != wanted {
            let problem = format!("its SHA-256 is {found}, but the pipeline asks for {wanted}");
            return Err(Error::bad_file(path, "copy of the wanted file", problem));
        }
    }
    Ok(path)
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

fn download(context: &Context<'_>, url: &Url, path: &Path) -> Result<()> {
    fs::create_dir_all(context.cache).map_err(Error::io("create the folder", context.cache))?;
    let failed = |problem: String| Error::Download { url: url.to_string(), problem: url.hide_in(&problem) };
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
    let mut progress = Progress::new(context.name.as_str(), "bytes", 0, length.unwrap_or(0));
    progress.say(&format!("  {}: downloading {url}", context.name));
    let mut block = vec![0; BLOCK];
    let mut done = 0u64;
    loop {
        if context.stop.requested() {
            return Err(Error::Interrupted);
        }
        let n = body.read(&mut block).map_err(|e| failed(e.to_string()))?;
        if n == 0 {
            break;
        }
        file.write_all(&block[..n]).map_err(Error::io("write", path))?;
        done += n as u64;
        progress.at(done, "");
    }
    progress.finish();
    if let Some(length) = length.filter(|length| *length != done) {
        return Err(failed(format!("the connection ended after {done} of {length} bytes")));
    }
    file.commit()
}

fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        let n = file.read(&mut block).map_err(Error::io("read", path))?;
        if n == 0 {
            break;
        }
        hasher.update(&block[..n]);
    }
    let hex = |mut text: String, byte: &u8| {
        let _ = write!(text, "{byte:02x}");
        text
    };
    Ok(hasher.finalize().iter().fold(String::new(), hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_name_stays_in_the_cache_and_says_what_it_is() {
        let cached = |url: &str| match Location::new(url).resolve().unwrap() {
            Place::Url(url) => cached(Path::new("/cache"), &url),
            Place::Path(path) => path,
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

    #[test]
    fn sha256_is_the_published_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let truth = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(&path).unwrap(), truth);
    }
}
