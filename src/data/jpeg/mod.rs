//! JPEG, decoded to the same bytes as libjpeg-turbo: training data must not depend on who prepared them.
//!
//! Decoders differ in the inverse cosine transform, in how they enlarge the colour planes and in rounding, by up
//! to 10 of 255. This one follows libjpeg's default choices: the accurate integer transform ("islow"), "fancy"
//! triangular enlargement, 16-bit fixed-point colours. Baseline, extended and progressive Huffman files with 8 bits and one,
//! three or four components are read; other kinds are refused.
//!
//! The crate `libjpeg-turbo-rs` 0.9 (pure Rust, 72,000 lines) decodes every file of `tests/jpeg` to the same bytes and
//! refuses every truncated one. It is not used: strangers' files come here, `unsafe` stands throughout it, and its README
//! says that known memory errors are mended only after this release and gives no guarantee. Worth another look then.

mod bits;
mod canvas;
mod colour;
mod enlarge;
mod frame;
mod idct;
mod progressive;
mod scan;
mod segments;
mod sequential;
mod tables;

use frame::Frame;
use scan::Scan;
use segments::{Segment, Segments};
use tables::Tables;

use super::decode::{Decoded, Header, damaged};

/// Or a fragment that says why not, for the caller to put behind the file's name.
type Result<T> = std::result::Result<T, String>;

/// More scans than encoders write: each takes time, however little it holds.
const MOST_SCANS: usize = 500;

/// What the frame says.
pub(in crate::data) fn header(bytes: &[u8]) -> Result<Header> {
    frame(bytes).map(|frame| frame.header())
}

/// Decodes a JPEG file: gray, RGB, or four inks as RGB.
pub(in crate::data) fn decode(bytes: &[u8]) -> Result<Decoded> {
    let frame = frame(bytes)?;
    if frame.progressive { progressive::decode(bytes, &frame) } else { sequential::decode(bytes, &frame) }
}

fn frame(bytes: &[u8]) -> Result<Frame> {
    let mut segments = Segments::new(bytes)?;
    while let Some(segment) = segments.next_segment()? {
        if let Segment::Frame { kind, payload } = segment {
            return Frame::parse(kind, payload);
        }
    }
    Err(damaged("it has no image"))
}

/// Reads a file from its beginning to its end. `take` is given every scan with the data that follow, and says how many of them
/// it used.
fn read(
    bytes: &[u8],
    mut take: impl FnMut(&Scan, &[u8], &Frame, &Tables) -> Result<usize>,
) -> Result<(Frame, Tables)> {
    let mut segments = Segments::new(bytes)?;
    let mut tables = Tables::default();
    let mut frame: Option<Frame> = None;
    let mut scans = 0;
    while let Some(segment) = segments.next_segment()? {
        match segment {
            Segment::Frame { .. } if frame.is_some() => return Err(damaged("it has two frames")),
            Segment::Frame { kind, payload } => frame = Some(Frame::parse(kind, payload)?),
            Segment::Scan { payload } => {
                scans += 1;
                if scans > MOST_SCANS {
                    return Err(format!("has more than {MOST_SCANS} scans: save it anew"));
                }
                let frame = frame.as_mut().ok_or_else(|| damaged("data come before the frame"))?;
                let scan = Scan::parse(payload, frame, &tables)?;
                let used = take(&scan, segments.rest(), frame, &tables)?;
                segments.skip(used);
            }
            Segment::Other { marker, payload } => tables.read(marker, payload)?,
        }
    }
    let frame = frame.ok_or_else(|| damaged("it has no image"))?;
    frame.check_complete()?;
    Ok((frame, tables))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::*;
    use crate::data::pixels::Pixels;

    /// JPEG files, and beside each the PNG of what libjpeg-turbo makes of it.
    fn files() -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jpeg");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = paths.filter(|p| p.extension().is_some_and(|e| e == "jpg")).collect();
        paths.sort();
        assert!(paths.len() >= 9);
        paths
    }

    #[test]
    fn equals_libjpeg_turbo_bit_for_bit() {
        for path in files() {
            let found = decode(&std::fs::read(&path).unwrap()).unwrap().pixels;
            let expected = Pixels::decode(&std::fs::read(path.with_extension("png")).unwrap()).unwrap();
            assert!(found == expected, "{}", path.display());
        }
    }

    #[test]
    fn a_file_cut_off_anywhere_is_damaged() {
        for path in files() {
            let bytes = std::fs::read(&path).unwrap();
            for length in (0..bytes.len() - 2).step_by(7) {
                let refusal = decode(&bytes[..length]).unwrap_err();
                assert!(
                    refusal.starts_with("cannot be decoded"),
                    "{length} of {}: {refusal}",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn an_enormous_image_is_refused_before_memory_is_asked_for() {
        let mut bytes = std::fs::read(&files()[0]).unwrap();
        let frame = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        bytes[frame + 5..frame + 9].fill(0xFF);
        assert!(decode(&bytes).unwrap_err().contains("claims 65535 x 65535 pixels"));
    }

    proptest! {
        #[test]
        fn damage_never_panics(file in 0_usize..9, changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
            let mut bytes = std::fs::read(&files()[file]).unwrap();
            let length = bytes.len();
            for (at, value) in changes {
                bytes[usize::from(at) % length] = value;
            }
            drop(decode(&bytes));
        }
    }
}
