//! `Gaussian`: the exact denoiser of normally distributed data, as a network with two parameters. Truth for tests.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};

use super::{Condition, Denoised, Denoiser, Dropout};
use crate::kernels;

/// Denoises independent normal values of one mean and variance; its "encoder" is the value itself.
#[derive(Module, Debug)]
pub(crate) struct Gaussian {
    mean: Param<Tensor<1>>,
    std: Param<Tensor<1>>,
    logvar: Option<Param<Tensor<1>>>,
}

impl Gaussian {
    pub(crate) fn new(mean: f32, std: f32) -> Self {
        let scalar = |value: f32| Param::from_tensor(Tensor::from_floats([value], &Device::flex()));
        Self { mean: scalar(mean), std: scalar(std), logvar: None }
    }

    pub(crate) fn with_logvar(mean: f32, std: f32, logvar: f32) -> Self {
        let logvar = Param::from_tensor(Tensor::from_floats([logvar], &Device::flex()));
        Self { logvar: Some(logvar), ..Self::new(mean, std) }
    }

    pub(crate) fn mean(&self) -> f32 {
        self.mean.val().into_scalar()
    }

    pub(crate) fn std(&self) -> f32 {
        self.std.val().into_scalar()
    }

    pub(crate) fn logvar(&self) -> f32 {
        self.logvar.as_ref().map_or(0.0, |logvar| logvar.val().into_scalar())
    }

    fn value(param: &Param<Tensor<1>>) -> Tensor<4> {
        param.val().reshape([1, 1, 1, 1])
    }
}

impl Denoiser for Gaussian {
    fn denoise(&self, noisy: Tensor<4>, sigma: Tensor<4>, _: &Condition, _: Dropout) -> Denoised {
        let (mean, variance) = (Self::value(&self.mean), Self::value(&self.std).square());
        let noise = sigma.clone().square();
        let images = (noisy.clone() * variance.clone() + noise.clone() * mean) / (variance + noise);
        let logvar = self.logvar.as_ref().map(|logvar| sigma * 0.0 + Self::value(logvar));
        Denoised { images, encoding: kernels::to_nhwc(noisy * Self::value(&self.mean)), logvar }
    }

    fn encode(&self, noisy: Tensor<4>, _: Tensor<4>, _: &Condition, _: Dropout) -> Tensor<4> {
        noisy.mean_dim(1) * Self::value(&self.mean)
    }

    fn parameter_names(&self) -> Vec<String> {
        let names = ["mean", "std", "logvar"];
        names[..2 + usize::from(self.logvar.is_some())].iter().map(|&name| name.to_owned()).collect()
    }

    /// Something that can be recognised: halves the standard deviation.
    fn force_weight_normalization(self) -> Self {
        Self { std: self.std.map(|std| std * 0.5), ..self }
    }
}
