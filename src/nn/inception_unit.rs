//! The unit of Inception v3 (convolution, batch normalisation, ReLU, folded into one convolution).

use burn::tensor::{Tensor, TensorData};

use super::registry::{Init, Registry};
use crate::{Result, kernels};

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
    pub(super) fn load(r: &mut Registry, name: &str, inputs: usize, kernel: [usize; 2]) -> Result<Self> {
        r.within(name, |r| {
            let outputs = r.width("conv.weight")?;
            let shape = [outputs, inputs, kernel[0], kernel[1]];
            let filters = r.values("conv.weight", &shape, Init::ZERO)?;
            let mut of_norm = |part: &str| -> Result<Vec<f64>> {
                let values = r.values(&format!("bn.{part}"), &[outputs], Init::ZERO)?;
                Ok(values.into_iter().map(f64::from).collect())
            };
            let (gamma, beta) = (of_norm("weight")?, of_norm("bias")?);
            let (mean, variance) = (of_norm("running_mean")?, of_norm("running_var")?);

            let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + EPS).sqrt()).collect();
            let per_output = filters.len() / outputs;
            let folded =
                filters.iter().enumerate().map(|(i, w)| (f64::from(*w) * scale[i / per_output]) as f32);
            let shift = (0..outputs).map(|k| (beta[k] - mean[k] * scale[k]) as f32);
            Ok(Self {
                weight: Tensor::from_data(TensorData::new(folded.collect::<Vec<_>>(), shape), r.device()),
                bias: Tensor::from_data(TensorData::new(shift.collect::<Vec<_>>(), [outputs]), r.device()),
                stride: 1,
                padding: [kernel[0] / 2, kernel[1] / 2],
            })
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
        kernels::relu(self.linear(x))
    }

    /// The unit behind an average pool. Pool and 1x1 convolution commute, because the weights of each average
    /// sum to one; so the pool runs on the fewer channels. `[n, h, w, c]` => `[n, h, w, k]`
    pub(super) fn forward_average_pooled(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::relu(kernels::average_pool(self.linear(x)))
    }

    fn linear(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::conv2d_with(x, self.weight.clone(), Some(self.bias.clone()), self.stride, self.padding)
    }
}

/// Mean over all positions. `[n, h, w, c]` => `[n, c]`
pub(super) fn global_average(x: Tensor<4>) -> Tensor<2> {
    let [n, h, w, c] = x.dims();
    x.reshape([n, h * w, c]).mean_dim(1).reshape([n, c])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, activation::relu};

    use super::*;
    use crate::{
        Error,
        seed::{Phase, Seed},
        stage_name::StageName,
        state_dict::StateDict,
    };

    const SHAPE: [usize; 4] = [5, 4, 1, 1];

    fn uniforms(what: &str, count: usize) -> Vec<f32> {
        Seed(5).stage(&StageName::new("unit")).at(Phase::Init, 0).purpose(what).uniforms(0..1, count)
    }

    fn weights() -> StateDict {
        let vector = |what: &str| TensorData::new(uniforms(what, 5), [5]);
        StateDict::from_iter([
            ("u.conv.weight".to_owned(), TensorData::new(uniforms("weight", 20), SHAPE)),
            ("u.bn.weight".to_owned(), vector("gamma")),
            ("u.bn.bias".to_owned(), vector("beta")),
            ("u.bn.running_mean".to_owned(), vector("mean")),
            ("u.bn.running_var".to_owned(), vector("variance")),
        ])
    }

    fn input() -> Tensor<4> {
        let values = uniforms("x", 2 * 6 * 6 * 4).into_iter().map(|u| 4.0 * u - 2.0).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [2, 6, 6, 4]), &Device::flex())
    }

    fn load(dict: &StateDict, inputs: usize) -> Result<Unit> {
        Unit::load(&mut Registry::weights(dict, "here", &Device::flex()), "u", inputs, [1, 1])
    }

    fn largest(x: Tensor<4>) -> f32 {
        x.abs().max().into_scalar()
    }

    #[test]
    fn folding_is_convolution_then_normalisation_then_relu() {
        let dict = weights();
        let row = |name: &str| {
            Tensor::<1>::from_data(dict[&format!("u.bn.{name}")].clone(), &Device::flex())
                .reshape([1, 1, 1, 5])
        };
        let weight = Tensor::<4>::from_data(dict["u.conv.weight"].clone(), &Device::flex());
        let y = kernels::conv2d(input(), weight, None);
        let y = (y - row("running_mean")) / (row("running_var") + EPS).sqrt() * row("weight") + row("bias");
        let unit = load(&dict, 4).unwrap();
        assert!(largest(unit.forward(input()) - relu(y.clone())) < 1e-5);
        assert!(largest(relu(-y)) > 0.1, "the ReLU has something to do");
    }

    #[test]
    fn average_pool_and_unit_commute() {
        let unit = load(&weights(), 4).unwrap();
        let pooled_first = unit.forward(kernels::average_pool(input()));
        assert!(largest(unit.forward_average_pooled(input()) - pooled_first) < 1e-5);
    }

    #[test]
    fn other_shapes_and_absent_tensors_are_errors() {
        let shape = load(&weights(), 3).unwrap_err();
        assert!(matches!(shape, Error::ShapeMismatch { tensor, .. } if tensor == "u.conv.weight"));
        let mut dict = weights();
        dict.shift_remove("u.bn.running_var");
        let absent = load(&dict, 4).unwrap_err();
        assert!(matches!(absent, Error::MissingTensor { tensor, .. } if tensor == "u.bn.running_var"));
    }
}
