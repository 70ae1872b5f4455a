//! Convolutions on tensor cores, by Burn's kernels: f32 is rounded to TF32 there, sums are f32. With Burn's feature
//! `autotune` it tries what it has on the first convolution of a kind, and keeps the fastest.
//!
//! Gradients to weights are not among them: for some extents, such as 3x3 from 16 to 32 channels of 4x4 pixels, Burn 0.22's
//! kernel gave other numbers in the emulator (docs/gpu.md), in TF32 and in halves. They are our own.

use burn_backend::{DType, ops::ConvOptions};
use burn_cubecl::{
    kernel::conv::{ConvStrategy, conv_data_backward, conv_forward_nhwc},
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
