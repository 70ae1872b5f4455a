//! Kernels on plain slices for CPUs: all of sida's `unsafe` code, and a crate of its own, so that the compiler forbids
//! it elsewhere. Vector intrinsics, raw pointers in inner loops, threads that share an array, an allocator. What
//! others may call is safe and checks all lengths.
#![expect(unsafe_code, reason = "this crate is where it belongs")]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![expect(
    clippy::inline_always,
    reason = "bodies must be inlined into the function with their target feature"
)]

pub mod adam;
pub mod attention;
mod box_muller;
pub mod dense;
pub mod edm2;
pub mod elementwise;
pub mod flat;
mod gemm;
pub mod im2col;
pub mod losses;
mod memory;
pub mod norm;
pub mod norm_gradient;
pub mod normalized_rows;
mod philox;
mod pool;
pub mod pooling;
pub mod random;
mod recycler;
pub mod resample;
pub mod samples;
mod simd;
pub mod sums;
mod transpose;
mod wide;
pub mod winograd;

pub use memory::filled;
pub use philox::Philox;
pub use pool::{THREADS, asked as asked_threads, threads, with_threads};
pub use recycler::Recycler;
pub use simd::InstructionSet;
pub use wide::wide;
