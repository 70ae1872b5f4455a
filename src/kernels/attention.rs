//! Self-attention.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use super::{
    array::Array,
    cpu::attention::{self as cpu, SelfAttention},
    engine::{Engine, on_engine},
    meaning,
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::attention as gpu};

/// Multi-head self-attention over all positions. Channel `(head * d + i) * 3 + j` of `qkv` is component i of
/// query (j = 0), key (1) or value (2). `normalize_eps`: EDM2 first divides each of the three, per head and
/// position, by `eps + rms`. Arithmetic is in float32 whatever the type, as EDM weighs keys.
/// qkv `[n, h, w, 3 c]` => `[n, h, w, c]`
pub fn attention(qkv: Tensor<4>, heads: usize, normalize_eps: Option<f64>) -> Tensor<4> {
    on_engine!(qkv, |qkv| attend(qkv, heads, normalize_eps), |qkv| match qkv.dtype() {
        DType::F32 => meaning::attention(qkv, heads, normalize_eps),
        dtype => attention(qkv.cast(DType::F32), heads, normalize_eps).cast(dtype),
    })
}

fn attend<E: Attention>(qkv: Operand<E>, heads: usize, normalize_eps: Option<f64>) -> Tensor<4> {
    let [n, h, w, c3] = qkv.dims();
    assert!(heads > 0 && c3.is_multiple_of(3 * heads), "{heads} heads of {c3} channels");
    let normalize_eps = normalize_eps.map(|eps| eps as f32);
    let e = SelfAttention { n, hw: h * w, heads, d: c3 / 3 / heads, normalize_eps };
    let (output, kept) = E::self_attention(e, &qkv.array, [n, h, w, c3 / 3]);
    record([Some(qkv)], output, |_| {
        move |gradient: E::Array, _: [bool; 1]| {
            [Some(E::self_attention_gradient(e, kept, &gradient, [n, h, w, c3]))]
        }
    })
}

/// What an engine computes.
trait Attention: Engine {
    /// What the backward pass needs.
    type Kept: Clone + Send + Sync + 'static;

    /// qkv `[n, h, w, 3 c]` => `out`: `[n, h, w, c]`
    fn self_attention(e: SelfAttention, qkv: &Self::Array, out: [usize; 4]) -> (Self::Array, Self::Kept);

    /// The gradient to qkv, whose shape is `qkv`.
    fn self_attention_gradient(
        e: SelfAttention,
        kept: Self::Kept,
        gradient: &Self::Array,
        qkv: [usize; 4],
    ) -> Self::Array;
}

impl Attention for Flex {
    /// qkv, and the logarithm of the sum of every position's weights `[n, heads, hw]`.
    type Kept = (Array, Vec<f32>);

    fn self_attention(e: SelfAttention, qkv: &Array, out: [usize; 4]) -> (Array, Self::Kept) {
        let mut log_sums = vec![0.0; e.n * e.heads * e.hw];
        let output = Array::build(out, |y| cpu::forward(e, qkv.values(), y, &mut log_sums));
        (output, (qkv.clone(), log_sums))
    }

    fn self_attention_gradient(
        e: SelfAttention,
        (values, log_sums): Self::Kept,
        gradient: &Array,
        qkv: [usize; 4],
    ) -> Array {
        let (values, dy) = (values.values(), gradient.values());
        Array::build(qkv, |dqkv| cpu::backward(e, values, &log_sums, dy, dqkv))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Attention for Cube {
    type Kept = gpu::Kept;

    fn self_attention(e: SelfAttention, qkv: &Self::Array, out: [usize; 4]) -> (Self::Array, Self::Kept) {
        gpu::forward(on_gpu(e), qkv.clone(), out)
    }

    fn self_attention_gradient(
        e: SelfAttention,
        kept: Self::Kept,
        gradient: &Self::Array,
        qkv: [usize; 4],
    ) -> Self::Array {
        gpu::backward(on_gpu(e), kept, gradient.clone(), qkv)
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn on_gpu(e: SelfAttention) -> gpu::SelfAttention {
    let SelfAttention { n, hw, heads, d, normalize_eps } = e;
    gpu::SelfAttention { n, hw, heads, d, normalize_eps }
}
