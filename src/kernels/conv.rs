//! Convolutions.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::{
        dense,
        winograd::{self, Extents},
    },
    reference,
    tape::{Operand, Operation, record},
};

/// A convolution of stride 1 with "same" zero padding. x `[n, h, w, c]`, weight `[k, c, kh, kw]` with odd
/// `kh` and `kw`, bias `[k]` => `[n, h, w, k]`
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let [_, _, kh, kw] = weight.dims();
    if (kh, kw) != (1, 1) && (kh, kw) != (3, 3) {
        return reference::conv2d(x, weight, bias);
    }
    let x = match Operand::try_from(x) {
        Ok(x) => x,
        Err(x) => return reference::conv2d(x, weight, bias),
    };
    let (weight, bias) = (Operand::of(weight), bias.map(Operand::of));
    let [n, h, w, c] = x.array.dims();
    let [k, weight_c, _, _] = weight.array.dims();
    assert_eq!(c, weight_c, "a convolution of {weight_c} channels got {c}");
    let e = Extents { n, h, w, c, k };
    let bias_values = bias.as_ref().map(|bias| bias.array.values());
    let output = Array::build([n, h, w, k], |y| {
        let (x, weight) = (x.array.values(), weight.array.values());
        if kh == 3 {
            winograd::forward(e, x, weight, false, bias_values, y);
        } else {
            dense::forward([n * h * w, c, k], x, weight, bias_values, y);
        }
    });
    let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
    record([Some(x), Some(weight), bias], output, |[x, weight, _]| Conv {
        e,
        side: kh,
        // Each gradient needs the other operand.
        x: x.filter(|_| weight_tracked),
        weight: weight.filter(|_| x_tracked),
    })
}

/// The backward pass of a convolution.
#[derive(Clone)]
struct Conv {
    e: Extents,
    /// 1 or 3.
    side: usize,
    x: Option<Array>,
    weight: Option<Array>,
}

impl Operation<3> for Conv {
    fn backward(self, gradient: Array, wanted: [bool; 3]) -> [Option<Array>; 3] {
        let e @ Extents { n, h, w, c, k } = self.e;
        let rows = [n * h * w, c, k];
        let dy = gradient.values();
        let dx = self.weight.filter(|_| wanted[0]).map(|weight| {
            Array::build([n, h, w, c], |dx| match self.side {
                3 => winograd::forward(Extents { c: k, k: c, ..e }, dy, weight.values(), true, None, dx),
                _ => dense::input_gradient(rows, dy, weight.values(), dx),
            })
        });
        let dw = self.x.filter(|_| wanted[1]).map(|x| {
            Array::build([k, c, self.side, self.side], |dw| match self.side {
                3 => winograd::weight_gradient(e, x.values(), dy, dw),
                _ => dense::weight_gradient(rows, x.values(), dy, dw),
            })
        });
        let db = wanted[2].then(|| Array::build([k], |db| dense::column_sums(dy, k, db)));
        [dx, dw, db]
    }
}
