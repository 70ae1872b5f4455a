//! Vectors of AVX-512 and of AVX2 with FMA.

use std::arch::x86_64::{
    __m256, __m256i, __m512, _mm256_add_epi32, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps_pd,
    _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_cvtps_epi32, _mm256_div_ps,
    _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_maskload_ps, _mm256_maskstore_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_rcp_ps, _mm256_round_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_slli_epi32, _mm256_sqrt_ps,
    _mm256_storeu_ps, _mm256_sub_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd,
    _mm256_unpacklo_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_div_ps, _mm512_fmadd_ps,
    _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_rcp14_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps,
    _mm512_shuffle_f32x4, _mm512_sqrt_ps, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_pd,
    _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::Simd;

/// Methods that are one intrinsic each.
macro_rules! intrinsics {
    ($($name:ident($($a:ident),*) = $intrinsic:path;)*) => {
        $(#[inline(always)]
        fn $name(self $(, $a: Self)*) -> Self {
            // SAFETY: a vector shows that the instruction set is there.
            unsafe { $intrinsic(self $(, $a)*) }
        })*
    };
}

/// Transposes 4x4 blocks: within 128 bits, lane i of vector 4 r + j becomes lane j of vector 4 r + i.
macro_rules! transpose_quads {
    ($v:ident, $low:path, $high:path, $low_pairs:path, $high_pairs:path, $pairs:path, $singles:path) => {
        for quad in $v[..Self::LANES].chunks_exact_mut(4) {
            let (a, b) = ($pairs($low(quad[0], quad[1])), $pairs($high(quad[0], quad[1])));
            let (c, d) = ($pairs($low(quad[2], quad[3])), $pairs($high(quad[2], quad[3])));
            quad[0] = $singles($low_pairs(a, c));
            quad[1] = $singles($high_pairs(a, c));
            quad[2] = $singles($low_pairs(b, d));
            quad[3] = $singles($high_pairs(b, d));
        }
    };
}

// SAFETY: AVX-512 intrinsics only, on the lanes that the trait says.
unsafe impl Simd for __m512 {
    const LANES: usize = 16;
    const ROWS: usize = 8;
    intrinsics! {
        add(other) = _mm512_add_ps;
        sub(other) = _mm512_sub_ps;
        mul(other) = _mm512_mul_ps;
        div(other) = _mm512_div_ps;
        sqrt() = _mm512_sqrt_ps;
        min(other) = _mm512_min_ps;
        max(other) = _mm512_max_ps;
        mul_add(factor, addend) = _mm512_fmadd_ps;
        mul_sub_from(factor, minuend) = _mm512_fnmadd_ps;
        round() = _mm512_roundscale_ps::<0>;
        times_power_of_two(power) = _mm512_scalef_ps;
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for 16 lanes.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: masked lanes are not touched; the caller vouches for the others.
        unsafe { _mm512_maskz_loadu_ps(mask16(count), from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for 16 lanes.
        unsafe { _mm512_storeu_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: masked lanes are not touched; the caller vouches for the others.
        unsafe { _mm512_mask_storeu_ps(to, mask16(count), self) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: no pointers; the caller vouches for the instruction set.
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    fn transpose(mut v: [Self; 16]) -> [Self; 16] {
        // SAFETY: a vector shows that the instruction set is there.
        unsafe {
            transpose_quads!(
                v,
                _mm512_unpacklo_ps,
                _mm512_unpackhi_ps,
                _mm512_unpacklo_pd,
                _mm512_unpackhi_pd,
                _mm512_castps_pd,
                _mm512_castpd_ps
            );
            // Now block b of vector 4 i + j holds column 4 b + j of rows 4 i to 4 i + 3.
            let mut columns = v;
            for j in 0..4 {
                let even_low = _mm512_shuffle_f32x4::<0x88>(v[j], v[4 + j]);
                let odd_low = _mm512_shuffle_f32x4::<0xdd>(v[j], v[4 + j]);
                let even_high = _mm512_shuffle_f32x4::<0x88>(v[8 + j], v[12 + j]);
                let odd_high = _mm512_shuffle_f32x4::<0xdd>(v[8 + j], v[12 + j]);
                columns[j] = _mm512_shuffle_f32x4::<0x88>(even_low, even_high);
                columns[4 + j] = _mm512_shuffle_f32x4::<0x88>(odd_low, odd_high);
                columns[8 + j] = _mm512_shuffle_f32x4::<0xdd>(even_low, even_high);
                columns[12 + j] = _mm512_shuffle_f32x4::<0xdd>(odd_low, odd_high);
            }
            columns
        }
    }
    #[inline(always)]
    fn reciprocal(self) -> Self {
        // SAFETY: a vector shows that the instruction set is there.
        unsafe {
            // One Newton step doubles the 14 bits of the estimate.
            let r = _mm512_rcp14_ps(self);
            _mm512_mul_ps(r, _mm512_fnmadd_ps(self, r, _mm512_set1_ps(2.0)))
        }
    }
}

#[inline(always)]
fn mask16(count: usize) -> u16 {
    ((1u32 << count) - 1) as u16
}

// SAFETY: AVX2 and FMA intrinsics only, on the lanes that the trait says.
unsafe impl Simd for __m256 {
    const LANES: usize = 8;
    const ROWS: usize = 6;
    intrinsics! {
        add(other) = _mm256_add_ps;
        sub(other) = _mm256_sub_ps;
        mul(other) = _mm256_mul_ps;
        div(other) = _mm256_div_ps;
        sqrt() = _mm256_sqrt_ps;
        min(other) = _mm256_min_ps;
        max(other) = _mm256_max_ps;
        mul_add(factor, addend) = _mm256_fmadd_ps;
        mul_sub_from(factor, minuend) = _mm256_fnmadd_ps;
        round() = _mm256_round_ps::<8>;
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for 8 lanes.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: masked lanes are not touched; the caller vouches for the others.
        unsafe { _mm256_maskload_ps(from, mask8(count)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for 8 lanes.
        unsafe { _mm256_storeu_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: masked lanes are not touched; the caller vouches for the others.
        unsafe { _mm256_maskstore_ps(to, mask8(count), self) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: no pointers; the caller vouches for the instruction set.
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    fn times_power_of_two(self, power: Self) -> Self {
        // SAFETY: a vector shows that the instruction set is there.
        unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(power));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self), exponent))
        }
    }
    #[inline(always)]
    fn transpose(mut v: [Self; 16]) -> [Self; 16] {
        // SAFETY: a vector shows that the instruction set is there.
        unsafe {
            transpose_quads!(
                v,
                _mm256_unpacklo_ps,
                _mm256_unpackhi_ps,
                _mm256_unpacklo_pd,
                _mm256_unpackhi_pd,
                _mm256_castps_pd,
                _mm256_castpd_ps
            );
            let mut columns = v;
            for j in 0..4 {
                columns[j] = _mm256_permute2f128_ps::<0x20>(v[j], v[4 + j]);
                columns[4 + j] = _mm256_permute2f128_ps::<0x31>(v[j], v[4 + j]);
            }
            columns
        }
    }
    #[inline(always)]
    fn reciprocal(self) -> Self {
        // SAFETY: no pointers; the caller vouches for the instruction set.
        unsafe {
            // Two Newton steps from the 12 bits of the estimate.
            let two = _mm256_set1_ps(2.0);
            let r = _mm256_rcp_ps(self);
            let r = _mm256_mul_ps(r, _mm256_fnmadd_ps(self, r, two));
            _mm256_mul_ps(r, _mm256_fnmadd_ps(self, r, two))
        }
    }
}

/// All bits set in the first `count` lanes.
#[inline(always)]
unsafe fn mask8(count: usize) -> __m256i {
    // SAFETY: no pointers; the caller vouches for the instruction set.
    unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
}
