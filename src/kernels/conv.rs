//! Convolutions.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use super::{
    array::Array,
    cpu::{dense, im2col, winograd},
    engine::{Engine, on_engine},
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{
    engine::Cube,
    gpu::{conv as gpu, dense as gpu_dense},
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
    on_engine!(x, |x| convolved(x, weight, bias, stride, padding), |x| {
        let (dtype, [x, weight]) = (x.dtype(), [x, weight].map(|operand| operand.cast(DType::F32)));
        conv2d_with(x, weight, bias.map(|bias| bias.cast(DType::F32)), stride, padding).cast(dtype)
    })
}

fn convolved<E: Convolve>(
    x: Operand<E>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: [usize; 2],
) -> Tensor<4> {
    let weight = Operand::of(weight);
    let (x_dims, [k, weight_c, kh, kw]) = (x.dims(), weight.dims());
    assert_eq!(x_dims[3], weight_c, "a convolution of {weight_c} channels got {}", x_dims[3]);
    let out = |len: usize, kernel: usize, padding: usize| (len + 2 * padding - kernel) / stride + 1;
    let out = [out(x_dims[1], kh, padding[0]), out(x_dims[2], kw, padding[1])];
    let e = Convolution { x: x_dims, out, k, kernel: [kh, kw], stride, padding };
    apply(Linear::Convolution(e), x, weight, bias)
}

/// What this operation makes of x, with its weight and bias `[k]`.
pub(super) fn apply<E: Convolve, const D: usize>(
    linear: Linear,
    x: Operand<E>,
    weight: Operand<E>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let bias = bias.map(Operand::of);
    let output = E::forward(linear, &x.array, &weight.array, bias.as_ref().map(|bias| &bias.array));
    let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
    let bias_tracked = bias.as_ref().is_some_and(Operand::is_tracked);
    record([Some(x), Some(weight), bias], output, |[x, weight, _]| {
        // Each gradient needs the other operand; those to weight and bias come together.
        let (x, weight) = (x.filter(|_| weight_tracked || bias_tracked), weight.filter(|_| x_tracked));
        move |gradient: E::Array, [to_x, to_weight, to_bias]: [bool; 3]| {
            let dx = weight.filter(|_| to_x).map(|w| E::input_gradient(linear, &gradient, &w));
            let wanted = [to_weight, to_bias];
            let [dw, db] = x.map_or([None, None], |x| E::parameter_gradients(linear, &x, &gradient, wanted));
            [dx, dw, db]
        }
    })
}

/// A convolution or a dense layer.
#[derive(Clone, Copy)]
pub(super) enum Linear {
    /// x `[n, h, w, c]`, weight `[k, c, kh, kw]` => `[n, h', w', k]`
    Convolution(Convolution),
    /// x `[m, c]`, weight `[k, c]` => `[m, k]`
    Dense { m: usize, c: usize, k: usize },
}

impl Linear {
    /// The number of outputs.
    fn k(self) -> usize {
        match self {
            Self::Convolution(Convolution { k, .. }) | Self::Dense { k, .. } => k,
        }
    }
}

/// The extents of a convolution.
#[derive(Clone, Copy)]
pub(super) struct Convolution {
    /// `[n, h, w, c]`
    x: [usize; 4],
    /// `[h', w']`
    out: [usize; 2],
    k: usize,
    kernel: [usize; 2],
    stride: usize,
    padding: [usize; 2],
}

/// What an engine computes.
pub(super) trait Convolve: Engine {
    fn forward(
        linear: Linear,
        x: &Self::Array,
        weight: &Self::Array,
        bias: Option<&Self::Array>,
    ) -> Self::Array;

    fn input_gradient(linear: Linear, gradient: &Self::Array, weight: &Self::Array) -> Self::Array;

    /// Those to weight and bias that are wanted.
    fn parameter_gradients(
        linear: Linear,
        x: &Self::Array,
        gradient: &Self::Array,
        wanted: [bool; 2],
    ) -> [Option<Self::Array>; 2];
}

impl Convolve for Flex {
    fn forward(linear: Linear, x: &Array, weight: &Array, bias: Option<&Array>) -> Array {
        let (x, weight, bias) = (x.values(), weight.values(), bias.map(Array::values));
        linear.build_output(|y| match Way::of(linear) {
            Way::Winograd(e) => winograd::forward(e, x, weight, false, bias, y),
            Way::Dense(extents) => dense::forward(extents, x, weight, bias, y),
            Way::Windows(e) => im2col::forward(e, x, weight, bias, y),
        })
    }

