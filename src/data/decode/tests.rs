//! Every kind of file against what Pillow makes of it, as `tests/pictures/record.py` recorded it.

use std::{fs::File, io::Read, path::Path};

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::{Decoded, decode, shape};
use crate::data::pixels::Pixels;

/// Checksums of the pixels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    name: String,
    /// `np.array(PIL.Image.open(file))`, where EDM takes it for what it is.
    edm: Option<u32>,
    /// `PIL.Image.open(file).convert("RGB")`.
    edm2: Option<u32>,
    /// Pasted on this colour with its own alpha for a mask.
    over: Option<([u8; 3], u32)>,
    /// Words of the refusal, where `edm` or `edm2` is refused.
    says: Option<String>,
}

fn checksum(pixels: &Pixels) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(&[pixels.width as u8, pixels.height as u8, pixels.channels as u8]);
    crc.update(&pixels.data);
    crc.sum()
}

#[test]
fn every_file_becomes_what_pillow_makes_of_it_or_is_refused() {
    let folder = std::env::var("SIDA_PICTURES")
        .unwrap_or_else(|_| format!("{}/tests/pictures", env!("CARGO_MANIFEST_DIR")));
    let folder = Path::new(&folder);
    let expected: Vec<Expected> =
        serde_json::from_reader(File::open(folder.join("expected.json")).unwrap()).unwrap();
    let mut images = tar::Archive::new(GzDecoder::new(File::open(folder.join("images.tar.gz")).unwrap()));
    let mut images = images.entries().unwrap();
    assert!(expected.len() >= 300);
    let mut wrong = Vec::new();
    for Expected { name, edm, edm2, over, says } in expected {
        let mut bytes = Vec::new();
        let mut image = images.next().unwrap().unwrap();
        assert_eq!(image.path().unwrap().to_str(), Some(name.as_str()), "the two files belong together");
        image.read_to_end(&mut bytes).unwrap();
        let decoded = decode(&bytes);
        let found_edm = decoded.clone().and_then(Decoded::into_edm);
        let found_edm2 = decoded.clone().map(|d| d.pixels.into_rgb());
        let mut expect = |what: &str, found: &Result<Pixels, String>, expected: Option<u32>| {
            let sum = found.as_ref().ok().map(checksum);
            let is_said = expected.is_some()
                || says.as_ref().is_none_or(|says| found.as_ref().is_err_and(|e| e.contains(says)));
            if sum != expected || !is_said {
                let said = found.as_ref().map(|_| format!("{sum:?}"));
                wrong.push(format!("{name}, {what}: {said:?} for {expected:?}"));
            }
        };
        expect("edm", &found_edm, edm);
        expect("edm2", &found_edm2, edm2);
        if let Some((background, sum)) = over {
            let found = decoded.map(|d| d.over(background).pixels.into_rgb());
            expect("over", &found, Some(sum));
        }
        // What a header says is what comes out.
        let of = |p: &Pixels| [p.channels, p.height, p.width];
        if let (Some(shape), Ok(pixels)) = (shape(&bytes), &found_edm)
            && shape != of(pixels)
        {
            wrong.push(format!("{name}: the header says {shape:?} of {:?}", of(pixels)));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A PNG that claims a size, with data for one pixel.
fn png_of(width: u32, height: u32, depth: u8, color: u8) -> Vec<u8> {
    let mut head = b"IHDR".to_vec();
    head.extend(width.to_be_bytes());
    head.extend(height.to_be_bytes());
    head.extend([depth, color, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&head);
    let crc = crc.sum().to_be_bytes();
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", &head[..], &crc, b"\0\0\0\x01IDAT\0\x13\x3f\x56\x2b"].concat()
}

fn bmp_of(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = b"BM\x64\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend([1, 0, 24, 0, 0, 0, 0, 0]);
    bytes.resize(200, 0);
    bytes
}

/// A gray JPEG of one kind, with the same scan so many times.
fn jpeg_of(kind: u8, side: u16, scan: &[u8], times: usize) -> Vec<u8> {
    let [high, low] = side.to_be_bytes();
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 0x43, 0];
    bytes.extend([1; 64]);
    bytes.extend([0xFF, kind, 0, 11, 8, high, low, high, low, 1, 1, 0x11, 0]);
    for table in [0, 0x10] {
        bytes.extend([0xFF, 0xC4, 0, 20, table, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    bytes.extend(scan.repeat(times));
    bytes.extend([0xFF, 0xD9]);
    bytes
}

#[test]
fn bombs_are_refused_before_they_cost_anything() {
    let start = std::time::Instant::now();
    let first = b"\xFF\xDA\0\x08\x01\x01\0\0\0\0\0\0";
    let band = b"\xFF\xDA\0\x08\x01\x01\0\x01\x3F\0\0\0";
    let whole = b"\xFF\xDA\0\x08\x01\x01\0\0\x3F\0\0\0";
    let webp = [b"RIFF\x28\0\0\0WEBPVP8L\x14\0\0\0\x2F\xFF\xFF\xFF\x0F", &[0; 40][..]].concat();
    let cases = [
        (png_of(60_000, 60_000, 8, 0), "claims 60000 x 60000 pixels, but an image may have 64 million"),
        (png_of(10_000, 10_000, 16, 6), "claims 10000 x 10000 pixels"),
        (png_of(u32::MAX >> 1, u32::MAX >> 1, 8, 2), "claims 2147483647 x 2147483647 pixels"),
        (png_of(0, 7, 8, 2), "claims 0 x 7 pixels"),
        (png_of(8_000, 8_000, 8, 2), "cannot be decoded"),
        (bmp_of(65_535, 65_535), "claims 65535 x 65535 pixels"),
        (bmp_of(-1, i32::MIN), "pixels, but an image may have"),
        (bmp_of(4_000, 4_000), "it is cut off"),
        (webp, "claims 16384 x 16384 pixels"),
        (jpeg_of(0xC0, 65_535, whole, 1), "claims 65535 x 65535 pixels"),
        (jpeg_of(0xC2, 7_000, first, 1), "too many for a progressive JPEG"),
        (jpeg_of(0xC2, 1_000, first, 60_000), "its scans do not follow each other"),
        (jpeg_of(0xC2, 1_000, &[&first[..], band].concat(), 60_000), "its scans do not follow each other"),
        (jpeg_of(0xC0, 1_000, whole, 60_000), "its scans do not follow each other"),
        (jpeg_of(0xC2, 1_000, first, 1), "its last scans are missing"),
    ];
    for (bytes, words) in cases {
        let said = decode(&bytes).unwrap_err();
        assert!(said.contains(words), "{said}, not {words}");
    }
    assert!(decode(&jpeg_of(0xC2, 1_000, &[&first[..], band].concat(), 1)).is_ok());
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
