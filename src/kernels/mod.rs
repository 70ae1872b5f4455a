//! The tensor operations that networks spend their time in, behind plain functions.
//!
//! Activations are NHWC (`[n, h, w, c]`) throughout a network; only its 1- or 3-channel ends convert. Weights
//! keep the reference's layouts (`[out, in, kh, kw]`, `[out, in]`), so nothing is transposed on load. Every
//! function is differentiable. `reference` says what each one means, in Burn tensors.

pub mod reference;

pub use reference::{
    AdamStep, GroupNorm, adam, attention, concat, conv2d, conv2d_with, dense, downsample, group_norm, lerp,
    mp_silu, pixel_norm, silu, to_nchw, to_nhwc, upsample, weighted_sum,
};