    fn input_gradient(linear: Linear, gradient: &Array, weight: &Array) -> Array {
        let (gradient, weight) = (gradient.values(), weight.values());
        let fill = |dx: &mut [f32]| match Way::of(linear) {
            Way::Winograd(e) => winograd::forward(e.turned(), gradient, weight, true, None, dx),
            Way::Dense(extents) => dense::input_gradient(extents, gradient, weight, dx),
            Way::Windows(e) => im2col::input_gradient(e, gradient, weight, dx),
        };
        match linear {
            Linear::Convolution(e) => Array::build(e.x, fill),
            Linear::Dense { m, c, .. } => Array::build([m, c], fill),
        }
    }

    fn parameter_gradients(
        linear: Linear,
        x: &Array,
        gradient: &Array,
        [to_weight, to_bias]: [bool; 2],
    ) -> [Option<Array>; 2] {
        let (x, gradient, k) = (x.values(), gradient.values(), linear.k());
        let fill = |dw: &mut [f32]| match Way::of(linear) {
            Way::Winograd(e) => winograd::weight_gradient(e, x, gradient, dw),
            Way::Dense(extents) => dense::weight_gradient(extents, x, gradient, dw),
            Way::Windows(e) => im2col::weight_gradient(e, x, gradient, dw),
        };
        let dw = to_weight.then(|| match linear {
            Linear::Convolution(e) => Array::build([e.k, e.x[3], e.kernel[0], e.kernel[1]], fill),
            Linear::Dense { c, .. } => Array::build([k, c], fill),
        });
        [dw, to_bias.then(|| Array::build([k], |db| dense::column_sums(gradient, k, db)))]
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Convolve for Cube {
    fn forward(
        linear: Linear,
        x: &Self::Array,
        weight: &Self::Array,
        bias: Option<&Self::Array>,
    ) -> Self::Array {
        let (x, weight, bias) = (x.clone(), weight.clone(), bias.cloned());
        match linear {
            Linear::Convolution(e) => gpu::forward(x, weight, bias, e.windows()),
            Linear::Dense { .. } => gpu_dense::forward(x, weight, bias),
        }
    }

    fn input_gradient(linear: Linear, gradient: &Self::Array, weight: &Self::Array) -> Self::Array {
        let (gradient, weight) = (gradient.clone(), weight.clone());
        match linear {
            Linear::Convolution(e) => gpu::input_gradient(gradient, weight, e.x, e.windows()),
            Linear::Dense { .. } => gpu_dense::input_gradient(gradient, weight),
        }
    }

    /// One kernel adds up both.
    fn parameter_gradients(
        linear: Linear,
        x: &Self::Array,
        gradient: &Self::Array,
        _: [bool; 2],
    ) -> [Option<Self::Array>; 2] {
        let (x, gradient) = (x.clone(), gradient.clone());
        match linear {
            Linear::Convolution(e) => gpu::weight_gradient(x, gradient, e.kernel, e.windows()),
            Linear::Dense { .. } => gpu_dense::weight_gradient(x, gradient),
        }
        .map(Some)
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Convolution {
    fn windows(self) -> gpu::Windows {
        gpu::Windows { stride: self.stride, padding: self.padding }
    }
}

impl Linear {
    fn build_output(self, fill: impl FnOnce(&mut [f32])) -> Array {
        match self {
            Self::Convolution(e) => Array::build([e.x[0], e.out[0], e.out[1], e.k], fill),
            Self::Dense { m, k, .. } => Array::build([m, k], fill),
        }
    }
}

/// How the CPU computes it.
enum Way {
    /// 3x3, stride 1.
    Winograd(winograd::Convolution3x3),
    /// 1x1, and dense layers.
    Dense([usize; 3]),
    /// All others.
    Windows(im2col::AnyConvolution),
}

impl Way {
    fn of(linear: Linear) -> Self {
        let (e, [n, h, w, c]) = match linear {
            Linear::Convolution(e) => (e, e.x),
            Linear::Dense { m, c, k } => return Self::Dense([m, c, k]),
        };
        let Convolution { x, out, k, kernel, stride, padding } = e;
        match (kernel, stride, padding) {
            ([3, 3], 1, [0, 0] | [1, 1]) => {
                Self::Winograd(winograd::Convolution3x3 { n, h, w, padding: padding[0], c, k })
            }
            ([1, 1], 1, [0, 0]) => Self::Dense([n * h * w, c, k]),
            _ => Self::Windows(im2col::AnyConvolution { x, out, k, kernel, stride, padding }),
        }
    }
}
