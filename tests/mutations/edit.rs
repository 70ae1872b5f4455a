//! Damage: to bytes anywhere, and to the places where a format keeps what its reader acts on.

use std::io::{Cursor, Read, Write};

use super::random::Random;

/// Numbers at which readers go wrong.
const NUMBERS: [u64; 18] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    1_000_000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Damages bytes once or a few times; mostly near one of `places`, where there are any.
pub fn damaged(random: &mut Random, bytes: &[u8], places: &[usize]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..*random.pick(&[1, 1, 1, 2, 3, 6]) {
        if bytes.is_empty() {
            break;
        }
        let near = !places.is_empty() && random.percent(85);
        let at = if near {
            *random.pick(places) + *random.pick(&[0, 0, 1, 2, 3])
        } else {
            random.below(bytes.len())
        };
        let at = at.min(bytes.len() - 1);
        once(random, &mut bytes, at);
    }
    bytes
}

fn once(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let stretch = |random: &mut Random, from: usize, most: usize| {
        from..(from + 1 + random.below(most)).min(bytes.len())
    };
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => bytes[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
        3 => bytes.truncate(at),
        4 => {
            let range = stretch(random, at, 64);
            bytes.drain(range);
        }
        5 => {
            let copy = bytes[stretch(random, at, 64)].to_vec();
            bytes.splice(at..at, copy);
        }
        6 => {
            let new: Vec<u8> = (0..=random.below(8)).map(|_| random.next() as u8).collect();
            bytes.splice(at..at, new);
        }
        7 => {
            let (width, number) = (*random.pick(&[2, 4, 8]), *random.pick(&NUMBERS));
            let number = if random.percent(50) {
                number.to_le_bytes()[..width].to_vec()
            } else {
                number.to_be_bytes()[8 - width..].to_vec()
            };
            bytes.splice(at..(at + width).min(bytes.len()), number);
        }
        _ => {
            let from = random.below(bytes.len());
            let copy = bytes[stretch(random, from, 40)].to_vec();
            bytes.splice(at..(at + copy.len()).min(bytes.len()), copy);
        }
    }
}

/// Where the instructions of a pickle begin, as far as they can be told.
pub fn instructions(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some(&opcode) = bytes.get(at) {
        found.push(at);
        at += 1;
        let number = |width: usize| {
            let bytes = bytes.get(at..at + width).unwrap_or_default();
            bytes.iter().rev().fold(0usize, |n, &byte| n.saturating_mul(256).saturating_add(byte.into()))
        };
        let lines = |n: usize| {
            let mut ends =
                bytes[at..].iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(i, _)| i + 1);
            ends.nth(n - 1).unwrap_or(bytes.len())
        };
        at += match opcode {
            b'K' | b'q' | b'h' | 0x80 => 1,
            b'M' => 2,
            b'J' | b'r' | b'j' => 4,
            b'G' | 0x95 => 8,
            b'I' | b'L' | b'F' | b'S' | b'V' | b'p' | b'g' | b'P' => lines(1),
            b'c' | b'i' => lines(2),
            0x8c | b'U' | b'C' | 0x8a => 1 + number(1),
            b'X' | b'T' | b'B' | 0x8b => number(4).saturating_add(4),
            0x8d | 0x8e | 0x96 => number(8).saturating_add(8),
            b'.' => break,
            _ => 0,
        };
        at = at.min(bytes.len());
    }
    found
}

/// The headers of a zip.
pub fn headers(bytes: &[u8]) -> Vec<usize> {
    let is_header = |window: &[u8]| matches!(window, b"PK\x03\x04" | b"PK\x01\x02" | b"PK\x05\x06");
    let starts = bytes.windows(4).enumerate().filter(|(_, window)| is_header(window)).map(|(i, _)| i);
    starts.flat_map(|start| (0..46).step_by(2).map(move |field| start + field)).collect()
}

