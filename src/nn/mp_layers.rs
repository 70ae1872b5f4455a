//! Magnitude-preserving layers (Karras et al. 2024, EDM2): weights that are normalised where they are used, and
//! activations, sums and concatenations that keep magnitudes.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{Tensor, activation},
};

use super::{
    constants::Constants,
    registry::{Init, Registry},
};
use crate::{
    Result,
    kernels::{self, WeightOrder},
};

/// Added to every magnitude that something is divided by.
pub(crate) const EPS: f64 = 1e-4;

/// A convolution without bias whose weights have unit magnitude in use.
#[derive(Module, Debug)]
pub(crate) struct MpConv {
    weight: Param<Tensor<4>>,
}

impl MpConv {
    /// Registers `weight`.
    pub(crate) fn new(registry: &mut Registry, [c_in, c_out]: [usize; 2], kernel: usize) -> Result<Self> {
        let weight = registry.parameter("weight", [c_out, c_in, kernel, kernel], Init::Normal(1.0))?;
        Ok(Self { weight })
    }

    /// x `[n, h, w, c_in]` => `[n, h, w, c_out]`
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_with(x, None)
    }

    /// The same, times a learned gain `[1]`.
    pub(crate) fn forward_with(&self, x: Tensor<4>, gain: Option<Tensor<1>>) -> Tensor<4> {
        let weight = WeightOrder::of(&x.device()).cast(in_use(self.weight.val(), gain), x.dtype());
        kernels::conv2d(x, weight, None)
    }
}

/// A dense layer without bias whose weights have unit magnitude in use.
#[derive(Module, Debug)]
pub(crate) struct MpDense {
    weight: Param<Tensor<2>>,
}

impl MpDense {
    /// Registers `weight`.
    pub(crate) fn new(registry: &mut Registry, [c_in, c_out]: [usize; 2]) -> Result<Self> {
        Ok(Self { weight: registry.parameter("weight", [c_out, c_in], Init::Normal(1.0))? })
    }

    /// x `[m, c_in]` => `[m, c_out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.forward_with(x, None)
    }

    /// The same, times a learned gain `[1]`.
    pub(crate) fn forward_with(&self, x: Tensor<2>, gain: Option<Tensor<1>>) -> Tensor<2> {
        kernels::dense(x, in_use(self.weight.val(), gain), None)
    }
}

/// The weights as a pass uses them: normalised, over the square root of the fan-in, times the gain. The gradient
/// flows through all of it. `[k, ...]`
fn in_use<const D: usize>(weight: Tensor<D>, gain: Option<Tensor<1>>) -> Tensor<D> {
    let fan_in = weight.shape().num_elements() / weight.dims()[0];
    kernels::normalize_rows(weight, EPS, (fan_in as f64).sqrt().recip(), gain)
}

/// Sets every magnitude-preserving weight of a module to unit magnitude. The network stays the same function but
/// for `EPS`; its gradients change. Gains, which have one dimension, stay.
pub(crate) struct ForcedNormalization;

impl ModuleMapper for ForcedNormalization {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D < 2 {
            return param;
        }
        param.map(|weight| {
            let trained = weight.is_require_grad();
            // A parameter is a leaf of the tape.
            let normalized = kernels::normalize_rows(weight.detach(), EPS, 1.0, None).detach();
            if trained { normalized.require_grad() } else { normalized }
        })
    }
}

/// x `[n, h, w, c]` => every position at unit magnitude
pub(crate) fn pixel_norm(x: Tensor<4>) -> Tensor<4> {
    kernels::pixel_norm(x, EPS)
}

/// `mp_silu` of a small matrix: embeddings.
pub(crate) fn mp_silu(x: Tensor<2>) -> Tensor<2> {
    activation::silu(x) / 0.596
}

/// The weights of a and b in the magnitude-preserving sum with balance t.
fn mp_sum_weights(t: f64) -> [f64; 2] {
    let norm = (1.0 - t).hypot(t);
    [(1.0 - t) / norm, t / norm]
}

