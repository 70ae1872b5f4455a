//! The unit of Inception v3 (convolution, batch normalisation, ReLU, folded into one convolution) and its pools.

use burn::tensor::{
    Tensor, TensorData,
    activation::relu,
    module,
    ops::{AvgPoolOptions, MaxPoolOptions},
};

use super::weights::Weights;
use crate::{Error, Result, kernels};

/// Added to the variance of every batch normalisation.
const EPS: f64 = 0.001;

/// A convolution with its batch normalisation folded in; a ReLU follows.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// `[k, c, kh, kw]`
    weight: Tensor<4>,
    /// `[k]`
    bias: Tensor<1>,
    stride: usize,
    padding: [usize; 2],
}

impl Unit {
    /// Loads `{name}.conv` and `{name}.bn`, folded in f64. The number of outputs is the file's; the rest of the
    /// shape is the graph's.
    pub(super) fn load(weights: &Weights<'_>, name: &str, inputs: usize, kernel: [usize; 2]) -> Result<Self> {
        let conv = format!("{name}.conv.weight");
        let found = weights.data(&conv)?.shape().to_vec();
        let outputs = found.first().copied().unwrap_or_default();
        let shape = [outputs, inputs, kernel[0], kernel[1]];
        if outputs == 0 || found != shape {
            let (origin, expected) = (weights.origin.to_owned(), shape.to_vec());
            return Err(Error::ShapeMismatch { origin, tensor: conv, found, expected });
        }
        let filters = weights.values(&conv, &shape)?;
        let of_norm = |part: &str| weights.values(&format!("{name}.bn.{part}"), &[outputs]);
        let (gamma, beta) = (of_norm("weight")?, of_norm("bias")?);
        let (mean, variance) = (of_norm("running_mean")?, of_norm("running_var")?);

        let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + EPS).sqrt()).collect();
        let per_output = filters.len() / outputs;
        let folded = filters.iter().enumerate().map(|(i, w)| (w * scale[i / per_output]) as f32);
        let shift = (0..outputs).map(|k| (beta[k] - mean[k] * scale[k]) as f32);
        Ok(Self {
            weight: Tensor::from_data(TensorData::new(folded.collect::<Vec<_>>(), shape), weights.device),
            bias: Tensor::from_data(TensorData::new(shift.collect::<Vec<_>>(), [outputs]), weights.device),
            stride: 1,
            padding: [kernel[0] / 2, kernel[1] / 2],
        })
    }

    /// Without padding.
    pub(super) fn valid(mut self) -> Self {
        self.padding = [0, 0];
        self
    }

    /// Without padding and with a stride of two.
    pub(super) fn halving(mut self) -> Self {
        self.stride = 2;
        self.valid()
    }

    /// Number of output channels.
    pub(super) fn outputs(&self) -> usize {
        self.bias.dims()[0]
    }

    /// `[n, h, w, c]` => `[n, h', w', k]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(self.linear(x))
    }

    /// The unit behind an average pool. Pool and 1x1 convolution commute, because the weights of each average
    /// sum to one; so the pool runs on the fewer channels. `[n, h, w, c]` => `[n, h, w, k]`
    pub(super) fn forward_average_pooled(&self, x: Tensor<4>) -> Tensor<4> {
        relu(average_pool(self.linear(x)))
    }

    fn linear(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::conv2d_with(x, self.weight.clone(), Some(self.bias.clone()), self.stride, self.padding)
    }
}

/// 3x3 average of stride 1, padding left out of the count. `[n, h, w, c]` => `[n, h, w, c]`
fn average_pool(x: Tensor<4>) -> Tensor<4> {
    let options =
        AvgPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]).with_count_include_pad(false);
    kernels::to_nhwc(module::avg_pool2d(kernels::to_nchw(x), options))
}

/// 3x3 maximum of stride 1, padded. `[n, h, w, c]` => `[n, h, w, c]`
pub(super) fn max_pool(x: Tensor<4>) -> Tensor<4> {
    max_pool_with(x, 1, 1)
}

/// 3x3 maximum of stride 2 without padding. `[n, h, w, c]` => `[n, (h - 1) / 2, (w - 1) / 2, c]`
pub(super) fn halving_max_pool(x: Tensor<4>) -> Tensor<4> {
    max_pool_with(x, 2, 0)
}

fn max_pool_with(x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    let options = MaxPoolOptions::new([3, 3]).with_stride([stride; 2]).with_padding([padding; 2]);
    kernels::to_nhwc(module::max_pool2d(kernels::to_nchw(x), options))
}

/// Mean over all positions. `[n, h, w, c]` => `[n, c]`
pub(super) fn global_average(x: Tensor<4>) -> Tensor<2> {
    let [n, h, w, c] = x.dims();
    x.reshape([n, h * w, c]).mean_dim(1).reshape([n, c])
}
