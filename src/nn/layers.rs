//! Convolutions, dense layers and group norms of EDM's networks, with EDM's initial distributions.

use burn::{
    module::{Module, Param},
    tensor::{DType, Tensor},
};

use super::{
    registry::{Init, Registry},
    skeleton::Kind,
};
use crate::{
    Result,
    kernels::{self, WeightOrder},
};

/// The initial distribution of a layer's weight and bias, given its fans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LayerInit {
    /// Uniform with variance `2 / (fan_in + fan_out)`, times the gain; bias 0 (DDPM++, NCSN++).
    XavierUniform(f64),
    /// Uniform with variance `1 / fan_in`, weight and bias times the gain (ADM).
    KaimingUniform(f64),
    /// Normal with variance `1 / fan_in`, times the gain; bias 0.
    KaimingNormal(f64),
}

impl LayerInit {
    fn weight(self, fan_in: usize, fan_out: usize) -> Init {
        match self {
            Self::XavierUniform(gain) => Init::Uniform(gain * (6.0 / (fan_in + fan_out) as f64).sqrt()),
            Self::KaimingUniform(gain) => Init::Uniform(gain * (3.0 / fan_in as f64).sqrt()),
            Self::KaimingNormal(gain) => Init::Normal(gain * (1.0 / fan_in as f64).sqrt()),
        }
    }

    fn bias(self, fan_in: usize) -> Init {
        match self {
            Self::KaimingUniform(gain) => Init::Uniform(gain * (3.0 / fan_in as f64).sqrt()),
            Self::XavierUniform(_) | Self::KaimingNormal(_) => Init::ZERO,
        }
    }
}

/// What a block or a convolution does to the resolution first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Resample {
    /// Nothing.
    #[default]
    Keep,
    /// Halves it with a filter.
    Down(Vec<f32>),
    /// Doubles it with a filter.
    Up(Vec<f32>),
}

impl Resample {
    /// What a block of this kind does.
    pub(crate) fn of(kind: Kind, filter: &[f32]) -> Self {
        match kind {
            Kind::Down => Self::Down(filter.to_vec()),
            Kind::Up => Self::Up(filter.to_vec()),
            Kind::Plain | Kind::Merge => Self::Keep,
        }
    }

    /// x `[n, h, w, c]` => `[n, h', w', c]`
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Keep => x,
            Self::Down(filter) => kernels::downsample(x, filter),
            Self::Up(filter) => kernels::upsample(x, filter),
        }
    }

    /// Registers the filter's buffer where there is a filter.
    pub(crate) fn register(&self, registry: &mut Registry) -> Result<()> {
        let (Self::Down(filter) | Self::Up(filter)) = self else { return Ok(()) };
        let sum: f32 = filter.iter().sum();
        let plane = filter.iter().flat_map(|a| filter.iter().map(move |b| a * b / (sum * sum))).collect();
        registry.derived("resample_filter", &[1, 1, filter.len(), filter.len()], plane)
    }
}

/// A "same" convolution of stride 1, after an optional change of resolution.
#[derive(Module, Debug)]
pub(crate) struct Conv2d {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    resample: Resample,
}

impl Conv2d {
    /// Registers `weight`, `bias` and the filter's buffer.
    pub(crate) fn new(
        registry: &mut Registry,
        [c_in, c_out]: [usize; 2],
        kernel: usize,
        init: LayerInit,
        resample: Resample,
    ) -> Result<Self> {
        let area = kernel * kernel;
        let conv = Self {
            weight: registry.parameter(
                "weight",
                [c_out, c_in, kernel, kernel],
                init.weight(c_in * area, c_out * area),
            )?,
            bias: registry.parameter("bias", [c_out], init.bias(c_in * area))?,
            resample,
        };
        conv.resample.register(registry)?;
        Ok(conv)
    }

