//! Transcendental functions on vectors.

use super::Simd;

/// e^x to within 2 units in the last place; saturates at e^-87 and e^88; NaN stays NaN.
#[inline(always)]
pub(crate) unsafe fn exp<V: Simd>(x: V) -> V {
    // Cody-Waite reduction x = n ln 2 + r, |r| <= ln 2 / 2, then e^r as its Taylor polynomial.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const TAYLOR: [f32; 7] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];
    // SAFETY: no pointers; the caller vouches for the instruction set.
    unsafe {
        // In this order NaN stays NaN.
        let x = V::splat(88.0).min(V::splat(-87.0).max(x));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let r = n.mul_sub_from(V::splat(LN_2_HIGH), x);
        let r = n.mul_sub_from(V::splat(LN_2_LOW), r);
        let mut p = V::splat(TAYLOR[0]);
        for coefficient in &TAYLOR[1..] {
            p = p.mul_add(r, V::splat(*coefficient));
        }
        p.mul_add(r, V::splat(1.0)).times_power_of_two(n)
    }
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub(crate) unsafe fn sigmoid<V: Simd>(x: V) -> V {
    // SAFETY: no pointers; the caller vouches for the instruction set.
    unsafe { V::splat(1.0).add(exp(V::splat(0.0).sub(x))).reciprocal() }
}
