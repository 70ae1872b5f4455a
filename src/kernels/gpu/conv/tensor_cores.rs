//! Convolutions on tensor cores, by Burn's kernels: f32 is rounded to TF32 there, sums are f32. With Burn's feature
//! `autotune` it tries what it has on the first convolution of a kind, and keeps the fastest.

use burn_backend::{DType, ops::ConvOptions};
use burn_cubecl::{
    kernel::conv::{ConvStrategy, conv_data_backward, conv_forward_nhwc, conv_weight_backward},
    ops::{permute_nchw_to_nhwc, permute_nhwc_to_nchw},
    tensor::CubeTensor,
};

use super::Windows;
use crate::tf32;

/// How, where the device has tensor cores that may be used.
fn strategy(x: &CubeTensor) -> Option<ConvStrategy> {
    let rounds = x.dtype == DType::F32;
    if x.client.properties().features.matmul.cmma.is_empty() || (rounds && !tf32::allowed()) {
        return None;
    }
    // Without autotune Burn's default is a kernel that leaves them idle.
    let default = ConvStrategy::default();
    Some(if matches!(default, ConvStrategy::Direct) { ConvStrategy::ImplicitGemm } else { default })
}

impl Windows {
    fn options(self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], self.padding, [1, 1], 1)
    }
}

/// As of `super::forward`, weight `[k, kh, kw, c]`; none where Burn has no kernel for it.
pub(super) fn forward(
    x: &CubeTensor,
    weight: &CubeTensor,
    bias: Option<&CubeTensor>,
    windows: Windows,
) -> Option<CubeTensor> {
    conv_forward_nhwc(x.clone(), weight.clone(), bias.cloned(), windows.options(), strategy(x)?).ok()
}

/// As of `super::input_gradient`, weight `[k, kh, kw, c]`; none where Burn has no kernel for it.
pub(super) fn input_gradient(
    gradient: &CubeTensor,
    weight: &CubeTensor,
    [n, h, w, c]: [usize; 4],
    windows: Windows,
) -> Option<CubeTensor> {
    let strategy = strategy(gradient)?;
    // Without autotune Burn takes larger strides off the tensor cores.
    if windows.stride != 1 && matches!(strategy, ConvStrategy::ImplicitGemm) {
        return None;
    }
    let [gradient, weight] = [gradient, weight].map(|tensor| permute_nhwc_to_nchw(tensor.clone()));
    let dx = conv_data_backward(gradient, weight, [n, c, h, w].into(), windows.options(), strategy);
    dx.ok().map(permute_nchw_to_nhwc)
}

/// As of `super::weight_gradient`, `[k, kh, kw, c]`; none where Burn has no kernel for it.
pub(super) fn weight_gradient(
    x: &CubeTensor,
    gradient: &CubeTensor,
    [kernel_h, kernel_w]: [usize; 2],
    windows: Windows,
) -> Option<CubeTensor> {
    let [c, k] = [x, gradient].map(|tensor| tensor.meta.shape()[3]);
    // Burn's TF32 kernel leaves zeros where channels do not fill vectors of four on one side and do on the other.
    if x.dtype == DType::F32 && !c.is_multiple_of(4) {
        return None;
    }
    let strategy = strategy(x)?;
    let [x, gradient] = [x, gradient].map(|tensor| permute_nhwc_to_nchw(tensor.clone()));
    let shape = [k, c, kernel_h, kernel_w].into();
    let dw = conv_weight_backward(x, gradient, shape, windows.options(), strategy);
    dw.ok().map(permute_nchw_to_nhwc)
}
