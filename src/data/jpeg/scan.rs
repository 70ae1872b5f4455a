//! Scans: the data of a JPEG file, baseline and progressive, become coefficients.

use super::{
    Refusal, Result,
    bits::{Bits, Huffman},
    headers::{Frame, Tables, ZIGZAG},
};

const BROKEN: Refusal = Refusal::Damaged("a scan is broken");

/// One component's part in a scan.
struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

/// Which coefficients a scan brings, and how exactly.
struct Band {
    start: usize,
    end: usize,
    /// Bits known from scans before, plus the one that this scan adds; 0 in the first.
    high: u32,
    low: u32,
}

/// What is carried from block to block.
#[derive(Default)]
struct Carry {
    /// DC of the block before, by component.
    dc: [i32; 4],
    /// Blocks that will bring nothing more.
    skipped: u32,
}

/// Decodes one scan into the frame's coefficients; returns how many bytes of `data` it took.
pub(super) fn decode(payload: &[u8], data: &[u8], frame: &mut Frame, tables: &Tables) -> Result<usize> {
    let count = usize::from(*payload.first().ok_or(BROKEN)?);
    let list = payload.get(1..1 + 2 * count).ok_or(BROKEN)?;
    let tail = payload.get(1 + 2 * count..4 + 2 * count).ok_or(BROKEN)?;
    let mut parts = Vec::with_capacity(count);
    for entry in list.chunks(2) {
        let component = frame.components.iter().position(|c| c.id == entry[0]).ok_or(BROKEN)?;
        parts.push(Part { component, dc: usize::from(entry[1] >> 4), ac: usize::from(entry[1] & 15) });
        let component = &mut frame.components[component];
        if component.quantisation.is_none() {
            component.quantisation = tables.quantisation[component.table];
        }
        if component.quantisation.is_none() {
            return Err(Refusal::Damaged("a quantisation table is missing"));
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
        return Err(BROKEN);
    }
    if frame.progressive && band.start == 0 && band.end != 0 || band.start > 0 && !alone {
        return Err(BROKEN);
    }

    let mut bits = Bits::new(data);
    let mut carry = Carry::default();
    // A component alone comes block by block, without the padding to whole units.
    let (across, along) = match parts.as_slice() {
        [Part { component, .. }] => {
            let component = &frame.components[*component];
            (component.blocks_across, component.blocks_along)
        }
        _ => (frame.units_across, frame.units_along),
    };
    for unit in 0..across * along {
        if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
            bits.restart()?;
            carry = Carry::default();
        }
        let (x, y) = (unit % across, unit / across);
        for part in &parts {
            let component = &mut frame.components[part.component];
            let (h, v) = if alone { (1, 1) } else { (component.h, component.v) };
            for i in 0..h * v {
                let place = (y * v + i / h) * component.stride + x * h + i % h;
                let block = component.coefficients[place * 64..].first_chunk_mut().ok_or(BROKEN)?;
                decode_block(block, part, &band, frame.progressive, tables, &mut bits, &mut carry)?;
            }
        }
    }
    bits.end()
}

fn decode_block(
    block: &mut [i16; 64],
    part: &Part,
    band: &Band,
    progressive: bool,
    tables: &Tables,
    bits: &mut Bits,
    carry: &mut Carry,
) -> Result<()> {
    let missing = Refusal::Damaged("a Huffman table is missing");
    if band.start == 0 {
        if band.high == 0 {
            let table = tables.dc.get(part.dc).and_then(Option::as_ref).ok_or(missing)?;
            let size = bits.symbol(table)?;
            if size > 15 {
                return Err(BROKEN);
            }
            let dc = &mut carry.dc[part.component];
            *dc = dc.wrapping_add(bits.signed(u32::from(size)));
            block[0] = (*dc << band.low) as i16;
        } else {
            block[0] |= (bits.take(1) << band.low) as i16;
        }
    }
    if band.end == 0 {
        return Ok(());
    }
    let table = tables.ac.get(part.ac).and_then(Option::as_ref).ok_or(missing)?;
    match (progressive, band.high) {
        (false, _) => baseline(block, table, bits),
        (true, 0) => first(block, band, table, bits, carry),
        (true, _) => refine(block, band, table, bits, carry),
    }
}

/// Runs of zeros and the numbers between them.
fn baseline(block: &mut [i16; 64], table: &Huffman, bits: &mut Bits) -> Result<()> {
    let mut k = 1;
    while k < 64 {
        if let Some((run, number)) = bits.short(table) {
            k += run;
            if let Some(&place) = ZIGZAG.get(k) {
                block[usize::from(place)] = number;
            }
            k += 1;
            continue;
        }
        let symbol = bits.symbol(table)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run != 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += run;
        let value = bits.signed(size);
        // A run beyond the block is damage; libjpeg reads on and drops the number.
        if let Some(&place) = ZIGZAG.get(k) {
            block[usize::from(place)] = value as i16;
        }
        k += 1;
    }
    Ok(())
}

/// The upper bits of a band.
fn first(
    block: &mut [i16; 64],
    band: &Band,
    table: &Huffman,
    bits: &mut Bits,
    carry: &mut Carry,
) -> Result<()> {
    if carry.skipped > 0 {
        carry.skipped -= 1;
        return Ok(());
    }
    let mut k = band.start;
    while k <= band.end {
        let symbol = bits.symbol(table)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run != 15 {
                carry.skipped = (1 << run) - 1 + bits.take(run);
                break;
            }
            k += 16;
            continue;
        }
        k += run as usize;
        let value = bits.signed(size);
        if let Some(&place) = ZIGZAG.get(k) {
            block[usize::from(place)] = (value << band.low) as i16;
        }
        k += 1;
    }
    Ok(())
}

/// One more bit of a band: of the numbers known already, and new numbers between them.
fn refine(
    block: &mut [i16; 64],
    band: &Band,
    table: &Huffman,
    bits: &mut Bits,
    carry: &mut Carry,
) -> Result<()> {
    let bit = 1_i16 << band.low;
    let correct = |value: &mut i16, bits: &mut Bits| {
        if bits.take(1) == 1 && *value & bit == 0 {
            *value = value.wrapping_add(if *value >= 0 { bit } else { -bit });
        }
    };
    let mut k = band.start;
    if carry.skipped == 0 {
        while k <= band.end {
            let symbol = bits.symbol(table)?;
            let (mut run, size) = (u32::from(symbol >> 4), symbol & 15);
            let mut new = 0;
            if size != 0 {
                new = if bits.take(1) == 1 { bit } else { -bit };
            } else if run != 15 {
                carry.skipped = (1 << run) + bits.take(run);
                break;
            }
            // Over `run` places without a number, correcting the numbers on the way.
            while k <= band.end {
                let value = &mut block[usize::from(ZIGZAG[k])];
                if *value != 0 {
                    correct(value, bits);
                } else if run == 0 {
                    if new != 0 {
                        *value = new;
                    }
                    break;
                } else {
                    run -= 1;
                }
                k += 1;
            }
            k += 1;
        }
    }
    if carry.skipped > 0 {
        for k in k..=band.end {
            let value = &mut block[usize::from(ZIGZAG[k])];
            if *value != 0 {
                correct(value, bits);
            }
        }
        carry.skipped -= 1;
    }
    Ok(())
}