/// The files in a zip; `None` where it is none.
pub fn unzipped(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
    let names: Vec<String> = zip.file_names().map(|name| name.expect("a fixture").into_owned()).collect();
    let mut read = |name: String| {
        let mut contents = Vec::new();
        zip.by_name(&name).expect("a fixture").read_to_end(&mut contents).expect("a fixture");
        (name, contents)
    };
    Some(names.into_iter().map(&mut read).collect())
}

/// A zip of files.
pub fn zipped(files: &[(String, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        zip.start_file(name.as_str(), options).expect("a name once");
        zip.write_all(contents).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

/// A PNG with damaged chunks whose checksums are right, so that what is in them is looked at.
pub fn png(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes[..8.min(bytes.len())].to_vec();
    let mut rest = &bytes[out.len()..];
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some((data, tail)) = tail.split_at_checked(len) else { break };
        let mut data = data.to_vec();
        if random.percent(40) {
            data = match (&head[4..], random.percent(50)) {
                (b"IDAT", true) => deflated(&damaged(random, &inflated(&data), &[])),
                _ => damaged(random, &data, &[]),
            };
        }
        let mut kind = head[4..].to_vec();
        if random.percent(3) {
            kind = damaged(random, &kind, &[]);
            kind.resize(4, b'x');
        }
        if random.percent(96) {
            let mut crc = flate2::Crc::new();
            crc.update(&kind);
            crc.update(&data);
            out.extend((data.len() as u32).to_be_bytes());
            out.extend([kind, data].concat());
            out.extend(crc.sum().to_be_bytes());
        }
        rest = tail.get(4..).unwrap_or_default();
    }
    out
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out);
    out
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Safetensors whose header is damaged and whose length fits it, or does not.
pub fn safetensors(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let len = bytes.first_chunk().map_or(0, |len| u64::from_le_bytes(*len)) as usize;
    match random.below(10) {
        0..5 => {
            let header = damaged(random, &bytes[8..8 + len], &[]);
            [&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + len..]].concat()
        }
        5..7 => damaged(random, bytes, &[0, 1, 2, 3, 4]),
        _ => damaged(random, bytes, &[]),
    }
}

/// An array with a header of odd claims.
pub fn npy(random: &mut Random) -> Vec<u8> {
    let descr = *random.pick(&["<f4", "|O", "<f2", ">f8", "<i8", "|V9", "<U3", "|u1"]);
    let fortran = *random.pick(&["False", "True", "0"]);
    let extents =
        ["8", "8", "8", "2", "4", "0", "-1", "2147483648", "4611686018427387904", "18446744073709551616"];
    let shape: Vec<&str> = (0..random.below(6)).map(|_| *random.pick(&extents)).collect();
    let dict =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({}), }}\n", shape.join(", "));
    let version = *random.pick(&[1u8, 1, 2, 3, 9]);
    let len = dict.len() as u32;
    let len = if version == 1 { len.to_le_bytes()[..2].to_vec() } else { len.to_le_bytes().to_vec() };
    let data = vec![0; *random.pick(&[0, 100, 2048, 2048])];
    let bytes = [&b"\x93NUMPY"[..], &[version, 0], &len, dict.as_bytes(), &data].concat();
    if random.percent(60) { damaged(random, &bytes, &[6, 8, 10, 20, 40, 60]) } else { bytes }
}

/// YAML with something of the language's darker corners in it.
pub fn yaml(random: &mut Random, text: &[u8]) -> Vec<u8> {
    let corners: [&[u8]; 16] = [
        b"&a [*a]",
        b"!!binary aGk=",
        b"<<: *x",
        b"? [a]: b",
        b"1e999",
        b".nan",
        b"\xff\xfe",
        b"18446744073709551616",
        b"- - - -",
        b"\"\\uD800\"",
        b"|+9\n",
        b"---\n",
        b"{a: ",
        b"\t",
        b"\x1b[31m",
        b"\"\\e]0;x\\a\"",
    ];
    let mut bytes = damaged(random, text, &[]);
    if random.percent(30) {
        let at = random.below(bytes.len() + 1);
        bytes.splice(at..at, random.pick(&corners).iter().copied());
    }
    bytes
}
