//! Many arrays one after another in a flat one: putting them there, and cleaning them there.

use std::ops::Range;

use super::{
    adam::square_sum_of,
    elementwise::PART,
    pool::{self, Shares},
    simd::{Simd, dispatch, for_lanes, load, store},
};

/// What an infinity becomes when it is cleaned.
pub const LARGEST: f32 = 1e5;
/// How many numbers [`clean`] says of an array.
pub const NUMBERS: usize = 4;

/// Writes each array to its place in `flat`, or adds it to what is there. Places are in order and do not overlap. Where
/// arrays are written, all that lies between them becomes zero; where they are added, it stays.
pub fn gather(arrays: &[(Range<usize>, &[f32])], add: bool, flat: &mut [f32]) {
    let to = Shares::new(flat);
    let mut parts: Vec<(usize, usize, Option<&[f32]>)> = Vec::with_capacity(arrays.len());
    let mut end = 0;
    for (place, array) in arrays {
        assert!(
            place.start >= end && place.len() == array.len(),
            "places in order, each as long as its array"
        );
        if !add && place.start > end {
            parts.push((end, place.start - end, None));
        }
        let portions = array.chunks(PART).enumerate();
        parts.extend(portions.map(|(i, part)| (place.start + i * PART, part.len(), Some(part))));
        end = place.end;
    }
    assert!(end <= to.len(), "places within {} values", to.len());
    if !add && end < to.len() {
        parts.push((end, to.len() - end, None));
    }
    let moved = arrays.iter().map(|(place, _)| place.len()).sum::<usize>();
    pool::for_each(parts.len(), moved * (8 + 4 * usize::from(add)), |part| {
        let (start, len, from) = parts[part];
        // SAFETY: parts are disjoint, as just checked.
        let to = unsafe { to.range(start, len) };
        match from {
            None => to.fill(0.0),
            Some(from) if !add => to.copy_from_slice(from),
            // SAFETY: slices of one length.
            Some(from) => unsafe { add_raw(from.as_ptr(), to.as_mut_ptr(), len) },
        }
    });
}

dispatch!(
    unsafe fn add_raw<V: Simd>(from: *const f32, to: *mut f32, len: usize) {
        for_lanes!(V, len, |i, count| {
            store(load::<V>(to.add(i), count).add(load(from.add(i), count)), to.add(i), count);
        });
    }
);

/// In each of the places NaN becomes 0 and an infinity +-1e5; then, with a `limit`, every value is held within +-limit.
/// Says of each place: the sum of squares, cleaned but not held, in an order that depends on its length alone; how many
/// values were NaN; how many infinite; how many were held. Places are in order and do not overlap.
pub fn clean(flat: &mut [f32], places: &[Range<usize>], limit: Option<f32>) -> Vec<[f32; NUMBERS]> {
    assert!(places.windows(2).all(|pair| pair[0].end <= pair[1].start), "places in order");
    let to = Shares::new(flat);
    let starts = |place: &Range<usize>| (place.start..place.end).step_by(PART);
    let parts: Vec<(usize, usize)> = places
        .iter()
        .flat_map(|place| starts(place).map(|start| (start, PART.min(place.end - start))))
        .collect();
    let mut numbers = vec![0.0; parts.len() * NUMBERS];
    let of_parts = Shares::new(&mut numbers);
    let values = parts.iter().map(|(_, len)| len).sum::<usize>();
    pool::for_each(parts.len(), values * 4, |part| {
        let (start, len) = parts[part];
        // SAFETY: parts are disjoint, as just checked.
        let (values, numbers) = unsafe { (to.range(start, len), of_parts.range(part * NUMBERS, NUMBERS)) };
        numbers.copy_from_slice(&clean_part(values, limit));
    });
    let mut of_parts = numbers.chunks_exact(NUMBERS);
    let sum = |place: &Range<usize>| {
        let mut sums = [0.0; NUMBERS];
        for numbers in of_parts.by_ref().take(starts(place).len()) {
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        }
        sums
    };
    places.iter().map(sum).collect()
}

/// As a rule the sum of squares shows that there is nothing to do.
fn clean_part(values: &mut [f32], limit: Option<f32>) -> [f32; NUMBERS] {
    let (mut square, mut nan, mut infinite, mut held) = (square_sum_of(values), 0.0, 0.0, 0.0);
    if !square.is_finite() {
        for value in values.iter_mut().filter(|value| !value.is_finite()) {
            if value.is_nan() {
                nan += 1.0;
                *value = 0.0;
            } else {
                infinite += 1.0;
                *value = LARGEST.copysign(*value);
            }
        }
        square = square_sum_of(values);
    }
    // With room for the rounding of the sum.
    if let Some(limit) = limit.filter(|limit| square > 0.99 * limit * limit) {
        for value in values.iter_mut() {
            held += f32::from(u8::from(value.abs() > limit));
            *value = value.clamp(-limit, limit);
        }
    }
    [square, nan, infinite, held]
}
