//! Adam, with its state kept by parameter name, so that a checkpoint means the same after a restart.

use burn::tensor::{Tensor, TensorData};
use indexmap::IndexMap;

use super::{
    gradients::Gradients,
    parameters::{flat_parameters, map_flat, read_flat},
};
use crate::{
    Error, Result,
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
                (format!("{name}/exp_avg"), m.first.clone().into_data()),
                (format!("{name}/exp_avg_sq"), m.second.clone().into_data()),
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

/// Torch's state of an optimizer, `<index>/{step,exp_avg,exp_avg_sq}`, by the names of the parameters instead.
///
/// # Errors
/// An index that no parameter has.
pub fn by_name(names: &[String], by_index: &StateDict, origin: &str) -> Result<StateDict> {
    let rename = |(key, data): (&String, &TensorData)| {
        let unknown = || Error::UnexpectedTensor { origin: origin.to_owned(), tensor: key.clone() };
        let (index, part) = key.split_once('/').ok_or_else(unknown)?;
        let name = index.parse::<usize>().ok().and_then(|i| names.get(i)).ok_or_else(unknown)?;
        Ok((format!("{name}/{part}"), data.clone()))
    };
    by_index.iter().map(rename).collect()
}
