//! `Mode`: how a pass goes through the blocks of a UNet.

use burn::{module::Module, tensor::Tensor};

use super::denoiser::Dropout;
use crate::kernels;

/// How a pass goes through the blocks.
#[derive(Clone, Debug)]
pub(crate) struct Mode {
    /// What training drops.
    pub(crate) dropout: Dropout,
    /// Whether blocks are run again in the backward pass, instead of keeping their activations.
    pub(crate) recompute: bool,
}

impl Mode {
    /// A block's output; `forward` is its pass. x `[n, h, w, c]`, emb `[n, emb_channels]`
    pub(crate) fn block<B: Module + 'static>(
        &self,
        block: &B,
        x: Tensor<4>,
        emb: &Tensor<2>,
        forward: fn(&B, Tensor<4>, &Tensor<2>, &Dropout) -> Tensor<4>,
    ) -> Tensor<4> {
        let dropout = self.dropout.clone();
        kernels::block(self.recompute, block, x, emb, move |block: &B, x, emb: &Tensor<2>| {
            forward(block, x, emb, &dropout)
        })
    }
}
