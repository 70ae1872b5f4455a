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

pub mod adam;
pub mod attention;
mod box_muller;
pub mod collective;
pub mod column_sums;
pub mod concat;
pub mod conv;
pub mod curve;
pub mod dense;
pub mod elementwise;
pub mod flat;
pub mod graph;
pub mod group_norm;
pub mod largest;
mod launch;
pub mod losses;
pub mod mp_silu;
pub mod normalized_rows;
pub mod pixel_norm;
pub mod pooling;
pub mod random;
pub mod read;
pub mod resample;
pub mod samples;
mod silu;
mod sum;
pub mod tf32;
pub mod tuning;
pub mod upload;
pub mod warp;
