//! Multi-head self-attention, one tile of queries of one head of one image per cube: the weights of all pairs of
//! positions are never held at once, and are computed again for the backward pass (`FlashAttention`, Dao et al. 2022).
//! Arithmetic is in f32 whatever the type. No sum's order depends on which cube is first.
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "an array of a unit's registers is not what its size on the host says"
)]

mod backward;
mod forward;
mod parts;
mod product;
mod tiles;

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};

/// One attention and its extents.
#[derive(Clone, Copy, Debug)]
pub struct SelfAttention {
    /// Images.
    pub n: usize,
    /// Positions of an image.
    pub hw: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub d: usize,
    /// Where given, queries, keys and values are divided by this plus their root mean square.
    pub normalize_eps: Option<f32>,
}

impl SelfAttention {
    fn scale(&self) -> f32 {
        (self.d as f32).sqrt().recip()
    }
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Queries, keys and values, normalised where wanted. `[3, n, heads, hw, d]`
    parts: CubeTensor,
    /// The root mean squares, where they are normalised. `[3, n, heads, hw]`
    rms: CubeTensor,
    /// The logarithm of the sum of each query's weights. `[n, heads, hw]`
    log_sums: CubeTensor,
    /// `[n, hw, heads * d]`
    y: CubeTensor,
}

/// qkv of `n * hw * 3 * heads * d` values, channel `(head * d + i) * 3 + j` component i of query (j = 0), key or value
/// => `out`: as many values as a third of it. Two launches.
pub fn forward(e: SelfAttention, qkv: CubeTensor, out: [usize; 4]) -> (CubeTensor, Kept) {
    let (parts, rms) = parts::take(e, into_contiguous(qkv));
    let (y, log_sums) = forward::forward(e, parts.clone(), out);
    (y.clone(), Kept { parts, rms, log_sums, y })
}

/// The gradient to qkv, whose shape is `qkv`, from that to y. Three launches.
pub fn backward(e: SelfAttention, kept: Kept, gradient: CubeTensor, qkv: [usize; 4]) -> CubeTensor {
    let Kept { parts, rms, log_sums, y } = kept;
    let to_parts = backward::backward(e, parts.clone(), log_sums, y, into_contiguous(gradient));
    parts::put(e, parts, rms, to_parts, qkv)
}
