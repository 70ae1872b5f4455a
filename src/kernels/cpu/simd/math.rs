//! Transcendental functions on vectors.

use super::Simd;

/// e^x to within 2 units in the last place; saturates at e^-87 and e^88; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp<V: Simd>(x: V) -> V {
    // Cody-Waite reduction x = n ln 2 + r, |r| <= ln 2 / 2, then e^r as its Taylor polynomial.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const TAYLOR: [f32; 7] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];
    let s = |value| x.all(value);
    // In this order NaN stays NaN.
    let x = s(88.0).min(s(-87.0).max(x));
    let n = x.mul(s(std::f32::consts::LOG2_E)).round();
    let r = n.mul_sub_from(s(LN_2_HIGH), x);
    let r = n.mul_sub_from(s(LN_2_LOW), r);
    let mut p = s(TAYLOR[0]);
    for coefficient in &TAYLOR[1..] {
        p = p.mul_add(r, s(*coefficient));
    }
    p.mul_add(r, s(1.0)).times_power_of_two(n)
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub(crate) fn sigmoid<V: Simd>(x: V) -> V {
    x.all(1.0).add(exp(x.all(0.0).sub(x))).reciprocal()
}

/// The derivative of z * sigmoid(z): s * (1 + z * (1 - s)).
#[inline(always)]
pub(crate) fn silu_derivative<V: Simd>(z: V) -> V {
    let (s, one) = (sigmoid(z), z.all(1.0));
    s.mul(one.sub(s).mul_add(z, one))
}
