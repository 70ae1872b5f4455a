//! Sums, concatenation, activations.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::elementwise::{self as cpu, Columns},
    meaning,
    tape::{Operand, record},
};

/// `a * weight_a + b * weight_b`: residual sums and EDM2's `mp_sum`. With a limit, values beyond +-limit are held
/// there and pass no gradient. All `[n, h, w, c]`
pub fn weighted_sum(
    a: Tensor<4>,
    weight_a: f64,
    b: Tensor<4>,
    weight_b: f64,
    limit: Option<f64>,
) -> Tensor<4> {
    let Some(a) = Operand::of_cpu(&a) else { return meaning::weighted_sum(a, weight_a, b, weight_b, limit) };
    let b = Operand::of(b);
    let dims: [usize; 4] = a.array.dims();
    assert_eq!(dims, b.array.dims(), "a sum needs equal extents");
    let weights = [weight_a as f32, weight_b as f32];
    let mut largest = 0.0;
    let sum = Array::build(dims, |out| {
        largest = cpu::weighted_sum(a.array.values(), weights[0], b.array.values(), weights[1], out);
    });
    // As a rule nothing is that large, and the limit costs nothing. (NaN is not; it stays what it is.)
    let limit = limit.map(|limit| limit as f32).filter(|limit| largest > *limit);
    // The sum and its limit, where some of it was beyond.
    let (output, held) = match limit {
        Some(limit) => {
            let held = Array::build(dims, |out| cpu::hold(sum.values(), limit, out));
            (held, Some((sum, limit)))
        }
        None => (sum, None),
    };
    record([Some(a), Some(b)], output, |_| {
        move |gradient: Array, wanted: [bool; 2]| {
            let gradient = match &held {
                Some((sum, limit)) => {
                    Array::build(dims, |out| cpu::within(sum.values(), *limit, gradient.values(), out))
                }
                None => gradient,
            };
            let times = |weight: f32| match weight {
                1.0 => gradient.clone(),
                _ => Array::build(dims, |out| cpu::scale(gradient.values(), weight, out)),
            };
            let a = wanted[0].then(|| times(weights[0]));
            let b = wanted[1].then(|| match &a {
                Some(a) if weights[0].to_bits() == weights[1].to_bits() => a.clone(),
                _ => times(weights[1]),
            });
            [a, b]
        }
    })
}

/// Concatenation along channels, each part times its weight (EDM2's `mp_cat`; weights 1 elsewhere).
/// `[n, h, w, ca]`, `[n, h, w, cb]` => `[n, h, w, ca + cb]`
pub fn concat(a: Tensor<4>, weight_a: f64, b: Tensor<4>, weight_b: f64) -> Tensor<4> {
    let Some(a) = Operand::of_cpu(&a) else { return meaning::concat(a, weight_a, b, weight_b) };
    let b = Operand::of(b);
    let [n, h, w, ca] = a.array.dims();
    let [_, _, _, cb] = b.array.dims();
    assert_eq!(b.array.dims(), [n, h, w, cb], "a concatenation needs equal positions");
    let sides = [
        Columns { wide: ca + cb, offset: 0, width: ca, weight: weight_a as f32 },
        Columns { wide: ca + cb, offset: ca, width: cb, weight: weight_b as f32 },
    ];
    let output = Array::build([n, h, w, ca + cb], |out| {
        cpu::put_columns(a.array.values(), out, sides[0]);
        cpu::put_columns(b.array.values(), out, sides[1]);
    });
    record([Some(a), Some(b)], output, |_| {
        move |gradient: Array, wanted: [bool; 2]| {
            std::array::from_fn(|i| {
                let take = |out: &mut [f32]| cpu::take_columns(gradient.values(), out, sides[i]);
                wanted[i].then(|| Array::build([n, h, w, sides[i].width], take))
            })
        }
    })
}

/// x times sigmoid(x), elementwise.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    elementwise(x, meaning::silu, cpu::silu, cpu::silu_gradient)
}

/// The larger of x and 0, elementwise.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    elementwise(x, meaning::relu, cpu::relu, cpu::relu_gradient)
}

/// Writes an operation's output from x.
type Forward = fn(&[f32], &mut [f32]);
/// Writes the gradient to x from x and the output gradient.
type Gradient = fn(&[f32], &[f32], &mut [f32]);

fn elementwise<const D: usize>(
    x: Tensor<D>,
    meaning: fn(Tensor<D>) -> Tensor<D>,
    forward: Forward,
    gradient: Gradient,
) -> Tensor<D> {
    let Some(x) = Operand::of_cpu(&x) else { return meaning(x) };
    let dims: [usize; D] = x.array.dims();
    let output = Array::build(dims, |out| forward(x.array.values(), out));
    record([Some(x)], output, |[x]| {
        let x = x.expect("always given");
        move |dy: Array, _: [bool; 1]| [Some(Array::build(dims, |dx| gradient(x.values(), dy.values(), dx)))]
    })
}
