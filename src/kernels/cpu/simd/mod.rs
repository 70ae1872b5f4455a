//! Vectors of f32 behind one trait, and the choice among AVX-512, AVX2 and portable code at run time.
//!
//! A kernel is one function, generic over [`Simd`]; [`dispatch!`] compiles it once per instruction set, inlined into a
//! function with that `#[target_feature]`, and picks one per call.

mod math;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

pub(crate) use math::{exp, sigmoid, silu_derivative};
pub(crate) use portable::Portable;

/// A vector of `LANES` f32.
///
/// # Safety
/// Loading, storing and `splat` need pointers valid for the lanes they touch (`LANES`, or the first `count` in the
/// `_part` methods) and the instruction set that the implementor stands for. No vector comes from anywhere else, so
/// who has one may calculate with it.
pub(crate) unsafe trait Simd: Copy {
    /// Number of f32 in one vector.
    const LANES: usize;
    /// How many rows of two vectors each, sums of a matrix product, the registers hold besides their operands.
    const ROWS: usize;
    unsafe fn load(from: *const f32) -> Self;
    /// The first `count` lanes, `1..=LANES`; the others are zero.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// Stores the first `count` lanes, `1..=LANES`.
    unsafe fn store_part(self, to: *mut f32, count: usize);
    unsafe fn splat(value: f32) -> Self;
    /// Another vector, of this value.
    #[inline(always)]
    fn all(self, value: f32) -> Self {
        // SAFETY: `self` shows that the instruction set is there.
        unsafe { Self::splat(value) }
    }
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    /// The smaller one; `other` where either is NaN.
    fn min(self, other: Self) -> Self;
    /// The larger one; `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// `self * factor + addend`
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `minuend - self * factor`
    fn mul_sub_from(self, factor: Self, minuend: Self) -> Self;
    /// To the nearest integer.
    fn round(self) -> Self;
    /// `self * 2^power`, for integral powers that leave the result normal.
    fn times_power_of_two(self, power: Self) -> Self;
    /// `1 / self`, to within 2 units in the last place.
    fn reciprocal(self) -> Self;
    /// Lane j of vector i becomes lane i of vector j, for the first `LANES` vectors.
    #[inline(always)]
    fn transpose(vectors: [Self; 16]) -> [Self; 16] {
        let rows = vectors.map(Self::lanes);
        let mut columns = vectors;
        for (j, column) in columns.iter_mut().enumerate().take(Self::LANES) {
            let lanes: [f32; 16] = std::array::from_fn(|i| rows[i][j]);
            // SAFETY: `LANES` is at most 16; the vectors show that the instruction set is there.
            *column = unsafe { Self::load(lanes.as_ptr()) };
        }
        columns
    }
    /// The lanes, and zeros.
    #[inline(always)]
    fn lanes(self) -> [f32; 16] {
        let mut lanes = [0.0; 16];
        // SAFETY: `LANES` is at most 16.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes
    }
    /// The sum of all lanes, in a fixed order.
    #[inline(always)]
    fn sum(self) -> f32 {
        self.lanes()[..Self::LANES].iter().sum()
    }
    /// The largest lane.
    #[inline(always)]
    fn largest(self) -> f32 {
        self.lanes()[..Self::LANES].iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
}

/// The first `count` lanes; `load_part` only where it must be.
#[inline(always)]
pub(crate) unsafe fn load<V: Simd>(from: *const f32, count: usize) -> V {
    // SAFETY: as the caller vouches.
    unsafe { if count == V::LANES { V::load(from) } else { V::load_part(from, count) } }
}

/// Stores the first `count` lanes likewise.
#[inline(always)]
pub(crate) unsafe fn store<V: Simd>(value: V, to: *mut f32, count: usize) {
    // SAFETY: as the caller vouches.
    unsafe { if count == V::LANES { value.store(to) } else { value.store_part(to, count) } }
}

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum InstructionSet {
    /// Plain Rust; runs anywhere.
    Portable = 1,
    /// AVX2 and FMA (x86-64 from 2013 on).
    Avx2 = 2,
    /// AVX-512 F, DQ, VL, BW.
    Avx512 = 3,
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

impl InstructionSet {
    /// The best that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            if avx2 && avx512 {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Uses the one that `SIDA_KERNELS` names (`avx512`, `avx2`, `portable`), where it is set. For tests and
    /// benchmarks. Returns the one in use.
    ///
    /// # Panics
    /// There is no such instruction set, or the processor does not have it.
    pub fn force_by_environment() -> Self {
        let Ok(name) = std::env::var("SIDA_KERNELS") else { return Self::current() };
        let asked = match name.as_str() {
            "avx512" => Self::Avx512,
            "avx2" => Self::Avx2,
            "portable" => Self::Portable,
            _ => panic!("SIDA_KERNELS={name}: it is `avx512`, `avx2` or `portable`"),
        };
        assert_eq!(asked.force(), asked, "this processor does not have {name}");
        asked
    }

    /// The one in use: the best there is, unless [`InstructionSet::force`] said otherwise.
    #[inline]
    pub fn current() -> Self {
        match CHOSEN.load(Relaxed) {
            1 => Self::Portable,
            2 => Self::Avx2,
            3 => Self::Avx512,
            _ => {
                let best = Self::detect();
                CHOSEN.store(best as u8, Relaxed);
                best
            }
        }
    }

    /// Uses this one from now on, in the whole process, or the best there is where this is more than the
    /// processor has. For tests and benchmarks. Returns the one in use.
    #[expect(clippy::return_self_not_must_use, reason = "forcing is the point")]
    pub fn force(self) -> Self {
        let chosen = self.min(Self::detect());
        CHOSEN.store(chosen as u8, Relaxed);
        chosen
    }
}

/// `dispatch!(unsafe fn name<V: Simd>(a: A, ..) { body });` defines `unsafe fn name(a: A, ..)`, which runs the body
/// compiled for the instruction set in use; V stands for its vectors. One more parameter may follow: `T: Trait`.
///
/// Safety: pointers must be valid for the extents given with them, nothing else may write there, and nothing else
/// may read where the kernel writes.
macro_rules! dispatch {
    (
        $(#[$doc:meta])*
        $vis:vis unsafe fn $name:ident<$v:ident: $simd:ident $(, $t:ident: $trait:path)?>(
            $($a:ident: $type:ty),* $(,)?
        ) { $($body:tt)* }
    ) => {
        $(#[$doc])*
        $vis unsafe fn $name$(<$t: $trait>)?($($a: $type),*) {
            use $crate::simd::{InstructionSet, Portable};
            #[inline(always)]
            unsafe fn body<$v: $simd $(, $t: $trait)?>($($a: $type),*) {
                // SAFETY: as the caller vouches; below, each vector meets its own instruction set.
                unsafe { $($body)* }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
            unsafe fn avx512$(<$t: $trait>)?($($a: $type),*) {
                // SAFETY: as the caller vouches.
                unsafe { body::<std::arch::x86_64::__m512 $(, $t)?>($($a),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2$(<$t: $trait>)?($($a: $type),*) {
                // SAFETY: as the caller vouches.
                unsafe { body::<std::arch::x86_64::__m256 $(, $t)?>($($a),*) }
            }
            // SAFETY: the processor has what is in use; the rest as the caller vouches.
            unsafe {
                match InstructionSet::current() {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => avx512$(::<$t>)?($($a),*),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => avx2$(::<$t>)?($($a),*),
                    _ => body::<Portable $(, $t)?>($($a),*),
                }
            }
        }
    };
}
pub(crate) use dispatch;

/// `for_lanes!(V, n, |i, count| { .. })` runs the block for i = 0, LANES, 2 LANES .. < n with `count` lanes left.
macro_rules! for_lanes {
    ($v:ident, $n:expr, |$i:ident, $count:ident| $block:block) => {{
        let n: usize = $n;
        let mut $i = 0;
        while $i < n {
            let $count = usize::min(<$v as $crate::simd::Simd>::LANES, n - $i);
            $block
            $i += <$v as $crate::simd::Simd>::LANES;
        }
    }};
}
pub(crate) use for_lanes;
