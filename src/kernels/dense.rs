//! Dense layers.

use burn::{backend::Flex, tensor::Tensor};

use super::{
    conv::{Convolve, Linear, apply},
    meaning,
    tape::Operand,
};

/// A dense layer. x `[m, c]`, weight `[k, c]`, bias `[k]` => `[m, k]`
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    match Operand::<Flex>::try_from(x) {
        Ok(x) => layer(x, weight, bias),
        Err(x) => meaning::dense(x, weight, bias),
    }
}

fn layer<E: Convolve>(x: Operand<E>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let weight = Operand::of(weight);
    let ([m, c], [k, weight_c]) = (x.dims(), weight.dims());
    assert_eq!(c, weight_c, "a dense layer of {weight_c} inputs got {c}");
    apply(Linear::Dense { m, c, k }, x, weight, bias)
}
