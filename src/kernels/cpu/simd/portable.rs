//! Vectors for any processor: arrays that the compiler vectorises as it can.

use super::Simd;

/// Eight lanes in an array.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i])))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY: plain Rust; needs no instruction set, touches only the lanes it says.
unsafe impl Simd for Portable {
    const LANES: usize = 8;
    const ROWS: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for 8 lanes.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller vouches for `count` lanes.
        Self(std::array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for 8 lanes.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        for (i, value) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: the caller vouches for `count` lanes.
            unsafe { *to.add(i) = value }
        }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Not `f32::mul_add`: without hardware support that is a slow function call.
        self.zip(factor, |a, b| a * b).zip(addend, |ab, c| ab + c)
    }
    #[inline(always)]
    fn mul_sub_from(self, factor: Self, minuend: Self) -> Self {
        self.zip(factor, |a, b| a * b).zip(minuend, |ab, c| c - ab)
    }
    #[inline(always)]
    fn round(self) -> Self {
        // Adding 1.5 * 2^23 leaves no room for a fraction. Good for |x| < 2^22, all that `exp` needs.
        const NO_FRACTION: f32 = 12_582_912.0;
        self.map(|x| (x + NO_FRACTION) - NO_FRACTION)
    }
    #[inline(always)]
    fn times_power_of_two(self, power: Self) -> Self {
        self.zip(power, |x, n| f32::from_bits(x.to_bits().wrapping_add(((n as i32) << 23) as u32)))
    }
    #[inline(always)]
    fn reciprocal(self) -> Self {
        self.map(|x| 1.0 / x)
    }
}
