//! Dense layers.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::dense as cpu,
    reference,
    tape::{Operand, Operation, record},
};

/// A dense layer. x `[m, c]`, weight `[k, c]`, bias `[k]` => `[m, k]`
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let x = match Operand::try_from(x) {
        Ok(x) => x,
        Err(x) => return reference::dense(x, weight, bias),
    };
    let (weight, bias) = (Operand::of(weight), bias.map(Operand::of));
    let [m, c] = x.array.dims();
    let [k, weight_c] = weight.array.dims();
    assert_eq!(c, weight_c, "a dense layer of {weight_c} inputs got {c}");
    let bias_values = bias.as_ref().map(|bias| bias.array.values());
    let output = Array::build([m, k], |y| {
        cpu::forward([m, c, k], x.array.values(), weight.array.values(), bias_values, y);
    });
    let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
    record([Some(x), Some(weight), bias], output, |[x, weight, _]| Dense {
        extents: [m, c, k],
        x: x.filter(|_| weight_tracked),
        weight: weight.filter(|_| x_tracked),
    })
}

/// The backward pass of a dense layer.
#[derive(Clone)]
struct Dense {
    extents: [usize; 3],
    x: Option<Array>,
    weight: Option<Array>,
}

impl Operation<3> for Dense {
    fn backward(self, gradient: Array, wanted: [bool; 3]) -> [Option<Array>; 3] {
        let extents @ [m, c, k] = self.extents;
        let dy = gradient.values();
        let dx = self.weight.filter(|_| wanted[0]);
        let dx = dx.map(|w| Array::build([m, c], |dx| cpu::input_gradient(extents, dy, w.values(), dx)));
        let dw = self.x.filter(|_| wanted[1]);
        let dw = dw.map(|x| Array::build([k, c], |dw| cpu::weight_gradient(extents, x.values(), dy, dw)));
        let db = wanted[2].then(|| Array::build([k], |db| cpu::column_sums(dy, k, db)));
        [dx, dw, db]
    }
}
