//! How large one tensor may be.

use burn::tensor::{DType, Device, Tensor};

use super::engine::Placed;

/// The most bytes that one tensor may have on a device; without a limit on the CPU.
pub fn largest_tensor(device: &Device) -> Option<u64> {
    match Placed::of(Tensor::<1>::empty([1], (device, DType::F32))) {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        Placed::Gpu(there) => Some(super::gpu::largest::tensor(&there.into_array())),
        Placed::Cpu(_) | Placed::Elsewhere(_) => None,
    }
}
