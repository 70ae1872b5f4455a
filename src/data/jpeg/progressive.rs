//! Progressive files: every scan adds coefficients, or bits to them. One component is made at a time, by reading the file anew:
//! the coefficients of all would need more memory than the image.

use super::{
    Result,
    bits::{Bits, Huffman},
    canvas::Canvas,
    colour::finish,
    frame::Frame,
    idct, read,
    scan::{Band, Carry, Scan, missing_table},
    tables::{Tables, ZIGZAG},
};
use crate::data::decode::{Decoded, damaged};

pub(super) fn decode(bytes: &[u8], frame: &Frame) -> Result<Decoded> {
    let mut canvas = Canvas::new(frame);
    let mut last = None;
    for component in 0..frame.components.len() {
        let c = &frame.components[component];
        let (stride, across) = (c.stride, c.blocks_across * 8);
        let mut coefficients = vec![0; c.stride * c.rows * 64];
        let (frame, tables) = read(bytes, |scan, data, frame, tables| {
            one_scan(scan, data, frame, tables, component, &mut coefficients)
        })?;
        let mut samples = vec![0; across * 8];
        let quantisation =
            frame.components[component].quantisation.ok_or_else(|| damaged("it is cut off"))?;
        for (y, row) in coefficients.chunks_exact(stride * 64).enumerate() {
            idct::row(row, &quantisation, &mut samples, across);
            canvas.add(&frame, component, y * 8, &samples, across);
        }
        canvas.complete(&frame, component);
        last = Some((frame, tables));
    }
    let (frame, tables) = last.ok_or_else(|| damaged("it has no image"))?;
    Ok(finish(canvas, &frame, &tables))
}

/// Decodes one scan as far as it is about component `wanted`; returns how many bytes of `data` it took, 0 where it was not
/// looked at.
fn one_scan(
    scan: &Scan,
    data: &[u8],
    frame: &Frame,
    tables: &Tables,
    wanted: usize,
    coefficients: &mut [i16],
) -> Result<usize> {
    if scan.parts.iter().all(|part| part.component != wanted) {
        return Ok(0);
    }
    let mut bits = Bits::new(data);
    let mut carry = Carry::default();
    let [across, along] = scan.units(frame);
    let alone = scan.is_alone();
    let mut nobody = [0; 64];
    for unit in 0..across * along {
        if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
            bits.restart()?;
            carry = Carry::default();
        }
        let (x, y) = (unit % across, unit / across);
        for part in &scan.parts {
            let c = &frame.components[part.component];
            let (h, v) = if alone { (1, 1) } else { (c.h, c.v) };
            for i in 0..h * v {
                let place = (y * v + i / h) * c.stride + x * h + i % h;
                let block = if part.component == wanted {
                    coefficients[place * 64..].first_chunk_mut()
                } else {
                    Some(&mut nobody)
                };
                let block = block.ok_or_else(|| damaged("a scan is broken"))?;
                let band = &scan.band;
                if band.start > 0 {
                    let table = tables.ac.get(part.ac).and_then(Option::as_ref).ok_or_else(missing_table)?;
                    match band.high {
                        0 => first(block, band, table, &mut bits, &mut carry)?,
                        _ => refine(block, band, table, &mut bits, &mut carry)?,
                    }
                } else if band.high == 0 {
                    let table = tables.dc.get(part.dc).and_then(Option::as_ref).ok_or_else(missing_table)?;
                    block[0] = (carry.dc(part.component, table, &mut bits)? << band.low) as i16;
                } else {
                    block[0] |= (bits.take(1) << band.low) as i16;
                }
            }
        }
    }
    bits.end()
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