/// Magnitude-preserving sum of embeddings; one of them may have a single row for all.
pub(crate) fn mp_sum_embeddings(a: Tensor<2>, b: Tensor<2>, t: f64) -> Tensor<2> {
    let [weight_a, weight_b] = mp_sum_weights(t);
    a * weight_a + b * weight_b
}

/// Magnitude-preserving sum of activations; values beyond the limit are held there. `[n, h, w, c]`
pub(crate) fn mp_sum(a: Tensor<4>, b: Tensor<4>, t: f64, limit: Option<f64>) -> Tensor<4> {
    let [weight_a, weight_b] = mp_sum_weights(t);
    kernels::weighted_sum(a, weight_a, b, weight_b, limit)
}

/// Magnitude-preserving concatenation: both parts contribute by the balance, whatever their widths.
/// `[n, h, w, ca]`, `[n, h, w, cb]` => `[n, h, w, ca + cb]`
pub(crate) fn mp_cat(a: Tensor<4>, b: Tensor<4>, t: f64) -> Tensor<4> {
    let [ca, cb] = [a.dims()[3] as f64, b.dims()[3] as f64];
    let [weight_a, weight_b] = mp_sum_weights(t);
    let total = (ca + cb).sqrt();
    kernels::concat(a, weight_a * total / ca.sqrt(), b, weight_b * total / cb.sqrt())
}

/// Random Fourier features of unit magnitude.
#[derive(Module, Debug)]
pub(crate) struct MpFourier {
    /// Angles per unit of the noise label; two pi is inside.
    #[module(skip)]
    freqs: Constants,
    #[module(skip)]
    phases: Constants,
}

impl MpFourier {
    /// Registers the buffers `freqs` and `phases`.
    pub(crate) fn new(registry: &mut Registry, channels: usize) -> Result<Self> {
        use std::f64::consts::PI;
        Ok(Self {
            freqs: Constants::new(registry.values("freqs", &[channels], Init::Normal(2.0 * PI))?),
            // A full turn; where it begins makes no difference to a cosine.
            phases: Constants::new(registry.values("phases", &[channels], Init::Uniform(PI))?),
        })
    }