    /// One of given tensors. weight `[c_out, c_in, kernel, kernel]`, bias `[c_out]`
    pub(crate) fn of(weight: Tensor<4>, bias: Tensor<1>) -> Self {
        let (weight, bias) = (Param::from_tensor(weight), Param::from_tensor(bias));
        Self { weight, bias, resample: Resample::Keep }
    }

    /// x `[n, h, w, c_in]` => `[n, h', w', c_out]`
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, kernel, _] = self.weight.dims();
        self.convolve(self.resample.apply(x), 1, kernel / 2)
    }

    /// The convolution alone, with this stride and as many zeros around x.
    pub(crate) fn convolve(&self, x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
        let dtype = x.dtype();
        let weight = WeightOrder::of(&x.device()).cast(self.weight.val(), dtype);
        let bias = cast(self.bias.val(), dtype);
        kernels::conv2d_with(x, weight, Some(bias), stride, [padding; 2])
    }

    /// Convolves with a margin as wide as the filter needs, then halves without padding (NCSN++'s
    /// `aux_residual`). x `[n, h, w, c_in]` => `[n, h / 2, w / 2, c_out]`
    pub(crate) fn forward_fused_down(&self, x: Tensor<4>) -> Tensor<4> {
        let Resample::Down(filter) = &self.resample else { return self.forward(x) };
        let [_, _, kernel, _] = self.weight.dims();
        let margin = (filter.len() - 1) / 2;
        // The bias may come before the filter: its taps sum to one and meet no padding.
        kernels::downsample_with(self.convolve(x, 1, kernel / 2 + margin), filter, 0)
    }
}

/// A dense layer. Not called `Linear`: weight readers of Burn transpose structs of that name.
#[derive(Module, Debug)]
pub(crate) struct Dense {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
}

impl Dense {
    /// Registers `weight` and `bias`.
    pub(crate) fn new(registry: &mut Registry, [c_in, c_out]: [usize; 2], init: LayerInit) -> Result<Self> {
        Ok(Self {
            weight: registry.parameter("weight", [c_out, c_in], init.weight(c_in, c_out))?,
            bias: Some(registry.parameter("bias", [c_out], init.bias(c_in))?),
        })
    }

    /// Registers `weight` only.
    pub(crate) fn without_bias(
        registry: &mut Registry,
        [c_in, c_out]: [usize; 2],
        init: LayerInit,
    ) -> Result<Self> {
        let weight = registry.parameter("weight", [c_out, c_in], init.weight(c_in, c_out))?;
        Ok(Self { weight, bias: None })
    }

    /// x `[m, c_in]` => `[m, c_out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let dtype = x.dtype();
        let bias = self.bias.as_ref().map(|b| cast(b.val(), dtype));
        kernels::dense(x, cast(self.weight.val(), dtype), bias)
    }
}

/// The parameters of a group normalisation.
#[derive(Module, Debug)]
pub(crate) struct GroupNorm {
    groups: usize,
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    eps: f64,
}

impl GroupNorm {
    /// Registers `weight` and `bias`, of EDM's min(32, channels / 4) groups.
    pub(crate) fn new(registry: &mut Registry, channels: usize, eps: f64) -> Result<Self> {
        Self::with_groups(registry, 32.min(channels / 4), channels, eps)
    }

    /// Registers `weight` and `bias`.
    pub(crate) fn with_groups(r: &mut Registry, groups: usize, channels: usize, eps: f64) -> Result<Self> {
        Ok(Self {
            groups,
            weight: r.parameter("weight", [channels], Init::ONE)?,
            bias: r.parameter("bias", [channels], Init::ZERO)?,
            eps,
        })
    }

    /// What the kernel needs; its optional parts are absent.
    pub(crate) fn settings(&self) -> kernels::GroupNorm {
        kernels::GroupNorm {
            groups: self.groups,
            eps: self.eps,
            weight: self.weight.val(),
            bias: self.bias.val(),
            shift_before: None,
            scale_shift: None,
            silu: false,
        }
    }

    /// x `[n, h, w, c]` => normalised, with a SiLU or without
    pub(crate) fn forward(&self, x: Tensor<4>, silu: bool) -> Tensor<4> {
        kernels::group_norm(x, kernels::GroupNorm { silu, ..self.settings() })
    }
}

