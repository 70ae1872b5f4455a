//! Kernels for GPUs, in CubeCL: one source for CUDA, Vulkan, Metal and DirectX. A crate of its own, like the CPU's: it
//! knows tensors of GPUs and nothing of this house, and is built and tested alone.
//!
//! Values are f32, f16 or bf16; sums are always f32. Tensors are taken in any layout and made contiguous where a
//! kernel needs rows.
#![deny(clippy::undocumented_unsafe_blocks)]
#![allow(
    clippy::used_underscore_binding,
    reason = "a kernel is told its types by arguments that its body does not name"
)]

pub mod attention;
pub mod column_sums;
pub mod conv;
pub mod dense;
mod launch;
pub mod pixel_norm;
mod product;
pub mod resample;
mod sum;
