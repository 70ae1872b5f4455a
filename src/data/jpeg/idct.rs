//! The inverse cosine transform of a block: Loeffler, Ligtenberg and Moschytz in 13-bit integers, libjpeg's default.

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

/// Multiplies by the quantisation, transforms, and writes 8 x 8 samples into a plane of the given row length.
pub(super) fn block(coefficients: &[i16; 64], quantisation: &[u16; 64], plane: &mut [u8], stride: usize) {
    if coefficients[1..].iter().all(|&c| c == 0) {
        // Flat: the two passes come to this.
        let value = i32::from(coefficients[0]).wrapping_mul(i32::from(quantisation[0])) << PASS1_BITS;
        let sample = limit(descale(value, PASS1_BITS + 3));
        for y in 0..8 {
            plane[y * stride..][..8].fill(sample);
        }
        return;
    }
    let mut work = [0_i32; 64];
    for x in 0..8 {
        let at = |row: usize| {
            i32::from(coefficients[row * 8 + x]).wrapping_mul(i32::from(quantisation[row * 8 + x]))
        };
        let column = one_dimension([at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)]);
        for (y, value) in column.into_iter().enumerate() {
            work[y * 8 + x] = descale(value, CONST_BITS - PASS1_BITS);
        }
    }
    for (y, row) in work.chunks_exact(8).enumerate() {
        let values = one_dimension([row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]]);
        for (sample, value) in plane[y * stride..][..8].iter_mut().zip(values) {
            *sample = limit(descale(value, CONST_BITS + PASS1_BITS + 3));
        }
    }
}

/// Eight values, scaled up by `CONST_BITS`. Damaged files may overflow; the result is then as meaningless as they are.
fn one_dimension(c: [i32; 8]) -> [i32; 8] {
    let times = i32::wrapping_mul;
    let plus = i32::wrapping_add;
    let minus = i32::wrapping_sub;

    let z = times(plus(c[2], c[6]), F_0_541);
    let even_low = minus(z, times(c[6], F_1_847));
    let even_high = plus(z, times(c[2], F_0_765));
    let sum = plus(c[0], c[4]) << CONST_BITS;
    let difference = minus(c[0], c[4]) << CONST_BITS;
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
    let mut result = [0; 8];
    for i in 0..4 {
        result[i] = plus(even[i], odd[i]);
        result[7 - i] = minus(even[i], odd[i]);
    }
    result
}

fn descale(value: i32, bits: u32) -> i32 {
    value.wrapping_add(1 << (bits - 1)) >> bits
}

fn limit(value: i32) -> u8 {
    value.saturating_add(128).clamp(0, 255) as u8
}
