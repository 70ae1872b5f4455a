//! How large one tensor may be.

use burn_cubecl::tensor::CubeTensor;

/// The most bytes that one tensor may have on the device of `there`: what it allocates at once, and what a kernel may be
/// given of it (2 GiB through Vulkan and `DirectX`, a quarter of the memory on CUDA).
pub fn tensor(there: &CubeTensor) -> u64 {
    there.client.properties().memory.max_page_size
}

/// The bytes of memory of the device of `there`, where its interface says: CUDA the card's, Vulkan its largest heap, Metal what
/// it recommends.
pub fn memory(there: &CubeTensor) -> Option<u64> {
    there.client.properties().memory.max_memory()
}