/// A cast that costs nothing where there is nothing to do.
pub(crate) fn cast<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    if x.dtype() == dtype { x } else { x.cast(dtype) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        nn::registry::state_dict,
        seed::{Phase, Seed},
    };

    /// Standard deviations of weight and bias of a convolution from 48 to 80 channels.
    fn deviations(init: LayerInit) -> (f64, f64) {
        let mut registry = Registry::drawn(Seed(1).at(Phase::Init, 0), &Device::flex());
        let conv = Conv2d::new(&mut registry, [48, 80], 3, init, Resample::Keep).unwrap();
        let state = state_dict(&conv, &registry.finish().unwrap());
        let deviation = |name: &str| {
            let values: Vec<f64> = state[name].iter::<f64>().collect();
            (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
        };
        (deviation("weight"), deviation("bias"))
    }

    #[test]
    fn initial_weights_have_the_spread_of_their_distribution() {
        let near = |found: f64, expected: f64, slack: f64| {
            assert!((found / expected - 1.0).abs() < slack, "{found}, not {expected}");
        };
        // Xavier: variance 2 / (fan_in + fan_out); 34,560 weights give it within a percent.
        let (weight, bias) = deviations(LayerInit::XavierUniform(1.0));
        near(weight, (2.0 / (9.0 * 128.0f64)).sqrt(), 0.02);
        assert!(bias.abs() < f64::MIN_POSITIVE, "{bias}, not 0");
        let (weight, _) = deviations(LayerInit::XavierUniform(1e-5));
        near(weight, 1e-5 * (2.0 / (9.0 * 128.0f64)).sqrt(), 0.02);
        // Kaiming: variance 1 / fan_in; ADM's gain of sqrt(1/3) holds for weight and bias.
        let (weight, bias) = deviations(LayerInit::KaimingUniform((1.0 / 3.0f64).sqrt()));
        near(weight, (1.0 / (3.0 * 9.0 * 48.0f64)).sqrt(), 0.02);
        near(bias, (1.0 / (3.0 * 9.0 * 48.0f64)).sqrt(), 0.3);
        let (weight, bias) = deviations(LayerInit::KaimingNormal(2.0));
        near(weight, 2.0 * (1.0 / (9.0 * 48.0f64)).sqrt(), 0.02);
        assert!(bias.abs() < f64::MIN_POSITIVE, "{bias}, not 0");
    }

    #[test]
    fn a_fused_halving_is_a_wide_convolution_and_then_the_filter() {
        // On a field that is linear in x and y, a tent filter halves exactly: the middle of two pixels.
        let mut registry = Registry::drawn(Seed(1).at(Phase::Init, 0), &Device::flex());
        let filter = Resample::Down(vec![1.0, 3.0, 3.0, 1.0]);
        let conv = Conv2d::new(&mut registry, [1, 1], 3, LayerInit::XavierUniform(0.0), filter).unwrap();
        let mut kernel = vec![0.0; 9];
        kernel[4] = 1.0;
        let weight =
            Tensor::<4>::from_data(burn::tensor::TensorData::new(kernel, [1, 1, 3, 3]), &Device::flex());
        let conv = Conv2d { weight: Param::from_tensor(weight), ..conv };
        let field: Vec<f32> = (0..64).map(|i| (i % 8) as f32 + 10.0 * (i / 8) as f32).collect();
        let x = Tensor::<4>::from_data(burn::tensor::TensorData::new(field, [1, 8, 8, 1]), &Device::flex());
        let y: Vec<f32> = conv.forward_fused_down(x).into_data().try_into_vec().unwrap();
        for (row, column) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let expected = (2.0 * column as f32 + 0.5) + 10.0 * (2.0 * row as f32 + 0.5);
            let found = y[row * 4 + column];
            assert!((found - expected).abs() < 1e-4, "{found}, not {expected}");
        }
    }
}
