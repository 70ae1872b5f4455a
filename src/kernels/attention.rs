//! Self-attention.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::attention::{self as cpu, SelfAttention},
    meaning,
    tape::{Operand, record},
};

/// Multi-head self-attention over all positions. Channel `(head * d + i) * 3 + j` of `qkv` is component i of
/// query (j = 0), key (1) or value (2). `normalize_eps`: EDM2 first divides each of the three, per head and
/// position, by `eps + rms`. qkv `[n, h, w, 3 c]` => `[n, h, w, c]`
pub fn attention(qkv: Tensor<4>, heads: usize, normalize_eps: Option<f64>) -> Tensor<4> {
    let Some(qkv) = Operand::of_cpu(&qkv) else { return meaning::attention(qkv, heads, normalize_eps) };
    let dims @ [n, h, w, c3] = qkv.array.dims();
    assert!(heads > 0 && c3.is_multiple_of(3 * heads), "{heads} heads of {c3} channels");
    let normalize_eps = normalize_eps.map(|eps| eps as f32);
    let e = SelfAttention { n, hw: h * w, heads, d: c3 / 3 / heads, normalize_eps };
    let mut log_sums = vec![0.0; n * heads * h * w];
    let output = Array::build([n, h, w, c3 / 3], |y| cpu::forward(e, qkv.array.values(), y, &mut log_sums));
    record([Some(qkv)], output, |[qkv]| {
        let qkv = qkv.expect("always given");
        move |gradient: Array, _: [bool; 1]| {
            let (qkv, dy) = (qkv.values(), gradient.values());
            [Some(Array::build(dims, |dqkv| cpu::backward(e, qkv, &log_sums, dy, dqkv)))]
        }
    })
}
