//! What a file is that is not read here, by its first bytes.

/// Beginnings, and what begins so. A dot stands for any byte.
const KNOWN: [(&[u8], &str); 24] = [
    (b"GIF8", "a GIF"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"II+\0", "a TIFF"),
    (b"MM\0+", "a TIFF"),
    (b"....ftypavi", "an AVIF"),
    (b"....ftyphei", "a HEIC"),
    (b"....ftyphev", "a HEIC"),
    (b"....ftypmif1", "a HEIF"),
    (b"\0\0\0\x0CjP  \r\n\x87\n", "a JPEG 2000"),
    (b"\xFF\x4F\xFF\x51", "a JPEG 2000"),
    (b"\0\0\0\x0CJXL \r\n\x87\n", "a JPEG XL"),
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
    let begins =
        |with: &[u8]| bytes.len() >= with.len() && with.iter().zip(bytes).all(|(&w, &b)| w == b'.' || w == b);
    let netpbm = matches!(bytes, [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t', ..]);
    match KNOWN.iter().find(|(with, _)| begins(with)) {
        Some((_, what)) => format!("is {what} image, whatever its name says: convert it to PNG or remove it"),
        None if netpbm => "is a PPM, PGM or PBM image, whatever its name says: convert it to PNG".into(),
        None if bytes.iter().all(|&b| b == 0) => {
            "holds zeros alone: it was not written completely; replace or remove it".into()
        }
        None => "is no image that can be read: PNG, JPEG, BMP and WebP can".into(),
    }
}
