//! Every kernel against the CPU's, on whatever GPU there is. Without one, a line says so and nothing is tested.
//!
//! `SIDA_DEVICE=cuda:0` or `wgpu` names the device; by default any. On a machine without a GPU, Mesa's lavapipe
//! (`mesa-vulkan-drivers`) is one.

#[path = "against_cpu/attention.rs"]
mod attention;
#[path = "against_cpu/collective.rs"]
mod collective;
#[path = "against_cpu/conv.rs"]
mod conv;
#[path = "against_cpu/edm2.rs"]
mod edm2;
#[path = "against_cpu/elementwise.rs"]
mod elementwise;
#[path = "against_cpu/flat.rs"]
mod flat;
#[path = "against_cpu/group_norm.rs"]
mod group_norm;
#[path = "against_cpu/pixel_norm.rs"]
mod pixel_norm;
#[path = "against_cpu/pooling.rs"]
mod pooling;
#[path = "against_cpu/random.rs"]
mod random;
#[path = "against_cpu/read.rs"]
mod read;
#[path = "against_cpu/resample.rs"]
mod resample;
#[path = "against_cpu/support.rs"]
mod support;
#[path = "against_cpu/tuning.rs"]
mod tuning;
#[path = "against_cpu/upload.rs"]
mod upload;
#[path = "against_cpu/warp.rs"]
mod warp;
