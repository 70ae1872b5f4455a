//! `wide`: plain loops over integers, compiled for the widest vectors that this processor has.

/// Runs `work`, on processors with AVX2 in a copy compiled for it. The result is the same: whole numbers do not
/// depend on the width of vectors, and nothing is fused or reordered. `work` and what it calls must be
/// `#[inline(always)]` to be compiled anew.
#[inline]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as just asked.
            return unsafe { with_avx2(work) };
        }
    }
    work()
}
