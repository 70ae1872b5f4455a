//! Kernels on plain slices for CPUs. The only place of the crate with `unsafe` code: vector intrinsics, raw
//! pointers in inner loops, and threads that share an array. Each kernel's safe entry checks all lengths.
#![allow(
    unsafe_code,
    reason = "vector intrinsics and raw pointers; every entry point is safe and checks lengths"
)]
#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "kernel bodies are unsafe as a whole; their contracts are stated once"
)]
#![allow(clippy::too_many_arguments, reason = "kernels take pointers and extents one by one")]
#![allow(
    clippy::inline_always,
    reason = "bodies must be inlined into the function with their target feature"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "private kernels: pointers must be valid for the extents given"
)]
#![allow(clippy::needless_range_loop, reason = "indices of tiles are coordinates")]
#![allow(clippy::cast_possible_wrap, reason = "extents of images are far below isize::MAX")]

pub(crate) mod adam;
pub(crate) mod attention;
pub(crate) mod dense;
pub(crate) mod edm2;
pub(crate) mod elementwise;
pub(crate) mod gemm;
pub(crate) mod im2col;
pub(crate) mod memory;
pub(crate) mod norm;
pub(crate) mod norm_gradient;
pub(crate) mod normalized_rows;
pub(crate) mod pool;
pub(crate) mod pooling;
pub(crate) mod resample;
pub(crate) mod simd;
pub(crate) mod transpose;
pub(crate) mod winograd;
