//! Dense layers: convolutions of images of one pixel.

use burn_cubecl::{ops::reshape, tensor::CubeTensor};

use crate::{
    conv::{self, Windows},
    launch::dims,
};

const WINDOWS: Windows = Windows { stride: 1, padding: [0, 0] };

/// `[m, c]` => `[m, 1, 1, c]`
fn pixels(x: CubeTensor) -> CubeTensor {
    let [m, c] = dims(&x);
    reshape(x, [m, 1, 1, c].into())
}

/// `[k, c]` => `[k, c, 1, 1]`
fn kernel(weight: CubeTensor) -> CubeTensor {
    let [k, c] = dims(&weight);
    reshape(weight, [k, c, 1, 1].into())
}

/// x `[m, c]`, weight `[k, c]`, bias `[k]` => `[m, k]`
pub fn forward(x: CubeTensor, weight: CubeTensor, bias: Option<CubeTensor>) -> CubeTensor {
    let ([m, _], [k, _]) = (dims(&x), dims(&weight));
    reshape(conv::forward(pixels(x), kernel(weight), bias, WINDOWS), [m, k].into())
}

/// The gradient to x `[m, c]`, from that to y `[m, k]` and the weight `[k, c]`.
pub fn input_gradient(gradient: CubeTensor, weight: CubeTensor) -> CubeTensor {
    let ([m, _], [_, c]) = (dims(&gradient), dims(&weight));
    let dx = conv::input_gradient(pixels(gradient), kernel(weight), [m, 1, 1, c], WINDOWS);
    reshape(dx, [m, c].into())
}

/// The gradients to the weight `[k, c]` and to the bias `[k]`, from x `[m, c]` and the gradient to y `[m, k]`.
pub fn weight_gradient(x: CubeTensor, gradient: CubeTensor) -> [CubeTensor; 2] {
    let ([_, c], [_, k]) = (dims(&x), dims(&gradient));
    let [dw, db] = conv::weight_gradient(pixels(x), pixels(gradient), [1, 1], WINDOWS);
    [reshape(dw, [k, c].into()), db]
}
