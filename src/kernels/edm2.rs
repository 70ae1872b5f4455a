//! What only EDM2 has: magnitude-preserving SiLU, pixel norm, weights that are normalised in use.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::{
        edm2 as cpu,
        normalized_rows::{self, Rows},
    },
    meaning,
    tape::{Operand, record},
};

/// Magnitude-preserving SiLU (EDM2): `silu(x * gain) / 0.596`, with an optional gain per sample and channel.
/// x `[n, h, w, c]`, gain `[n, c]` => `[n, h, w, c]`
pub fn mp_silu(x: Tensor<4>, gain: Option<Tensor<2>>) -> Tensor<4> {
    let Some(x) = Operand::of_cpu(&x) else { return meaning::mp_silu(x, gain) };
    let gain = gain.map(Operand::of);
    let dims @ [n, h, w, c] = x.array.dims();
    let output = Array::build(dims, |y| {
        let gain = gain.as_ref().map(|gain| gain.array.values());
        cpu::mp_silu([n, h * w, c], x.array.values(), gain, y);
    });
    record([Some(x), gain], output, |[x, gain]| {
        let x = x.expect("always given");
        move |gradient: Array, _: [bool; 2]| {
            let mut dgain = vec![0.0; n * c];
            let dx = Array::build(dims, |dx| {
                let gain = gain.as_ref().map(Array::values);
                cpu::mp_silu_gradient([n, h * w, c], x.values(), gain, gradient.values(), dx, &mut dgain);
            });
            [Some(dx), Some(Array::from_values(dgain, [n, c]))]
        }
    })
}

/// Pixel norm (EDM2): every position divided by `eps + rms over channels`. x `[n, h, w, c]` => `[n, h, w, c]`
pub fn pixel_norm(x: Tensor<4>, eps: f64) -> Tensor<4> {
    let Some(x) = Operand::of_cpu(&x) else { return meaning::pixel_norm(x, eps) };
    let dims: [usize; 4] = x.array.dims();
    let eps = eps as f32;
    let output = Array::build(dims, |y| cpu::pixel_norm(dims[3], eps, x.array.values(), y));
    record([Some(x)], output, |[x]| {
        let x = x.expect("always given");
        move |gradient: Array, _: [bool; 1]| {
            let (x, dy) = (x.values(), gradient.values());
            [Some(Array::build(dims, |dx| cpu::pixel_norm_gradient(dims[3], eps, x, dy, dx)))]
        }
    })
}

/// Weights as EDM2 uses them: every row over `eps + its root mean square`, times a constant and an optional learned
/// gain. weight `[k, ...]`, gain `[1]` => `[k, ...]`
pub fn normalize_rows<const D: usize>(
    weight: Tensor<D>,
    eps: f64,
    factor: f64,
    gain: Option<Tensor<1>>,
) -> Tensor<D> {
    let Some(weight) = Operand::of_cpu(&weight) else {
        return meaning::normalize_rows(weight, eps, factor, gain);
    };
    let gain = gain.map(Operand::of);
    let dims: [usize; D] = weight.array.dims();
    let rows = Rows { count: dims[0], eps: eps as f32, factor: factor as f32 };
    let gain_value = gain.as_ref().map_or(1.0, |gain| gain.array.values()[0]);
    let output =
        Array::build(dims, |out| normalized_rows::normalize(rows, gain_value, weight.array.values(), out));
    record([Some(weight), gain], output, |[weight, _]| {
        let weight = weight.expect("always given");
        move |gradient: Array, _: [bool; 2]| {
            let (w, dy, mut to_gain) = (weight.values(), gradient.values(), 0.0);
            let dw = Array::build(dims, |dw| {
                to_gain = normalized_rows::gradient(rows, gain_value, w, dy, dw);
            });
            [Some(dw), Some(Array::from_values(vec![to_gain], [1]))]
        }
    })
}
