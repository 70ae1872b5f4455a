//! Between the layout of images in files and losses and that of activations within a network.

use burn::tensor::Tensor;

/// `[n, c, h, w]` to `[n, h, w, c]`.
pub fn to_nhwc(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[n, h, w, c]` to `[n, c, h, w]`.
pub fn to_nchw(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}
