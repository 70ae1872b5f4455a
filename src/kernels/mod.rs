//! The tensor operations that networks spend their time in, behind plain functions.
//!
//! Activations are NHWC (`[n, h, w, c]`) throughout a network; only its 1- or 3-channel ends convert. Weights
//! keep the reference's layouts (`[out, in, kh, kw]`, `[out, in]`), so nothing is transposed on load. Every
//! function is differentiable. `meaning` says what each one is, in Burn tensors; f32 tensors of the CPU take the
//! fast paths of the crate in `cpu/`, all others that one.

use sida_cpu_kernels as cpu;

mod adam;
mod array;
mod attention;
mod conv;
mod dense;
mod edm2;
mod elementwise;
mod flat;
mod layout;
pub mod meaning;
mod norm;
mod pooling;
mod resample;
mod tape;

pub use adam::{AdamStep, adam, lerp};
pub use attention::attention;
pub use conv::{conv2d, conv2d_with};
pub use cpu::{InstructionSet, Recycler, threads, wide, with_threads};
pub use dense::dense;
pub use edm2::{mp_silu, normalize_rows, pixel_norm};
pub use elementwise::{concat, relu, silu, weighted_sum};
pub use flat::{Places, add_gathered, clean, gather, view};
pub use layout::{to_nchw, to_nhwc};
pub use norm::{GroupNorm, group_norm};
pub use pooling::{average_pool, max_pool};
pub use resample::{downsample, upsample};
