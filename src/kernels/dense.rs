//! Dense layers.

use burn::tensor::{DType, Tensor};

use super::{
    conv::{Convolve, Linear, apply},
    engine::on_engine,
    tape::Operand,
};

/// A dense layer. x `[m, c]`, weight `[k, c]`, bias `[k]` => `[m, k]`
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    on_engine!(x, |x| layer(x, weight, bias), |x| {
        let (dtype, [x, weight]) = (x.dtype(), [x, weight].map(|operand| operand.cast(DType::F32)));
        dense(x, weight, bias.map(|bias| bias.cast(DType::F32))).cast(dtype)
    })
}

fn layer<E: Convolve>(x: Operand<E>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let weight = Operand::of(weight);
    let ([m, c], [k, weight_c]) = (x.dims(), weight.dims());
    assert_eq!(c, weight_c, "a dense layer of {weight_c} inputs got {c}");
    apply(Linear::Dense { m, c, k }, x, weight, bias)
}
