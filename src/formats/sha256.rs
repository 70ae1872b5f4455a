//! SHA-256 of files and texts, in hexadecimal, as publishers give it.

use std::{io::Read, path::Path};

use sha2::{Digest, Sha256};

use super::small_file::regular_file;
use crate::{Error, Result};

const BLOCK: usize = 1 << 20;

/// Of a file.
///
/// # Errors
/// `Io`.
pub fn of_file(path: &Path) -> Result<String> {
    let mut file = regular_file(path).map_err(|why| why.about(path, "file"))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block).map_err(Error::io("read", path))? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&block[..n]),
        }
    }
}

/// Of bytes in memory.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(hash: &[u8]) -> String {
    hash.iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_published_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let truth = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_file(&path).unwrap(), truth);
        assert_eq!(of_bytes(b"abc"), truth);
    }
}
