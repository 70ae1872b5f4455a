//! Adam, with its state kept by parameter name, so that a checkpoint means the same after a restart.

use burn::tensor::{Tensor, TensorData};
use indexmap::IndexMap;

use super::{
    gradients::Gradients,
    parameters::{flat_parameters, map_flat, read_flat},
};
use crate::{
    Error, Result,
    diffusion::Precision,
    kernels::{self, AdamStep},
    nn::Denoiser,
    state_dict::StateDict,
};

/// What a recipe says about Adam, besides the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamSettings {
    /// Decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl AdamSettings {
    /// Epsilon, where the recipe does not say it, depends on the precision.
    pub fn new(betas: [f64; 2], epsilon: Option<f64>, precision: Precision) -> Self {
        let default = if precision == Precision::Fp16 { 1e-6 } else { 1e-8 };
        Self { betas, eps: epsilon.unwrap_or(default) }
    }
}

/// Adam's memory of one network. Parameters without a gradient are skipped: their moments and step counts stay.
#[derive(Clone, Debug)]
pub struct Adam {
    settings: AdamSettings,
    moments: IndexMap<String, Moments>,
}

#[derive(Clone, Debug)]
struct Moments {
    step: u64,
    first: Tensor<1>,
    second: Tensor<1>,
}

impl Adam {
    /// An optimizer that has seen nothing.
    pub fn new(settings: AdamSettings) -> Self {
        Self { settings, moments: IndexMap::new() }
    }

    /// What the recipe says.
    pub fn settings(&self) -> AdamSettings {
        self.settings
    }

    /// One step. The network has no tape.
    pub fn step<D: Denoiser>(&mut self, network: D, mut gradients: Gradients, lr: f64) -> D {
        let mut names = network.parameter_names().into_iter();
        map_flat(network, |parameter| {
            let name = names.next().expect("one name per parameter");
            match gradients.remove(&name) {
                Some(gradient) => self.update(name, parameter, gradient, lr),
                None => parameter,
            }
        })
    }

    fn update(&mut self, name: String, parameter: Tensor<1>, gradient: Tensor<1>, lr: f64) -> Tensor<1> {
        let AdamSettings { betas, eps } = self.settings;
        // Taken out and put back, so that the kernel owns the moments and may work in place.
        let (index, moments) = match self.moments.swap_remove_full(&name) {
            Some((index, _, moments)) => (index, moments),
            None => {
                let zeros = gradient.zeros_like();
                (self.moments.len(), Moments { step: 0, first: zeros.clone(), second: zeros })
            }
        };
        let step = moments.step + 1;
        let (parameter, first, second) = kernels::adam(
            parameter,
            moments.first,
            moments.second,
            gradient,
            AdamStep { lr, betas, eps, step },
        );
        self.moments.insert(name, Moments { step, first, second });
        let last = self.moments.len() - 1;
        self.moments.swap_indices(index, last);
        parameter
    }

    /// `<parameter>/exp_avg`, `<parameter>/exp_avg_sq` (flat) and `<parameter>/step` of every parameter that has been stepped.
    pub fn state(&self) -> StateDict {
        let entries = |(name, m): (&String, &Moments)| {
            [
                (format!("{name}/exp_avg"), kernels::host(m.first.clone())),
                (format!("{name}/exp_avg_sq"), kernels::host(m.second.clone())),
                (format!("{name}/step"), TensorData::new(vec![m.step as i64], [1])),
            ]
        };
        self.moments.iter().flat_map(entries).collect()
    }

    /// The optimizer of `network` in a saved state; `origin` names the file in errors.
    ///
    /// # Errors
    /// The state holds something for a parameter that the network does not have, lacks a part, or a size differs.
    pub fn restore<D: Denoiser>(
        settings: AdamSettings,
        network: &D,
        state: &StateDict,
        origin: &str,
    ) -> Result<Self> {
        let mut moments = IndexMap::new();
        for (name, parameter) in network.parameter_names().into_iter().zip(flat_parameters(network)) {
            let key = |part: &str| format!("{name}/{part}");
            if !state.contains_key(&key("step")) && !state.contains_key(&key("exp_avg")) {
                continue;
            }
            let step = state
                .get(&key("step"))
                .and_then(first_value)
                .ok_or_else(|| Error::MissingTensor { origin: origin.to_owned(), tensor: key("step") })?;
            let restored = Moments {
                step: step as u64,
                first: read_flat(state, &key("exp_avg"), &parameter, origin)?,
                second: read_flat(state, &key("exp_avg_sq"), &parameter, origin)?,
            };
            moments.insert(name.clone(), restored);
        }
        let known = |key: &String| key.rsplit_once('/').is_some_and(|(name, _)| moments.contains_key(name));
        if let Some(key) = state.keys().find(|key| !known(key)) {
            return Err(Error::UnexpectedTensor { origin: origin.to_owned(), tensor: key.clone() });
        }
        Ok(Self { settings, moments })
    }
}

