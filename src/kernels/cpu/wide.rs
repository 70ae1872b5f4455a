//! `wide`: plain loops, compiled for the widest vectors that this processor has.

use super::simd::InstructionSet;

/// Runs `work` in a copy compiled for the instruction set in use. The result is the same: nothing is fused or reordered.
/// `work` and what it calls must be `#[inline(always)]` to be compiled anew.
#[inline]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    match InstructionSet::current() {
        // SAFETY: the processor has what is in use.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { with_avx512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { with_avx2(work) },
        _ => work(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
fn with_avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}
