//! Whether products of f32 may be rounded to TF32.

/// Lets this thread's products and convolutions of f32 run on a GPU's tensor cores, which round what they multiply to
/// TF32's ten bits and add in f32; or, from the beginning, not. CPUs never round.
pub fn allow_tf32(allowed: bool) {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    super::gpu::tf32::allow(allowed);
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    let _ = allowed;
}
