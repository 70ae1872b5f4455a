//! JPEG, decoded to the same bytes as libjpeg-turbo: training data must not depend on who prepared them.
//!
//! Decoders differ in the inverse cosine transform, in how they enlarge the colour planes and in rounding, by up
//! to 10 of 255. This one follows libjpeg's default choices: the accurate integer transform ("islow"), "fancy"
//! triangular enlargement, 16-bit fixed-point colours. Baseline, extended and progressive Huffman files with 8 bits,
//! gray or three components. Other kinds are left to a general decoder.
//!
//! The crate `libjpeg-turbo-rs` 0.9 (pure Rust, 72,000 lines) decodes every file of `tests/jpeg` to the same bytes and
//! refuses every truncated one. It is not used: strangers' files come here, `unsafe` stands throughout it, and its README
//! says that known memory errors are mended only after this release and gives no guarantee. Worth another look then.

mod bits;
mod colour;
mod headers;
mod idct;
mod scan;

use headers::{Frame, Segment, Segments, Tables};

use crate::data::pixels::Pixels;

/// Why a file was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Refusal {
    /// It is damaged: what is wrong.
    Damaged(&'static str),
    /// It is of a kind that this decoder leaves to others.
    Foreign,
}

type Result<T> = std::result::Result<T, Refusal>;

/// Decodes a JPEG file, gray or RGB. Images of more than `max_pixels` are refused.
pub(in crate::data) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Pixels> {
    let mut segments = Segments::new(bytes)?;
    let mut tables = Tables::default();
    let mut frame: Option<Frame> = None;
    while let Some(segment) = segments.next_segment()? {
        match segment {
            Segment::Frame { kind, payload } => {
                if frame.is_some() {
                    return Err(Refusal::Damaged("it has two frames"));
                }
                frame = Some(Frame::parse(kind, payload, max_pixels)?);
            }
            Segment::Scan { payload } => {
                let frame = frame.as_mut().ok_or(Refusal::Damaged("data come before the frame"))?;
                let used = scan::decode(payload, segments.rest(), frame, &tables)?;
                segments.skip(used);
            }
            Segment::Other { marker, payload } => tables.read(marker, payload)?,
        }
    }
    let frame = frame.ok_or(Refusal::Damaged("it has no image"))?;
    if !frame.is_complete() {
        return Err(Refusal::Damaged("it is cut off"));
    }
    colour::assemble(&frame, &tables)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::*;

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
            let found = decode(&std::fs::read(&path).unwrap(), 10_000).unwrap();
            let expected = Pixels::decode(&std::fs::read(path.with_extension("png")).unwrap()).unwrap();
            assert!(found == expected, "{}", path.display());
        }
    }

    #[test]
    fn a_file_cut_off_anywhere_is_damaged() {
        for path in files() {
            let bytes = std::fs::read(&path).unwrap();
            for length in (0..bytes.len() - 2).step_by(7) {
                let refusal = decode(&bytes[..length], 10_000).unwrap_err();
                assert!(matches!(refusal, Refusal::Damaged(_)), "{length} of {}", path.display());
            }
        }
    }

    #[test]
    fn an_enormous_image_is_refused_before_memory_is_asked_for() {
        let mut bytes = std::fs::read(&files()[0]).unwrap();
        let frame = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        bytes[frame + 5..frame + 9].fill(0xFF);
        assert_eq!(decode(&bytes, 10_000), Err(Refusal::Damaged("it claims too many pixels")));
    }

    proptest! {
        #[test]
        fn damage_never_panics(file in 0_usize..9, changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
            let mut bytes = std::fs::read(&files()[file]).unwrap();
            let length = bytes.len();
            for (at, value) in changes {
                bytes[usize::from(at) % length] = value;
            }
            drop(decode(&bytes, 10_000));
        }
    }
}
