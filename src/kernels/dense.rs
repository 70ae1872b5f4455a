//! Dense layers.

use burn::tensor::Tensor;

use super::{
    conv::{Way, apply},
    meaning,
    tape::Operand,
};

/// A dense layer. x `[m, c]`, weight `[k, c]`, bias `[k]` => `[m, k]`
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let Some(x) = Operand::of_cpu(&x) else { return meaning::dense(x, weight, bias) };
    let (weight, bias) = (Operand::of(weight), bias.map(Operand::of));
    let [m, c] = x.array.dims();
    let [k, weight_c] = weight.array.dims();
    assert_eq!(c, weight_c, "a dense layer of {weight_c} inputs got {c}");
    apply::<2, 2>(Way::Dense([m, c, k]), x, weight, bias, [m, k])
}
