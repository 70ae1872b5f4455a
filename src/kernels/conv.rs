//! Convolutions.

use burn::tensor::Tensor;

use super::{
    array::Array,
    cpu::{dense, im2col, winograd},
    meaning,
    tape::{Operand, record},
};

/// A convolution of stride 1 with "same" zero padding. x `[n, h, w, c]`, weight `[k, c, kh, kw]` with odd
/// `kh` and `kw`, bias `[k]` => `[n, h, w, k]`
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let [_, _, kh, kw] = weight.dims();
    conv2d_with(x, weight, bias, 1, [kh / 2, kw / 2])
}

/// A convolution with the given stride and zero padding `[top and bottom, left and right]`.
/// x `[n, h, w, c]`, weight `[k, c, kh, kw]`, bias `[k]` => `[n, h', w', k]`
pub fn conv2d_with(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: [usize; 2],
) -> Tensor<4> {
    let Some(x) = Operand::of_cpu(&x) else { return meaning::conv2d_with(x, weight, bias, stride, padding) };
    let (weight, bias) = (Operand::of(weight), bias.map(Operand::of));
    let dims @ [n, h, w, c] = x.array.dims();
    let [k, weight_c, kh, kw] = weight.array.dims();
    assert_eq!(c, weight_c, "a convolution of {weight_c} channels got {c}");
    let out = |len: usize, kernel: usize, padding: usize| (len + 2 * padding - kernel) / stride + 1;
    let out = [out(h, kh, padding[0]), out(w, kw, padding[1])];
    let way = match ((kh, kw), stride, padding) {
        ((3, 3), 1, [0, 0] | [1, 1]) => {
            Way::Winograd(winograd::Convolution3x3 { n, h, w, padding: padding[0], c, k })
        }
        ((1, 1), 1, [0, 0]) => Way::Dense([n * h * w, c, k]),
        _ => Way::Windows(im2col::AnyConvolution { x: dims, out, k, kernel: [kh, kw], stride, padding }),
    };
    apply::<4, 4>(way, x, weight, bias, [n, out[0], out[1], k])
}

/// What this `way` makes of x `[.., c]`, with weight `[k, c, ..]` and bias `[k]` => `[.., k]`, of the extents `out`.
pub(super) fn apply<const X: usize, const W: usize>(
    way: Way,
    x: Operand,
    weight: Operand,
    bias: Option<Operand>,
    out: [usize; X],
) -> Tensor<X> {
    let output = Array::build(out, |y| {
        let bias = bias.as_ref().map(|bias| bias.array.values());
        way.forward(x.array.values(), weight.array.values(), bias, y);
    });
    let (x_dims, weight_dims): ([usize; X], [usize; W]) = (x.array.dims(), weight.array.dims());
    let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
    record([Some(x), Some(weight), bias], output, |[x, weight, _]| {
        // Each gradient needs the other operand.
        let (x, weight) = (x.filter(|_| weight_tracked), weight.filter(|_| x_tracked));
        move |gradient: Array, wanted: [bool; 3]| {
            let dy = gradient.values();
            let dx = weight.filter(|_| wanted[0]);
            let dx = dx.map(|w| Array::build(x_dims, |dx| way.input_gradient(dy, w.values(), dx)));
            let dw = x.filter(|_| wanted[1]);
            let dw = dw.map(|x| Array::build(weight_dims, |dw| way.weight_gradient(x.values(), dy, dw)));
            let k = weight_dims[0];
            let db = wanted[2].then(|| Array::build([k], |db| dense::column_sums(dy, k, db)));
            [dx, dw, db]
        }
    })
}

/// How a convolution is computed.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// 3x3, stride 1.
    Winograd(winograd::Convolution3x3),
    /// 1x1, and dense layers.
    Dense([usize; 3]),
    /// All others.
    Windows(im2col::AnyConvolution),
}

impl Way {
    fn forward(self, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        match self {
            Self::Winograd(e) => winograd::forward(e, x, weight, false, bias, y),
            Self::Dense(extents) => dense::forward(extents, x, weight, bias, y),
            Self::Windows(e) => im2col::forward(e, x, weight, bias, y),
        }
    }

    fn input_gradient(self, gradient: &[f32], weight: &[f32], dx: &mut [f32]) {
        match self {
            Self::Winograd(e) => winograd::forward(e.turned(), gradient, weight, true, None, dx),
            Self::Dense(extents) => dense::input_gradient(extents, gradient, weight, dx),
            Self::Windows(e) => im2col::input_gradient(e, gradient, weight, dx),
        }
    }

    fn weight_gradient(self, x: &[f32], gradient: &[f32], dw: &mut [f32]) {
        match self {
            Self::Winograd(e) => winograd::weight_gradient(e, x, gradient, dw),
            Self::Dense(extents) => dense::weight_gradient(extents, x, gradient, dw),
            Self::Windows(e) => im2col::weight_gradient(e, x, gradient, dw),
        }
    }
}