fn first_value(data: &TensorData) -> Option<f64> {
    data.clone().convert::<f64>().try_into_vec::<f64>().ok()?.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gaussian::Gaussian;

    const SETTINGS: AdamSettings = AdamSettings { betas: [0.9, 0.999], eps: 1e-8 };

    /// Gradients of `Gaussian::new`'s parameters; those that are `None` are left out.
    fn gradients(mean: Option<f32>, std: Option<f32>) -> Gradients {
        let tensor = |value: f32| Tensor::from_floats([value], &burn::tensor::Device::flex());
        [("mean", mean), ("std", std)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), tensor(value?))))
            .collect()
    }

    #[test]
    fn it_follows_the_papers_recurrence() {
        // Kingma and Ba, 2015, Algorithm 1, in f64.
        let ([b1, b2], lr) = (SETTINGS.betas, 1e-2);
        let (mut theta, mut m, mut v) = (0.7f64, 0.0f64, 0.0f64);
        let mut adam = Adam::new(SETTINGS);
        let mut network = Gaussian::new(0.7, 1.0);
        for t in 1..=50 {
            let g = (f64::from(t) * 0.7).sin() * 3.0;
            (m, v) = (b1 * m + (1.0 - b1) * g, b2 * v + (1.0 - b2) * g * g);
            theta -= lr * (m / (1.0 - b1.powi(t))) / ((v / (1.0 - b2.powi(t))).sqrt() + SETTINGS.eps);
            network = adam.step(network, gradients(Some(g as f32), None), lr);
        }
        assert!((f64::from(network.mean()) - theta).abs() < 1e-6);
        assert_eq!(network.std().to_bits(), 1f32.to_bits());
    }

    #[test]
    fn a_parameter_without_gradient_is_skipped_and_counts_no_step() {
        let mut adam = Adam::new(AdamSettings { betas: [0.0, 0.999], eps: 1e-8 });
        let network = adam.step(Gaussian::new(0.0, 1.0), gradients(Some(5.0), None), 0.1);
        // With bias correction the first step is the learning rate, whatever the gradient.
        assert!((network.mean() + 0.1).abs() < 1e-6);
        let network = adam.step(network, gradients(Some(5.0), Some(-3.0)), 0.1);
        assert!((network.std() - 1.1).abs() < 1e-6);
        let steps = |name: &str| adam.state()[&format!("{name}/step")].iter::<i64>().next();
        assert_eq!((steps("mean"), steps("std")), (Some(2), Some(1)));
    }

    #[test]
    fn its_state_survives() {
        let mut adam = Adam::new(SETTINGS);
        let network = adam.step(Gaussian::new(0.0, 1.0), gradients(Some(5.0), Some(1.0)), 0.1);
        let mut restored = Adam::restore(SETTINGS, &network, &adam.state(), "a file").unwrap();
        assert_eq!(restored.state(), adam.state());
        let next = |adam: &mut Adam| {
            let network = adam.step(network.clone(), gradients(Some(-2.0), Some(0.3)), 0.1);
            (network.mean(), network.std())
        };
        assert_eq!(next(&mut restored), next(&mut adam));
        let strange = adam.state().into_iter().map(|(name, data)| (name.replace("std", "other"), data));
        let refused = Adam::restore(SETTINGS, &network, &strange.collect(), "a file");
        assert!(matches!(refused, Err(Error::UnexpectedTensor { .. })));
    }

    #[test]
    fn half_a_state_is_refused() {
        let mut adam = Adam::new(SETTINGS);
        let network = adam.step(Gaussian::new(0.0, 1.0), gradients(Some(5.0), Some(1.0)), 0.1);
        for part in ["step", "exp_avg", "exp_avg_sq"] {
            let mut state = adam.state();
            state.shift_remove(&format!("mean/{part}"));
            let refused = Adam::restore(SETTINGS, &network, &state, "a file");
            assert!(matches!(refused, Err(Error::MissingTensor { .. })), "without {part}");
        }
    }
}
