//! Convolutions, NHWC; dense layers are convolutions of one pixel.
//!
//! On tensor cores they are Burn's, but for gradients to weights; elsewhere three kernels of ours: products of matrices
//! whose entries are looked up in the images, so that nothing is copied and weights may have any layout.

mod forward;
mod input_gradient;
mod panels;
mod tensor_cores;
mod weight_gradient;

use burn_cubecl::{
    ops::{permute, permute_nchw_to_nhwc},
    tensor::CubeTensor,
};

use crate::launch::{dims, vector};

/// Stride and zero padding `[top and bottom, left and right]` of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: [usize; 2],
}

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shape {
    kernel: [usize; 2],
    stride: usize,
    padding: [usize; 2],
}

impl Windows {
    fn shape(self, kernel: [usize; 2]) -> Shape {
        Shape { kernel, stride: self.stride, padding: self.padding }
    }
}

impl Shape {
    /// What becomes of an image of so many rows and columns.
    fn output(self, image: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|i| (image[i] + 2 * self.padding[i] - self.kernel[i]) / self.stride + 1)
    }
}

/// How many channels units look up at once: as many as both tensors have side by side everywhere, four at most.
fn whole_vectors([x, y]: [&CubeTensor; 2]) -> usize {
    let of = |tensor: &CubeTensor| {
        if tensor.is_contiguous() { vector(&[tensor], dims::<4>(tensor)[3]).min(panels::LANES) } else { 1 }
    };
    of(x).min(of(y))
}

/// x `[n, h, w, c]`, weight `[k, c, kh, kw]`, bias `[k]` => `[n, h', w', k]`. Any layouts; a weight whose channels do not
/// lie last is slower.
pub fn forward(x: CubeTensor, weight: CubeTensor, bias: Option<CubeTensor>, windows: Windows) -> CubeTensor {
    let weight = permute_nchw_to_nhwc(weight);
    match tensor_cores::forward(&x, &weight, bias.as_ref(), windows) {
        Some(y) => y,
        None => forward::forward(x, weight, bias, windows),
    }
}

/// The gradient to x `[n, h, w, c]`, from that to y `[n, h', w', k]` and the weight `[k, c, kh, kw]`.
pub fn input_gradient(
    gradient: CubeTensor,
    weight: CubeTensor,
    x: [usize; 4],
    windows: Windows,
) -> CubeTensor {
    let weight = permute_nchw_to_nhwc(weight);
    match tensor_cores::input_gradient(&gradient, &weight, x, windows) {
        Some(dx) => dx,
        None => input_gradient::input_gradient(gradient, weight, x, windows),
    }
}

/// The gradients to a weight `[k, c, kh, kw]` of this kernel, whose channels lie last, and to the bias `[k]`; from x `[n, h, w, c]` and the gradient to y `[n, h', w', k]`.
pub fn weight_gradient(
    x: CubeTensor,
    gradient: CubeTensor,
    kernel: [usize; 2],
    windows: Windows,
) -> [CubeTensor; 2] {
    let [dw, db] = weight_gradient::weight_gradient(x, gradient, kernel, windows);
    [permute(dw, &[0, 3, 1, 2]), db]
}
