//! What a file is that is not read here, by its first bytes.

use crate::formats::{Kind, Recognised};

/// Beginnings that say something only where an image is expected: they are short, or of formats that are rare.
const KNOWN: [(&[u8], &str); 15] = [
    (b"II+\0", "a TIFF"),
    (b"MM\0+", "a TIFF"),
    (b"\xFF\x4F\xFF\x51", "a JPEG 2000"),
    (b"\xFF\x0A", "a JPEG XL"),
    (b"8BPS", "a Photoshop"),
    (b"qoif", "a QOI"),
    (b"DDS ", "a DDS"),
    (b"v/1\x01", "an OpenEXR"),
    (b"\0\0\x01\0", "a Windows icon"),
    (b"\0\0\x02\0", "a Windows cursor"),
    (b"icns", "an Apple icon"),
    (b"\x01\xDA", "an SGI"),
    (b"#?RADIANCE", "a Radiance"),
    (b"\x0A\x05\x01", "a PCX"),
    (b"\x89MNG", "an MNG"),
];

/// The words for a file that is none of the formats that are read.
pub(super) fn words(bytes: &[u8]) -> String {
    let known = KNOWN.iter().find(|(with, _)| bytes.starts_with(with)).map(|(_, what)| (*what).to_owned());
    let recognised = || match Recognised::of(bytes)?.kind {
        Kind::Image(name) => Some(format!("{} {name}", if name.starts_with('A') { "an" } else { "a" })),
        _ => None,
    };
    let netpbm = matches!(bytes, [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t', ..]);
    match known.or_else(recognised) {
        Some(what) => format!("is {what} image, whatever its name says: convert it to PNG or remove it"),
        None if netpbm => "is a PPM, PGM or PBM image, whatever its name says: convert it to PNG".into(),
        None if bytes.iter().all(|&b| b == 0) => {
            "holds zeros alone: it was not written completely; replace or remove it".into()
        }
        None => "is no image that can be read: PNG, JPEG, BMP and WebP can".into(),
    }
}
