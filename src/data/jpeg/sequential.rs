//! Baseline and extended files: a scan brings its components whole, so that rows are finished as they are read.

use super::{
    Result,
    bits::{Bits, Huffman},
    canvas::Canvas,
    colour::finish,
    frame::Frame,
    idct, read,
    scan::{Carry, Scan, missing_table},
    tables::{Tables, ZIGZAG},
};
use crate::data::decode::{Decoded, damaged};

pub(super) fn decode(bytes: &[u8], frame: &Frame) -> Result<Decoded> {
    let mut canvas = Canvas::new(frame);
    let (frame, tables) =
        read(bytes, |scan, data, frame, tables| scan_rows(scan, data, frame, tables, &mut canvas))?;
    Ok(finish(canvas, &frame, &tables))
}

/// Decodes one scan; returns how many bytes of `data` it took.
fn scan_rows(scan: &Scan, data: &[u8], frame: &Frame, tables: &Tables, canvas: &mut Canvas) -> Result<usize> {
    let mut bits = Bits::new(data);
    let mut carry = Carry::default();
    let [across, along] = scan.units(frame);
    let alone = scan.is_alone();
    // Of every component of the scan: the coefficients of one row of units, and the samples of one row of blocks.
    let size = |component: usize| {
        let c = &frame.components[component];
        (vec![0_i16; c.stride * c.v * 64], vec![0_u8; c.blocks_across * 64])
    };
    let mut strips: Vec<_> = scan.parts.iter().map(|part| size(part.component)).collect();
    for y in 0..along {
        for (coefficients, _) in &mut strips {
            coefficients.fill(0);
        }
        for x in 0..across {
            let unit = y * across + x;
            if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
                bits.restart()?;
                carry = Carry::default();
            }
            for (part, (coefficients, _)) in scan.parts.iter().zip(&mut strips) {
                let c = &frame.components[part.component];
                let dc = tables.dc.get(part.dc).and_then(Option::as_ref).ok_or_else(missing_table)?;
                let ac = tables.ac.get(part.ac).and_then(Option::as_ref).ok_or_else(missing_table)?;
                let (h, v) = if alone { (1, 1) } else { (c.h, c.v) };
                for i in 0..h * v {
                    let place = i / h * c.stride + x * h + i % h;
                    let block = coefficients[place * 64..]
                        .first_chunk_mut()
                        .ok_or_else(|| damaged("a scan is broken"))?;
                    block[0] = carry.dc(part.component, dc, &mut bits)? as i16;
                    baseline(block, ac, &mut bits)?;
                }
            }
        }
        for (part, (coefficients, samples)) in scan.parts.iter().zip(&mut strips) {
            let c = &frame.components[part.component];
            let Some(quantisation) = &c.quantisation else { continue };
            let rows = if alone { 1 } else { c.v };
            for (row, coefficients) in coefficients.chunks_exact(c.stride * 64).take(rows).enumerate() {
                idct::row(coefficients, quantisation, samples, c.blocks_across * 8);
                canvas.add(frame, part.component, (y * rows + row) * 8, samples, c.blocks_across * 8);
            }
        }
    }
    for part in &scan.parts {
        canvas.complete(frame, part.component);
    }
    bits.end()
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
