//! `Scan`: which components and which coefficients a scan of a JPEG file brings.

use super::{
    Result,
    bits::{Bits, Huffman},
    frame::Frame,
    tables::Tables,
};
use crate::data::decode::damaged;

/// One component's part in a scan.
pub(super) struct Part {
    pub(super) component: usize,
    /// Numbers of its Huffman tables.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// Which coefficients a scan brings, and how exactly.
pub(super) struct Band {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Bits known from scans before, plus the one that this scan adds; 0 in the first.
    pub(super) high: u32,
    pub(super) low: u32,
}

/// What a scan says of itself.
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    pub(super) band: Band,
}

impl Scan {
    /// Checks a scan, and notes in the frame what it brings.
    pub(super) fn parse(payload: &[u8], frame: &mut Frame, tables: &Tables) -> Result<Self> {
        let broken = || damaged("a scan is broken");
        let count = usize::from(*payload.first().ok_or_else(broken)?);
        let list = payload.get(1..1 + 2 * count).ok_or_else(broken)?;
        let tail = payload.get(1 + 2 * count..4 + 2 * count).ok_or_else(broken)?;
        let mut parts: Vec<Part> = Vec::with_capacity(count.min(4));
        for entry in list.chunks(2) {
            let component = frame.components.iter().position(|c| c.id == entry[0]).ok_or_else(broken)?;
            if parts.iter().any(|part| part.component == component) {
                return Err(broken());
            }
            parts.push(Part { component, dc: usize::from(entry[1] >> 4), ac: usize::from(entry[1] & 15) });
            let component = &mut frame.components[component];
            component.quantisation = component.quantisation.or(tables.quantisation[component.table]);
            if component.quantisation.is_none() {
                return Err(damaged("a quantisation table is missing"));
            }
        }
        let band = if frame.progressive {
            let [start, end, bits] = [tail[0], tail[1], tail[2]].map(usize::from);
            Band { start, end, high: bits as u32 >> 4, low: bits as u32 & 15 }
        } else {
            Band { start: 0, end: 63, high: 0, low: 0 }
        };
        let alone = parts.len() == 1;
        if parts.is_empty() || band.end > 63 || band.start > band.end || band.low > 13 {
            return Err(broken());
        }
        if frame.progressive && (band.start == 0 && band.end != 0 || band.start > 0 && !alone) {
            return Err(broken());
        }
        let blocks = |part: &Part| frame.components[part.component].h * frame.components[part.component].v;
        // libjpeg's limit, which is the standard's.
        if !alone && parts.iter().map(blocks).sum::<usize>() > 10 {
            return Err(broken());
        }
        for part in &parts {
            for missing in &mut frame.components[part.component].missing[band.start..=band.end] {
                let is_next = match band.high {
                    0 => *missing == -1,
                    high => i32::from(*missing) == high as i32 && high == band.low + 1,
                };
                if !is_next {
                    return Err(damaged("its scans do not follow each other"));
                }
                *missing = band.low as i8;
            }
        }
        Ok(Self { parts, band })
    }

    /// Whether it brings one component.
    pub(super) fn is_alone(&self) -> bool {
        self.parts.len() == 1
    }

    /// Its units, across and along. A component alone comes block by block, without the padding to whole units.
    pub(super) fn units(&self, frame: &Frame) -> [usize; 2] {
        match self.parts.as_slice() {
            [Part { component, .. }] => {
                let component = &frame.components[*component];
                [component.blocks_across, component.blocks_along]
            }
            _ => [frame.units_across, frame.units_along],
        }
    }
}

/// What is carried from block to block.
#[derive(Default)]
pub(super) struct Carry {
    /// DC of the block before, by component.
    dc: [i32; 4],
    /// Blocks that will bring nothing more.
    pub(super) skipped: u32,
}

impl Carry {
    /// The next DC of a component: the file has its difference from the one before.
    #[inline]
    pub(super) fn dc(&mut self, component: usize, table: &Huffman, bits: &mut Bits) -> Result<i32> {
        let size = bits.symbol(table)?;
        if size > 15 {
            return Err(damaged("a scan is broken"));
        }
        let dc = &mut self.dc[component];
        *dc = dc.wrapping_add(bits.signed(u32::from(size)));
        Ok(*dc)
    }
}

pub(super) fn missing_table() -> String {
    damaged("a Huffman table is missing")
}
