//! Where the cache keeps what came from an address, and how much room it has.

use std::path::{Path, PathBuf};

use crate::location::Url;

/// Where the cache keeps an address: the hash keeps two files of one name apart, and credentials do not matter.
pub fn cached(cache: &Path, url: &Url) -> PathBuf {
    let url = url.public();
    let hash = blake3::hash(url.as_bytes()).to_hex();
    let name = url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    // Readers go by the ending, which stands before a revision.
    let name = name.split('@').next().unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: Vec<char> = name.chars().map(safe).collect();
    // File systems take 255 bytes, of which other things need some.
    let name: String = name[name.len().saturating_sub(180)..].iter().collect();
    cache.join(format!("{}-{name}", &hash[..12]))
}

/// Bytes that may be written to the disk on which a folder is, or will be; `None` where the system does not say.
pub fn free(folder: &Path) -> Option<u64> {
    let absolute = std::path::absolute(folder).ok()?;
    free_on(absolute.ancestors().find(|folder| folder.is_dir())?)
}

#[cfg(unix)]
fn free_on(disk: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(disk).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

#[cfg(not(unix))]
fn free_on(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::{Location, Resolved};

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
        let revision = |at: &str| cached(&format!("hf://org/repo/a/net.pkl@{at}"));
        assert_ne!(revision("v1"), revision("v2"));
        assert!(revision("v1.0").to_str().unwrap().ends_with("-net.pkl"));
        let long = cached(&format!("https://example.org/{}.pkl", "x".repeat(500)));
        assert!(long.file_name().unwrap().len() < 200 && long.extension().unwrap() == "pkl");
    }
}
