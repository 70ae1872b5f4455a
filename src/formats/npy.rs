//! `.npy`: one numpy array behind a header that is a Python dict.

use burn::tensor::TensorData;
use serde::Deserialize;

use super::{
    ndarray::{self, ElementType},
    recognised::{Kind, Recognised},
};

/// Real headers are a hundred bytes.
const LONGEST_HEADER: usize = 1 << 16;
/// A header is within these.
pub(super) const HEAD: u64 = 1 << 17;

/// What an array's header says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Numpy's code for the elements, such as `<f4`.
    pub descr: String,
    /// Whether the first index runs fastest.
    pub fortran_order: bool,
    /// The extents.
    pub shape: Vec<usize>,
}

/// Reads the header alone, from the beginning of a file.
///
/// # Errors
/// A fragment about what is wrong, for the caller to put behind the array's name.
pub fn header(bytes: &[u8]) -> Result<Header, String> {
    Ok(parts(bytes)?.0)
}

/// How many bytes stand before the data; `None` where `header` would refuse them.
pub(super) fn header_len(bytes: &[u8]) -> Option<u64> {
    let (_, data) = parts(bytes).ok()?;
    Some((bytes.len() - data.len()) as u64)
}

/// Reads an array of numbers.
///
/// # Errors
/// As `header`; also an array of objects, and a length that does not fit.
pub fn parse(mut bytes: Vec<u8>) -> Result<TensorData, String> {
    let (header, data) = parts(&bytes)?;
    let start = bytes.len() - data.len();
    let element = ElementType::parse(&header.descr);
    let element = element.ok_or_else(|| format!("holds `{}`, not numbers", header.descr))?;
    // In place: an array may be large.
    bytes.drain(..start);
    let made = ndarray::tensor(bytes, &header.shape, header.fortran_order, element);
    made.ok_or_else(|| format!("is cut off, or too long: its data do not fill the shape {:?}", header.shape))
}

fn parts(bytes: &[u8]) -> Result<(Header, &[u8]), String> {
    let (header, data) = split(bytes).ok_or_else(|| match Recognised::of(bytes) {
        Some(found) if found.kind != Kind::Npy => format!("is {found}, not a numpy array"),
        _ => "is cut off, or not a numpy array".to_owned(),
    })?;
    let header = std::str::from_utf8(header).map_err(|_| "has a header that is not text")?;
    let read = Header::parse(header).ok_or_else(|| format!("has a malformed header: {}", header.trim()))?;
    Ok((read, data))
}

/// A header of version 1.0 for elements of numpy's code `descr` in C order.
pub(crate) fn written(descr: &str, shape: &[usize]) -> Vec<u8> {
    let extents: Vec<String> = shape.iter().map(usize::to_string).collect();
    let (extents, comma) = (extents.join(", "), if shape.len() == 1 { "," } else { "" });
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}{comma}), }}");
    // Magic, version, length and dict with a final line feed fill whole blocks of 64 bytes.
    let padded = (10 + dict.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((padded as u16).to_le_bytes());
    header.extend(dict.as_bytes());
    header.resize(10 + padded - 1, b' ');
    header.push(b'\n');
    header
}

/// The header's text and the data.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (version, rest) = rest.split_at_checked(2)?;
    let width = match version[0] {
        1 => 2,
        2 | 3 => 4,
        _ => return None,
    };
    let (len, rest) = rest.split_at_checked(width)?;
    let len = len.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte));
    if len > LONGEST_HEADER { None } else { rest.split_at_checked(len) }
}

impl Header {
    /// `{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4), }`, keys in any order: with brackets for parentheses,
    /// and without Python 2's `L`, it is YAML on one line.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains(['&', '*', '#', '\n']) {
            return None;
        }
        let yaml = text.replace('(', "[").replace(')', "]").replace("L,", ",").replace("L]", "]");
        serde_saphyr::from_str(&yaml).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dict: &str, data: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\x00", &(dict.len() as u16).to_le_bytes()[..], dict.as_bytes(), data].concat()
    }

    #[test]
    fn arrays_of_numbers_are_read() {
        let data: Vec<u8> = [1.0f64, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let read =
            parse(file("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }  \n", &data)).unwrap();
        assert_eq!(read.as_slice::<f64>().unwrap(), [1.0, 2.0]);
        let read = parse(file("{'shape': (), 'descr': '|u1', 'fortran_order': False}", &[7])).unwrap();
        assert_eq!((read.shape().len(), read.as_slice::<u8>().unwrap()), (0, &[7][..]));
    }

    #[test]
    fn our_own_header_is_numpys() {
        let header = written("|u1", &[50_000, 32, 32, 3]);
        assert_eq!(header.len() % 64, 0);
        assert_eq!(header.last(), Some(&b'\n'));
        let read = parse([written("|u1", &[2, 3]), vec![1, 2, 3, 4, 5, 6]].concat()).unwrap();
        assert_eq!(
            (read.shape().as_slice(), read.as_slice::<u8>().unwrap()),
            (&[2, 3][..], &[1, 2, 3, 4, 5, 6][..])
        );
    }

    #[test]
    fn objects_and_damage_are_errors() {
        for (dict, data) in [
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &[0; 8][..]),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", &[0; 15]),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551615, 2), }", &[]),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", &[]),
            ("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,), }", &[0; 8]),
            ("{'descr': '<f8', 'shape': (1,), }", &[0; 8]),
            ("{é", &[]),
            ("", &[]),
        ] {
            assert!(parse(file(dict, data)).is_err(), "{dict}");
        }
        assert!(parse(b"\x93NUMPY\x01\x00\xff\xff{".to_vec()).is_err());
        assert!(parse(Vec::new()).is_err());
    }
}
