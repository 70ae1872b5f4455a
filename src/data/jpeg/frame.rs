//! The frame: size, components and sampling of a JPEG image.

use super::Result;
use crate::data::decode::{Header, Mode, SCRATCH, check_size, damaged};

/// One colour plane.
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
    /// Blocks in a row, padded to whole units; and such rows.
    pub(super) stride: usize,
    pub(super) rows: usize,
    /// The quantisation table as it was when the first scan of the component began.
    pub(super) quantisation: Option<[u16; 64]>,
    /// Of each coefficient in the order of the file: how many of its bits are still to come; -1 where none has come yet.
    pub(super) missing: [i8; 64],
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
    pub(super) fn parse(kind: u8, payload: &[u8]) -> Result<Self> {
        let broken = || damaged("its frame is broken");
        let (head, list) = payload.split_at_checked(6).ok_or_else(broken)?;
        let height = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let width = usize::from(u16::from_be_bytes([head[3], head[4]]));
        let count = usize::from(head[5]);
        if head[0] != 8 {
            return Err(format!("has {} bits per sample: save it with 8", head[0]));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(format!("is a JPEG of {count} components: save it as gray or RGB"));
        }
        check_size(width, height)?;
        let list = list.get(..3 * count).ok_or_else(broken)?;
        let factors = |c: &[u8]| (usize::from(c[1] >> 4), usize::from(c[1] & 15));
        if list.chunks(3).map(factors).any(|(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(broken());
        }
        let max_h = list.chunks(3).map(|c| factors(c).0).max().unwrap_or(1);
        let max_v = list.chunks(3).map(|c| factors(c).1).max().unwrap_or(1);
        if list.chunks(3).map(factors).any(|(h, v)| !max_h.is_multiple_of(h) || !max_v.is_multiple_of(v)) {
            return Err("has colour planes of odd proportions: save it as PNG or as a usual JPEG".into());
        }
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
                rows: units_along * v,
                quantisation: None,
                missing: [-1; 64],
            }
        };
        let components = list.chunks(3).map(component).collect();
        let progressive = kind == 0xC2;
        let frame = Self { progressive, width, height, max_h, max_v, units_across, units_along, components };
        frame.check_scratch()?;
        Ok(frame)
    }

    pub(super) fn header(&self) -> Header {
        let mode = match self.components.len() {
            1 => Mode::Gray,
            3 => Mode::Rgb,
            _ => Mode::Cmyk,
        };
        Header { width: self.width, height: self.height, mode }
    }

    /// Whether a component is as large as the image.
    pub(super) fn is_full(&self, component: usize) -> bool {
        let component = &self.components[component];
        (component.h, component.v) == (self.max_h, self.max_v)
    }

    /// Refuses what would take too much memory beside the pixels: small planes wait until they are complete, and so do the
    /// coefficients of one component where scans add bits to them.
    fn check_scratch(&self) -> Result<()> {
        let plane = |c: usize| {
            if self.is_full(c) { 0 } else { self.components[c].width * self.components[c].height }
        };
        let coefficients =
            |c: usize| self.components[c].stride * self.components[c].rows * 64 * size_of::<i16>();
        let components = 0..self.components.len();
        let needed = if self.progressive {
            components.map(|c| plane(c) + coefficients(c)).max().unwrap_or(0)
        } else {
            components.map(plane).sum()
        };
        if needed > SCRATCH {
            let (w, h) = (self.width, self.height);
            let kind = if self.progressive { "a progressive JPEG" } else { "a JPEG with such colour planes" };
            return Err(format!("claims {w} x {h} pixels, which is too many for {kind}: make it smaller"));
        }
        Ok(())
    }

    /// That every component was in some scan, and that no scan is missing: libjpeg smooths over what is.
    pub(super) fn check_complete(&self) -> Result<()> {
        if self.components.iter().any(|c| c.quantisation.is_none() || c.missing[0] < 0) {
            return Err(damaged("it is cut off"));
        }
        if self.components.iter().any(|c| c.missing[1..10].iter().any(|&bits| bits != 0)) {
            return Err(damaged("its last scans are missing"));
        }
        Ok(())
    }
}
