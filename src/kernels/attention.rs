//! Self-attention.

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
    cpu::attention::{self as cpu, SelfAttention},
    engine::Engine,
    meaning,
    tape::{Operand, record},
};

/// Multi-head self-attention over all positions. Channel `(head * d + i) * 3 + j` of `qkv` is component i of
/// query (j = 0), key (1) or value (2). `normalize_eps`: EDM2 first divides each of the three, per head and
/// position, by `eps + rms`. qkv `[n, h, w, 3 c]` => `[n, h, w, c]`
pub fn attention(qkv: Tensor<4>, heads: usize, normalize_eps: Option<f64>) -> Tensor<4> {
    match Operand::<Flex>::try_from(qkv) {
        Ok(qkv) => attend(qkv, heads, normalize_eps),
        Err(qkv) => meaning::attention(qkv, heads, normalize_eps),
    }
}

fn attend<E: Attention>(qkv: Operand<E>, heads: usize, normalize_eps: Option<f64>) -> Tensor<4> {
    let [n, h, w, c3] = qkv.dims();
    assert!(heads > 0 && c3.is_multiple_of(3 * heads), "{heads} heads of {c3} channels");
    let normalize_eps = normalize_eps.map(|eps| eps as f32);
    let e = SelfAttention { n, hw: h * w, heads, d: c3 / 3 / heads, normalize_eps };
    let (output, kept) = E::self_attention(e, &qkv.array, [n, h, w, c3 / 3]);
    record([Some(qkv)], output, |[qkv]| {
        let qkv = qkv.expect("always given");
        move |gradient: E::Array, _: [bool; 1]| [Some(E::self_attention_gradient(e, &qkv, &kept, &gradient))]
    })
}

/// What an engine computes.
trait Attention: Engine {
    /// What the backward pass needs besides qkv.
    type Kept: Clone + Send + Sync + 'static;

    /// qkv `[n, h, w, 3 c]` => `out`: `[n, h, w, c]`
    fn self_attention(e: SelfAttention, qkv: &Self::Array, out: [usize; 4]) -> (Self::Array, Self::Kept);

    /// The gradient to qkv.
    fn self_attention_gradient(
        e: SelfAttention,
        qkv: &Self::Array,
        kept: &Self::Kept,
        gradient: &Self::Array,
    ) -> Self::Array;
}

impl Attention for Flex {
    /// The logarithm of the sum of every position's weights. `[n, heads, hw]`
    type Kept = Vec<f32>;

    fn self_attention(e: SelfAttention, qkv: &Array, out: [usize; 4]) -> (Array, Vec<f32>) {
        let mut log_sums = vec![0.0; e.n * e.heads * e.hw];
        let output = Array::build(out, |y| cpu::forward(e, qkv.values(), y, &mut log_sums));
        (output, log_sums)
    }

    fn self_attention_gradient(
        e: SelfAttention,
        qkv: &Array,
        log_sums: &Vec<f32>,
        gradient: &Array,
    ) -> Array {
        let (values, dy) = (qkv.values(), gradient.values());
        Array::build(qkv.dims::<4>(), |dqkv| cpu::backward(e, values, log_sums, dy, dqkv))
    }
}
