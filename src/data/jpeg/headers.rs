//! Markers, tables and the frame: what a JPEG file says before its data.

use super::{Refusal, Result, bits::Huffman};

/// The order in which a block's 64 coefficients are written.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// One marker and what belongs to it.
pub(super) enum Segment<'a> {
    /// SOF0, 1 or 2.
    Frame { kind: u8, payload: &'a [u8] },
    /// SOS; the data follow.
    Scan { payload: &'a [u8] },
    /// Anything else.
    Other { marker: u8, payload: &'a [u8] },
}

/// The segments of a file, one after another.
pub(super) struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(b"\xFF\xD8").ok_or(Refusal::Damaged("it does not begin as a JPEG"))?;
        Ok(Self { rest })
    }

    /// What follows the segment read last.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.rest = &self.rest[count..];
    }

    /// The next segment; `None` at the end of the image.
    pub(super) fn next_segment(&mut self) -> Result<Option<Segment<'a>>> {
        loop {
            // Whatever is not a marker is skipped, as libjpeg does.
            let at = self.rest.iter().position(|&b| b == 0xFF).ok_or(Refusal::Damaged("it is cut off"))?;
            self.skip(at);
            let fill = self.rest.iter().take_while(|&&b| b == 0xFF).count();
            let marker = *self.rest.get(fill).ok_or(Refusal::Damaged("it is cut off"))?;
            self.skip(fill + 1);
            match marker {
                0x00 | 0x01 | 0xD0..=0xD8 => {}
                0xD9 => return Ok(None),
                _ => {
                    let length = self.rest.get(..2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
                    let payload = length.and_then(|length| self.rest.get(2..length));
                    let payload = payload.ok_or(Refusal::Damaged("it is cut off"))?;
                    self.skip(payload.len() + 2);
                    return match marker {
                        0xC0..=0xC2 => Ok(Some(Segment::Frame { kind: marker, payload })),
                        0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => Err(Refusal::Foreign),
                        0xDA => Ok(Some(Segment::Scan { payload })),
                        _ => Ok(Some(Segment::Other { marker, payload })),
                    };
                }
            }
        }
    }
}

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
                let interval = payload.get(..2).ok_or(Refusal::Damaged("a restart interval is cut off"))?;
                self.restart_interval = usize::from(u16::from_be_bytes([interval[0], interval[1]]));
                Ok(())
            }
            0xE0 => {
                self.jfif |= payload.starts_with(b"JFIF\0");
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
        let broken = Refusal::Damaged("a quantisation table is broken");
        while let Some((&head, rest)) = payload.split_first() {
            let (wide, slot) = (head >> 4 == 1, usize::from(head & 15));
            let size = if wide { 128 } else { 64 };
            let (values, rest) = rest.split_at_checked(size).ok_or(broken)?;
            let mut table = [0; 64];
            for (k, &place) in ZIGZAG.iter().enumerate() {
                table[usize::from(place)] = if wide {
                    u16::from_be_bytes([values[2 * k], values[2 * k + 1]])
                } else {
                    u16::from(values[k])
                };
            }
            *self.quantisation.get_mut(slot).ok_or(broken)? = Some(table);
            payload = rest;
        }
        Ok(())
    }

    fn read_huffman(&mut self, mut payload: &[u8]) -> Result<()> {
        let broken = Refusal::Damaged("a Huffman table is broken");
        while let Some((&head, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_at_checked(16).ok_or(broken)?;
            let total = counts.iter().map(|&c| usize::from(c)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or(broken)?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = tables.get_mut(usize::from(head & 15)).ok_or(broken)?;
            *slot = Some(Huffman::new(counts, symbols).ok_or(broken)?);
            payload = rest;
        }
        Ok(())
    }
}

/// One colour plane, as coefficients.
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors, across and along.
    pub(super) h: usize,
    pub(super) v: usize,
    pub(super) table: usize,
    /// Size in samples.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Size in blocks that hold samples of the image.
    pub(super) blocks_across: usize,
    pub(super) blocks_along: usize,
    /// Blocks in a row of `coefficients`, which are padded to whole units.
    pub(super) stride: usize,
    /// `[blocks, 64]`, in natural order, not yet multiplied by the quantisation.
    pub(super) coefficients: Vec<i16>,
    /// The quantisation table as it was when the first scan of the component began.
    pub(super) quantisation: Option<[u16; 64]>,
}

/// The image's structure.
pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) max_h: usize,
    pub(super) max_v: usize,
    /// Minimum coded units.
    pub(super) units_across: usize,
    pub(super) units_along: usize,
    pub(super) components: Vec<Component>,
}

impl Frame {
    pub(super) fn parse(kind: u8, payload: &[u8], max_pixels: u64) -> Result<Self> {
        let broken = Refusal::Damaged("its frame is broken");
        let (head, list) = payload.split_at_checked(6).ok_or(broken)?;
        let height = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let width = usize::from(u16::from_be_bytes([head[3], head[4]]));
        let count = usize::from(head[5]);
        if head[0] != 8 || height == 0 || !matches!(count, 1 | 3) {
            return Err(Refusal::Foreign);
        }
        if width == 0 || list.len() < 3 * count {
            return Err(broken);
        }
        if width as u64 * height as u64 > max_pixels {
            return Err(Refusal::Damaged("it claims too many pixels"));
        }
        let factors = |c: &[u8]| (usize::from(c[1] >> 4), usize::from(c[1] & 15));
        let list = &list[..3 * count];
        if list.chunks(3).map(factors).any(|(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(broken);
        }
        let max_h = list.chunks(3).map(|c| factors(c).0).max().unwrap_or(1);
        let max_v = list.chunks(3).map(|c| factors(c).1).max().unwrap_or(1);
        let units_across = width.div_ceil(8 * max_h);
        let units_along = height.div_ceil(8 * max_v);
        let component = |c: &[u8]| {
            let (h, v) = factors(c);
            let (w, hgt) = ((width * h).div_ceil(max_h), (height * v).div_ceil(max_v));
            Component {
                id: c[0],
                h,
                v,
                table: usize::from(c[2] & 3),
                width: w,
                height: hgt,
                blocks_across: w.div_ceil(8),
                blocks_along: hgt.div_ceil(8),
                stride: units_across * h,
                coefficients: vec![0; units_across * h * units_along * v * 64],
                quantisation: None,
            }
        };
        let components = list.chunks(3).map(component).collect();
        let progressive = kind == 0xC2;
        Ok(Self { progressive, width, height, max_h, max_v, units_across, units_along, components })
    }

    /// Every component was in some scan.
    pub(super) fn is_complete(&self) -> bool {
        self.components.iter().all(|c| c.quantisation.is_some())
    }
}
