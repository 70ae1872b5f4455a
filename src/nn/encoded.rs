//! `Encoded`: what an encoder leaves for its decoder, and the walk that fills it.

use burn::tensor::{DType, Tensor};

use super::layers::cast;
use crate::kernels;

/// The outputs of an encoder's layers, of which a decoder takes the last first. Each `[n, h, w, c]`
#[derive(Debug)]
pub(crate) struct Encoded(Vec<Tensor<4>>);

impl Encoded {
    /// Walks from the output of the first convolution over all layers behind it.
    pub(crate) fn walk<L>(
        first: Tensor<4>,
        layers: &[L],
        mut forward: impl FnMut(&L, Tensor<4>) -> Tensor<4>,
    ) -> Self {
        let mut encoded = Self(vec![first]);
        for layer in layers {
            let x = forward(layer, encoded.last());
            encoded.0.push(x);
        }
        encoded
    }

    /// The output of the last layer, where the decoder begins.
    pub(crate) fn last(&self) -> Tensor<4> {
        self.0.last().expect("an encoder begins with a convolution").clone()
    }

    /// The last output that no block of the decoder has taken yet.
    pub(crate) fn take(&mut self) -> Tensor<4> {
        self.0.pop().expect("a decoder takes no more than the encoder left")
    }
}

/// SiDA's discriminator: an encoder's last output averaged over its channels, in float32. `[n, h, w, c]` => `[n, 1, h, w]`
pub(crate) fn logits(last: Tensor<4>) -> Tensor<4> {
    kernels::channel_mean(cast(last, DType::F32))
}
