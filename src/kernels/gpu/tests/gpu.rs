//! Every kernel against the CPU's, on whatever GPU there is. Without one, a line says so and nothing is tested.
//!
//! `SIDA_DEVICE=cuda:0` or `wgpu` names the device; by default any. On a machine without a GPU, Mesa's lavapipe
//! (`mesa-vulkan-drivers`) is one.

#[path = "gpu/attention.rs"]
mod attention;
#[path = "gpu/collective.rs"]
mod collective;
#[path = "gpu/conv.rs"]
mod conv;
#[path = "gpu/edm2.rs"]
mod edm2;
#[path = "gpu/elementwise.rs"]
mod elementwise;
#[path = "gpu/flat.rs"]
mod flat;
#[path = "gpu/group_norm.rs"]
mod group_norm;
#[path = "gpu/pixel_norm.rs"]
mod pixel_norm;
#[path = "gpu/pooling.rs"]
mod pooling;
#[path = "gpu/random.rs"]
mod random;
#[path = "gpu/read.rs"]
mod read;
#[path = "gpu/resample.rs"]
mod resample;
#[path = "gpu/support.rs"]
mod support;
#[path = "gpu/tuning.rs"]
mod tuning;
#[path = "gpu/upload.rs"]
mod upload;
#[path = "gpu/warp.rs"]
mod warp;
