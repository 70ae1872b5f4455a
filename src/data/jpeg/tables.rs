//! Tables: what a JPEG file says before its data, for later segments to refer to.

use super::{Result, bits::Huffman};
use crate::data::decode::damaged;

/// The order in which a block's 64 coefficients are written.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Everything that later segments may refer to.
#[derive(Default)]
pub(super) struct Tables {
    /// Quantisation, in the natural order of coefficients.
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    /// Blocks of a scan between restart markers; 0 for none.
    pub(super) restart_interval: usize,
    /// There is a JFIF header, which promises YCbCr.
    pub(super) jfif: bool,
    /// The colour transform of an Adobe header.
    pub(super) adobe: Option<u8>,
}

impl Tables {
    pub(super) fn read(&mut self, marker: u8, payload: &[u8]) -> Result<()> {
        match marker {
            0xDB => self.read_quantisation(payload),
            0xC4 => self.read_huffman(payload),
            0xDD => {
                let interval = payload.get(..2).ok_or_else(|| damaged("a restart interval is cut off"))?;
                self.restart_interval = usize::from(u16::from_be_bytes([interval[0], interval[1]]));
                Ok(())
            }
            0xE0 => {
                self.jfif |= payload.len() >= 14 && payload.starts_with(b"JFIF\0");
                Ok(())
            }
            0xEE => {
                if payload.starts_with(b"Adobe") {
                    self.adobe = payload.get(11).copied().or(self.adobe);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_quantisation(&mut self, mut payload: &[u8]) -> Result<()> {
        let broken = || damaged("a quantisation table is broken");
        while let Some((&head, rest)) = payload.split_first() {
            let (wide, slot) = (head >> 4 == 1, usize::from(head & 15));
            let size = if wide { 128 } else { 64 };
            let (values, rest) = rest.split_at_checked(size).ok_or_else(broken)?;
            let mut table = [0; 64];
            for (k, &place) in ZIGZAG.iter().enumerate() {
                table[usize::from(place)] = if wide {
                    u16::from_be_bytes([values[2 * k], values[2 * k + 1]])
                } else {
                    u16::from(values[k])
                };
            }
            *self.quantisation.get_mut(slot).ok_or_else(broken)? = Some(table);
            payload = rest;
        }
        Ok(())
    }

    fn read_huffman(&mut self, mut payload: &[u8]) -> Result<()> {
        let broken = || damaged("a Huffman table is broken");
        while let Some((&head, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_at_checked(16).ok_or_else(broken)?;
            let total = counts.iter().map(|&c| usize::from(c)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or_else(broken)?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = tables.get_mut(usize::from(head & 15)).ok_or_else(broken)?;
            *slot = Some(Huffman::new(counts, symbols).ok_or_else(broken)?);
            payload = rest;
        }
        Ok(())
    }
}
