//! How much memory a device has.

use burn::tensor::{DType, Device, Tensor};

use super::engine::Placed;
use crate::host_memory;

/// The memory that there is for tensors, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// All of a GPU's own; what other programs have of it is not known.
    Gpu(u64),
    /// What the system can give to its programs at this moment.
    Host(u64),
}

impl Memory {
    /// What each of so many processes has, which have a GPU each or are on one machine.
    pub fn share(self, processes: u64) -> u64 {
        match self {
            Self::Gpu(bytes) => bytes,
            Self::Host(bytes) => bytes / processes.max(1),
        }
    }
}

/// The memory of a device, where that is known.
pub fn memory(device: &Device) -> Option<Memory> {
    match Placed::of(Tensor::<1>::empty([1], (device, DType::F32))) {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        Placed::Gpu(there) => super::gpu::largest::memory(&there.into_array()).map(Memory::Gpu),
        Placed::Cpu(_) | Placed::Elsewhere(_) => Some(Memory::Host(host_memory::read()?.available)),
    }
}