    /// `c_noise` `[n]` => `[n, channels]`
    pub(crate) fn forward(&self, c_noise: Tensor<1>) -> Tensor<2> {
        let row = |constants: &Constants| constants.on(&c_noise.device()).unsqueeze::<2>();
        let angles = c_noise.clone().unsqueeze_dim::<2>(1) * row(&self.freqs) + row(&self.phases);
        angles.cos() * 2f64.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::{
        seed::{Draw, Phase, Seed},
        stage_name::StageName,
    };

    fn draw() -> Draw {
        Seed(3).stage(&StageName::new("mp")).at(Phase::Init, 0)
    }

    fn normals(what: &str, shape: [usize; 4]) -> Tensor<4> {
        let values = draw().purpose(what).normals(0..1, shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// One row per output. `[k, ...]` => `[k, fan_in]`
    fn rows<const D: usize>(weight: Tensor<D>) -> Tensor<2> {
        let (outputs, count) = (weight.dims()[0], weight.shape().num_elements());
        weight.reshape([outputs, count / outputs])
    }

    fn rms(x: &Tensor<4>) -> f64 {
        x.clone().square().mean().sqrt().into_scalar::<f32>().into()
    }

    #[test]
    fn sums_and_concatenations_of_unit_normals_have_unit_magnitude() {
        for t in [0.0, 0.3, 0.5, 0.9] {
            let (a, b) = (normals("a", [2, 16, 16, 24]), normals("b", [2, 16, 16, 24]));
            assert!((rms(&mp_sum(a.clone(), b, t, None)) - 1.0).abs() < 0.02);
            let cat = mp_cat(a, normals("c", [2, 16, 16, 8]), t);
            assert!((rms(&cat) - 1.0).abs() < 0.02);
            // Each part's share of the energy is that of its balance, although b has a third of the channels.
            let share = rms(&cat.narrow(3, 24, 8)).powi(2) * 8.0 / 32.0;
            let expected = t * t / (t * t + (1.0 - t) * (1.0 - t));
            assert!((share - expected).abs() < 0.03, "{share} {expected}");
        }
    }

    #[test]
    fn layers_keep_unit_magnitude_whatever_the_scale_of_their_weights() {
        let device = Device::flex();
        let conv = MpConv::new(&mut Registry::drawn(draw(), &device), [32, 64], 3).unwrap();
        let x = normals("x", [2, 16, 16, 32]);
        let y = conv.forward(x.clone());
        // Positions at the border see padding.
        assert!((rms(&y.clone().slice([0..2, 1..15, 1..15])) - 1.0).abs() < 0.1);
        let larger = MpConv { weight: conv.weight.clone().map(|w| w * 50.0) };
        let difference = rms(&(larger.forward(x.clone()) - y.clone()));
        assert!(difference < 3e-4, "{difference}");

        let silu = kernels::mp_silu(normals("s", [4, 32, 32, 16]), None);
        assert!((rms(&silu) - 1.0).abs() < 0.02);
        let unit = pixel_norm(x * 7.0).square().mean_dim(3).sqrt() - 1.0;
        assert!(unit.abs().max().into_scalar::<f32>() < 1e-3);
        let gain = Tensor::<1>::from_floats([2.5], &device);
        let gained = conv.forward_with(normals("x", [2, 16, 16, 32]), Some(gain));
        assert!(rms(&(gained - y * 2.5)) < 1e-5);
    }

    #[test]
    fn fourier_features_have_unit_magnitude() {
        let fourier = MpFourier::new(&mut Registry::drawn(draw(), &Device::flex()), 4096).unwrap();
        let c_noise = Tensor::<1>::from_floats([-1.3, 0.0, 0.9], &Device::flex());
        let features = fourier.forward(c_noise).square().mean_dim(1).sqrt() - 1.0;
        assert!(features.abs().max().into_scalar::<f32>() < 0.05);
    }

    #[test]
    fn forced_normalization_changes_weights_but_not_the_function() {
        #[derive(Module, Debug)]
        struct Net {
            gain: Param<Tensor<1>>,
            conv: MpConv,
        }
        let device = Device::flex();
        let conv = MpConv::new(&mut Registry::drawn(draw(), &device), [8, 8], 3).unwrap();
        let conv = MpConv { weight: conv.weight.map(|w| w * 3.0) };
        let net = Net { gain: Param::from_tensor(Tensor::full([1], 0.7, &device)), conv };
        let id = net.conv.weight.id;
        let forced = net.clone().map(&mut ForcedNormalization);
        let unit = rows(forced.conv.weight.val()).square().mean_dim(1).sqrt() - 1.0;
        assert!(unit.abs().max().into_scalar::<f32>() < 1e-4);
        assert_eq!(forced.conv.weight.id, id);
        assert_eq!(forced.gain.val().into_data(), net.gain.val().into_data());
        let x = normals("x", [1, 4, 4, 8]);
        let difference = rms(&(net.conv.forward(x.clone()) - forced.conv.forward(x)));
        assert!(difference > 0.0 && difference < 2e-4, "{difference}");
    }

    /// Along the weights themselves the function does not change, so neither does a loss.
    #[test]
    fn the_gradient_is_orthogonal_to_the_weights() {
        let device = Device::flex().autodiff();
        let conv = MpConv::new(&mut Registry::drawn(draw(), &device), [4, 6], 3).unwrap();
        let x = Tensor::from_data(normals("x", [2, 5, 5, 4]).into_data(), &device);
        let r = Tensor::from_data(normals("r", [2, 5, 5, 6]).into_data(), &device);
        let gradients = (conv.forward(x) * r).sum().backward();
        let weight = conv.weight.val();
        let gradient = weight.grad(&gradients).expect("a trained weight has a gradient");
        let (gradient, weight) = (rows(gradient), rows(weight.inner()));
        let along = (gradient.clone() * weight.clone()).sum_dim(1);
        let lengths = (gradient.square().sum_dim(1) * weight.square().sum_dim(1)).sqrt();
        assert!((along / lengths).abs().max().into_scalar::<f32>() < 1e-3);
    }
}
