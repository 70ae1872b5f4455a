//! Box and Muller's normals (1958), with logarithm, sine and cosine of our own: a device's are not to be trusted.

/// Two standard normals: a point at the distance sqrt(-2 ln u), u = (x + 1) / 2^32, in one of 2^26 directions.
#[inline(always)]
pub(crate) fn box_muller(x: u32, y: u32) -> [f32; 2] {
    let radius = minus_two_ln(x).sqrt();
    let [cos, sin] = direction(y);
    [radius * cos, radius * sin]
}

/// `-2 ln((x + 1) / 2^32)`, to 2 units in the last place also where it is small.
#[inline(always)]
fn minus_two_ln(x: u32) -> f32 {
    const ROOT_HALF: u32 = 0x3f35_04f3;
    const ONE: u32 = 0x3f80_0000;
    const UNIT: f32 = 1.0 / 4_294_967_296.0;
    /// ln 2 in two parts; the first has so few bits that its multiples are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// (ln(1 + f) - f + f^2 / 2) / f^3 between the roots of 1/2 and of 2, interpolated at Chebyshev's points.
    const LN: [f32; 8] = [
        -0.079_027_44,
        0.126_223_19,
        -0.129_981_83,
        0.142_144_96,
        -0.166_412_82,
        0.200_010_45,
        -0.250_003_07,
        0.333_333_3,
    ];
    // (x + 1) / 2^32 is 2^power (1 + f).
    let bits = (halves(x, 1.0)).to_bits() + (ONE - ROOT_HALF);
    let power = (bits >> 23) as i32 - (127 + 32);
    let mantissa = f32::from_bits((bits & 0x007f_ffff) + ROOT_HALF);
    // Near 1, what is missing to 1 has more digits than the number.
    let f = if power == 0 { halves(!x, 0.0) * -UNIT } else { mantissa - 1.0 };
    let power = power as f32;
    let ln = f * f * (polynomial(f, LN) * f - 0.5) + f;
    -2.0 * (power * LN_2[0] + (power * LN_2[1] + ln))
}

/// `x + more` with a single rounding, whatever a device makes of large integers.
#[inline(always)]
fn halves(x: u32, more: f32) -> f32 {
    (x >> 16) as i32 as f32 * 65536.0 + ((x & 0xffff) as i32 as f32 + more)
}

/// Cosine and sine of a direction: two bits say which quarter of the circle, 24 where in it. More would not show in f32.
#[inline(always)]
fn direction(y: u32) -> [f32; 2] {
    const UNIT: f32 = 1.0 / 33_554_432.0;
    /// sin(pi t / 2) / t and (cos(pi t / 2) - 1) / t^2 by t^2 up to 1/4, interpolated at Chebyshev's points.
    const SIN: [f32; 4] = [-0.004_602_149, 0.079_680_22, -0.645_963_5, 1.570_796_4];
    const COS: [f32; 4] = [0.000_906_739_9, -0.020_861_529, 0.253_669_4, -1.233_700_5];
    // Quarters of a turn from the middle of the quarter, odd multiples of the unit.
    let t = ((y >> 5 & 0x01ff_fffe) as i32 - 0x00ff_ffff) as f32 * UNIT;
    let square = t * t;
    let sin = polynomial(square, SIN) * t;
    let cos = polynomial(square, COS) * square + 1.0;
    let swapped = y & 0x4000_0000 != 0;
    let [cos, sin] = if swapped { [sin, cos] } else { [cos, sin] };
    let signs = [y.wrapping_add(0x4000_0000), y].map(|bits| bits & 0x8000_0000);
    [f32::from_bits(cos.to_bits() ^ signs[0]), f32::from_bits(sin.to_bits() ^ signs[1])]
}

/// The highest coefficient comes first.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = sum * x + coefficient;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same in f64.
    fn exact(x: u32, y: u32) -> [f64; 2] {
        let radius = (-2.0 * ((f64::from(x) + 1.0) / 2f64.powi(32)).ln()).sqrt();
        let quarters = f64::from(y >> 30) + (f64::from(y >> 6 & 0x00ff_ffff) + 0.5) / 2f64.powi(24) - 0.5;
        let (sin, cos) = (quarters * std::f64::consts::FRAC_PI_2).sin_cos();
        [radius * cos, radius * sin]
    }

    #[test]
    fn normals_are_right_to_one_millionth() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        // Around every power of two and its complement, around the root of a half, at the edges of every quarter.
        let near = |centre: u32| (0..40).map(move |i| centre.wrapping_add(i).wrapping_sub(20));
        let powers =
            (0..32).flat_map(|i| [1 << i, !(1u32 << i), (1u32 << i) / 2 * 3]).chain([0, 3_037_000_499]);
        let xs: Vec<u32> = powers.flat_map(near).chain((0..2000).map(|_| random())).collect();
        let ys: Vec<u32> = (0..8).flat_map(|i| near(i << 29)).chain((0..300).map(|_| random())).collect();
        let mut worst = 0f64;
        for &x in &xs {
            for &y in &ys {
                for (ours, exact) in box_muller(x, y).into_iter().zip(exact(x, y)) {
                    worst = worst.max((f64::from(ours) - exact).abs());
                }
            }
        }
        assert!(worst < 1e-6, "{worst:e}");
        // Not the tolerance alone: where they are small they have as many digits.
        let small = box_muller(u32::MAX - 1, 0x1234_5678)[0];
        assert!((f64::from(small) / exact(u32::MAX - 1, 0x1234_5678)[0] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn no_word_gives_anything_but_a_number() {
        for x in [0, 1, u32::MAX - 1, u32::MAX] {
            for y in [0, 0x3fff_ffff, 0x4000_0000, 0x8000_0000, u32::MAX] {
                assert!(box_muller(x, y).iter().all(|z| z.abs() < 6.67), "{x} {y}");
            }
        }
    }
}
