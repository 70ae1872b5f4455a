//! Bits and Huffman codes of a JPEG scan.

use super::{Result, segments::cut};
use crate::data::decode::damaged;

/// Codes up to this length are found by one look at a table.
const LOOK: u32 = 10;

/// A Huffman table.
#[derive(Clone)]
pub(super) struct Huffman {
    /// For every prefix of `LOOK` bits: length of the code (0 if longer) and symbol.
    quick: Box<[(u8, u8); 1 << LOOK]>,
    /// For every prefix of `LOOK` bits that holds a code and the number behind it: the bits of both (0 if they
    /// do not fit), the run of zeros, the number.
    short: Box<[(u8, u8, i16); 1 << LOOK]>,
    /// For every length: the first code that is too large for it, aligned to 16 bits.
    limits: [u32; 17],
    /// For every length: what to add to a code to find its symbol.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// `None` if the counts do not describe a code.
    pub(super) fn new(counts: &[u8], symbols: &[u8]) -> Option<Self> {
        let mut quick = Box::new([(0, 0); 1 << LOOK]);
        let (mut limits, mut offsets) = ([0; 17], [0; 17]);
        let (mut code, mut index) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            let count = usize::from(*counts.get(length as usize - 1)?);
            offsets[length as usize] = index as i32 - code as i32;
            for symbol in symbols.get(index..index + count)? {
                if length <= LOOK {
                    let first = (code << (LOOK - length)) as usize;
                    quick.get_mut(first..first + (1 << (LOOK - length)))?.fill((length as u8, *symbol));
                }
                code += 1;
            }
            if code > 1 << length {
                return None;
            }
            index += count;
            limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        let mut short = Box::new([(0, 0, 0); 1 << LOOK]);
        for (prefix, (entry, &(length, symbol))) in short.iter_mut().zip(quick.iter()).enumerate() {
            let (size, length) = (u32::from(symbol & 15), u32::from(length));
            if length > 0 && size > 0 && length + size <= LOOK {
                let number = prefix as u32 >> (LOOK - length - size) & ((1 << size) - 1);
                *entry = ((length + size) as u8, symbol >> 4, extend(number, size) as i16);
            }
        }
        Some(Self { quick, short, limits, offsets, symbols: symbols.to_vec() })
    }
}

/// A number of `size` bits, of which the lower half are negative.
fn extend(bits: u32, size: u32) -> i32 {
    let bits = bits as i32;
    if size == 0 || bits >> (size - 1) != 0 { bits } else { bits - (1 << size) + 1 }
}

/// The bits of the data between two markers. Behind the data there are zeros, as many as are asked for: libjpeg,
/// too, goes on when data are missing before a marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, held: 0, count: 0 }
    }

    #[inline]
    fn refill(&mut self) {
        // Four bytes at once where none of them is 255.
        if let Some(word) = self.data.get(self.at..).and_then(|rest| rest.first_chunk())
            && self.count <= 32
        {
            let word = u32::from_be_bytes(*word);
            let flipped = !word;
            if flipped.wrapping_sub(0x0101_0101) & word & 0x8080_8080 == 0 {
                self.held |= u64::from(word) << (32 - self.count);
                self.count += 32;
                self.at += 4;
                return;
            }
        }
        self.refill_bytes();
    }

    #[cold]
    fn refill_bytes(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at) {
                // A data byte 255 is followed by a 0; anything else is a marker.
                Some(0xFF) if self.data.get(self.at + 1) == Some(&0) => {
                    self.at += 2;
                    0xFF
                }
                Some(0xFF) | None => 0,
                Some(&byte) => {
                    self.at += 1;
                    byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn drop_bits(&mut self, count: u32) {
        self.held <<= count;
        self.count -= count;
    }

    /// The next `count` bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        if self.count < count {
            self.refill();
        }
        let bits = (self.held >> (64 - count)) as u32;
        self.drop_bits(count);
        bits
    }

    /// A number of `size` bits, of which the lower half are negative.
    #[inline]
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        extend(self.take(size), size)
    }

    /// The next run of zeros with the number behind it, if both are short; else nothing is taken.
    #[inline]
    pub(super) fn short(&mut self, table: &Huffman) -> Option<(usize, i16)> {
        if self.count < 16 {
            self.refill();
        }
        let (bits, run, number) = table.short[(self.held >> (64 - LOOK)) as usize];
        if bits == 0 {
            return None;
        }
        self.drop_bits(u32::from(bits));
        Some((usize::from(run), number))
    }

    /// The next symbol.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8> {
        if self.count < 16 {
            self.refill();
        }
        let (length, symbol) = table.quick[(self.held >> (64 - LOOK)) as usize];
        if length > 0 {
            self.drop_bits(u32::from(length));
            return Ok(symbol);
        }
        let ahead = (self.held >> 48) as u32;
        for length in LOOK + 1..=16 {
            if ahead < table.limits[length as usize] {
                let code = (ahead >> (16 - length)) as i32;
                let symbol = table.symbols.get((code + table.offsets[length as usize]) as usize);
                self.drop_bits(length);
                return symbol.copied().ok_or_else(|| damaged("a code is broken"));
            }
        }
        Err(damaged("a code is broken"))
    }

    /// Goes to the next restart marker and beyond it; stays where it is if another marker comes first.
    pub(super) fn restart(&mut self) -> Result<()> {
        (self.held, self.count) = (0, 0);
        let end = self.end()?;
        self.at = if matches!(self.data.get(end + 1), Some(0xD0..=0xD7)) { end + 2 } else { end };
        Ok(())
    }

    /// Where the marker is that ends the data.
    pub(super) fn end(&self) -> Result<usize> {
        let mut at = self.at;
        loop {
            at += self.data[at..].iter().position(|&b| b == 0xFF).ok_or_else(cut)?;
            match self.data.get(at + 1) {
                None => return Err(cut()),
                Some(0) => at += 2,
                Some(0xFF) => at += 1,
                Some(_) => return Ok(at),
            }
        }
    }
}
