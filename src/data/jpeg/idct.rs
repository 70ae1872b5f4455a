//! The inverse cosine transform of a block: Loeffler, Ligtenberg and Moschytz in 13-bit integers, libjpeg's default.

#![allow(
    clippy::needless_range_loop,
    clippy::inline_always,
    reason = "compiled anew inside `wide`, which closures are not"
)]

use crate::kernels::wide;

const CONST_BITS: u32 = 13;
const PASS1_BITS: u32 = 2;

const F_0_298: i32 = 2446;
const F_0_390: i32 = 3196;
const F_0_541: i32 = 4433;
const F_0_765: i32 = 6270;
const F_0_899: i32 = 7373;
const F_1_175: i32 = 9633;
const F_1_501: i32 = 12299;
const F_1_847: i32 = 15137;
const F_1_961: i32 = 16069;
const F_2_053: i32 = 16819;
const F_2_562: i32 = 20995;
const F_3_072: i32 = 25172;

/// Transforms a row of blocks into eight rows of samples, as far as these go.
pub(super) fn row(coefficients: &[i16], quantisation: &[u16; 64], samples: &mut [u8], stride: usize) {
    wide(
        #[inline(always)]
        || {
            let (blocks, _) = coefficients.as_chunks::<64>();
            for (x, coefficients) in blocks.iter().take(stride / 8).enumerate() {
                block(coefficients, quantisation, &mut samples[x * 8..], stride);
            }
        },
    );
}

/// Multiplies by the quantisation, transforms, and writes 8 x 8 samples into a plane of the given row length.
#[inline(always)]
fn block(coefficients: &[i16; 64], quantisation: &[u16; 64], plane: &mut [u8], stride: usize) {
    if coefficients[1..].iter().all(|&c| c == 0) {
        // Flat: the two passes come to this.
        let value = i32::from(coefficients[0]).wrapping_mul(i32::from(quantisation[0])) << PASS1_BITS;
        let sample = limit(descale(value, PASS1_BITS + 3));
        for y in 0..8 {
            plane[y * stride..][..8].fill(sample);
        }
        return;
    }
    // Eight columns side by side, then, turned, eight rows side by side: every step is one of vectors.
    let mut rows = [[0_i32; 8]; 8];
    for y in 0..8 {
        for x in 0..8 {
            rows[y][x] = i32::from(coefficients[y * 8 + x]) * i32::from(quantisation[y * 8 + x]);
        }
    }
    let half = one_dimension(rows);
    let mut turned = [[0_i32; 8]; 8];
    for y in 0..8 {
        for x in 0..8 {
            turned[x][y] = descale(half[y][x], CONST_BITS - PASS1_BITS);
        }
    }
    let done = one_dimension(turned);
    for y in 0..8 {
        let samples = &mut plane[y * stride..][..8];
        for x in 0..8 {
            samples[x] = limit(descale(done[x][y], CONST_BITS + PASS1_BITS + 3));
        }
    }
}

/// Eight numbers, one for each of eight columns or rows. (Loops over indices: closures are not compiled for wide vectors.)
type Lanes = [i32; 8];

#[inline(always)]
fn plus(a: Lanes, b: Lanes) -> Lanes {
    let mut result = [0; 8];
    for i in 0..8 {
        result[i] = a[i].wrapping_add(b[i]);
    }
    result
}

#[inline(always)]
fn minus(a: Lanes, b: Lanes) -> Lanes {
    let mut result = [0; 8];
    for i in 0..8 {
        result[i] = a[i].wrapping_sub(b[i]);
    }
    result
}

#[inline(always)]
fn times(a: Lanes, factor: i32) -> Lanes {
    let mut result = [0; 8];
    for i in 0..8 {
        result[i] = a[i].wrapping_mul(factor);
    }
    result
}

/// The transform along the outer index, scaled up by `CONST_BITS`. Damaged files may overflow; the result is then as
/// meaningless as they are.
#[inline(always)]
fn one_dimension(c: [Lanes; 8]) -> [Lanes; 8] {
    let z = times(plus(c[2], c[6]), F_0_541);
    let even_low = minus(z, times(c[6], F_1_847));
    let even_high = plus(z, times(c[2], F_0_765));
    let sum = times(plus(c[0], c[4]), 1 << CONST_BITS);
    let difference = times(minus(c[0], c[4]), 1 << CONST_BITS);
    let even = [
        plus(sum, even_high),
        plus(difference, even_low),
        minus(difference, even_low),
        minus(sum, even_high),
    ];

    let z1 = times(plus(c[7], c[1]), -F_0_899);
    let z2 = times(plus(c[5], c[3]), -F_2_562);
    let z5 = times(plus(plus(c[7], c[3]), plus(c[5], c[1])), F_1_175);
    let z3 = plus(times(plus(c[7], c[3]), -F_1_961), z5);
    let z4 = plus(times(plus(c[5], c[1]), -F_0_390), z5);
    let odd = [
        plus(plus(times(c[1], F_1_501), z1), z4),
        plus(plus(times(c[3], F_3_072), z2), z3),
        plus(plus(times(c[5], F_2_053), z2), z4),
        plus(plus(times(c[7], F_0_298), z1), z3),
    ];
    let mut result = [[0; 8]; 8];
    for i in 0..4 {
        result[i] = plus(even[i], odd[i]);
        result[7 - i] = minus(even[i], odd[i]);
    }
    result
}

#[inline(always)]
fn descale(value: i32, bits: u32) -> i32 {
    value.wrapping_add(1 << (bits - 1)) >> bits
}

#[inline(always)]
fn limit(value: i32) -> u8 {
    value.saturating_add(128).clamp(0, 255) as u8
}
