//! The tensor operations that networks and losses spend their time in, behind plain functions.
//!
//! Activations are NHWC (`[n, h, w, c]`) throughout a network; only its 1- or 3-channel ends convert. Weights
//! have the reference's shapes (`[out, in, kh, kw]`, `[out, in]`); how a device keeps them says `WeightOrder`. What
//! is differentiable and what is off the tape says each function. It stands once over an `engine`: the CPU's, which
//! takes f32 to the crate in `cpu/`, or a GPU's, which takes every float to the one in `gpu/`. Half precision on a CPU
//! passes through f32 in what is long, and is Burn's in the rest. `meaning` says what each operation is, in Burn tensors:
//! the judge of the engines, and that rest.

use sida_cpu_kernels as cpu;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use sida_gpu_kernels as gpu;

mod accumulate;
mod adam;
mod array;
mod attention;
mod channel_mean;
mod collective;
mod concat;
mod conv;
mod curve;
mod dense;
mod edm2;
mod elementwise;
mod engine;
mod flat;
mod graph;
mod host;
mod largest;
mod layout;
mod losses;
pub mod meaning;
mod memory;
mod norm;
mod pixel_norm;
mod pooling;
mod random;
mod recompute;
mod resample;
mod samples;
mod solver;
mod tape;
mod tf32;
mod tuning;
mod upload;
mod warp;
mod weight_order;

pub use accumulate::{backward, plus};
pub use adam::{AdamStep, adam, lerp};
pub use attention::attention;
pub use channel_mean::channel_mean;
pub use collective::{Nccl, Seat, all_reduce, join, meet_at, nccl};
pub use concat::concat;
pub use conv::{conv2d, conv2d_with};
pub use cpu::{InstructionSet, Recycler, THREADS, asked_threads, threads, wide, with_threads};
pub use curve::{exponential, power};
pub use dense::dense;
pub use edm2::{mp_silu, normalize_rows};
pub use elementwise::{relu, silu, weighted_sum};
pub use flat::{Places, add_gathered, clean, gather, view};
pub use graph::{Graph, Home, Slots, home, settle};
pub use host::{Reading, host, read};
pub use largest::largest_tensor;
pub use layout::{to_nchw, to_nhwc};
pub use losses::{mean_distance, score_identity, squared_error, total};
pub use memory::{Memory, memory};
pub use norm::{GroupNorm, group_norm};
pub use pixel_norm::pixel_norm;
pub use pooling::{average_pool, max_pool};
pub use random::{Keys, drop_activations, normals, uniforms};
pub use recompute::{Block, block};
pub use resample::{downsample, downsample_with, upsample};
pub use samples::{blend, have_nan, only, scale};
pub use solver::{advance, advance_between, cast, slope};
pub use tf32::allow_tf32;
pub use tuning::keep_choices;
pub use upload::{from_bytes, one_hot};
pub use warp::{Pose, poses, warp};
pub use weight_order::WeightOrder;
