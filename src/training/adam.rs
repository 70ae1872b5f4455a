//! Adam over all parameters at once; in checkpoints its state is kept by parameter name, so that it means the same after
//! a restart.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::Arc,
};

use burn::tensor::{Tensor, TensorData};

use super::{
    gradients::GradientSum,
    layout::{self, Layout},
    parameters::read_flat,
};
use crate::{
    Error, Result,
    diffusion::Precision,
    kernels::{self, AdamStep},
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
#[derive(Debug)]
pub struct Adam {
    settings: AdamSettings,
    layout: Arc<Layout>,
    /// How many steps each parameter has been through.
    steps: Vec<u64>,
    /// The first and the second moment of all of them; none before the first step.
    moments: Option<[Tensor<1>; 2]>,
}

impl Adam {
    /// An optimizer that has seen nothing, of a network with this layout.
    pub fn new(settings: AdamSettings, layout: &Arc<Layout>) -> Self {
        let steps = vec![0; layout.names().len()];
        Self { settings, layout: Arc::clone(layout), steps, moments: None }
    }

    /// One step: the new values of all parameters.
    pub fn step(&mut self, values: Tensor<1>, gradients: GradientSum, lr: f64) -> Tensor<1> {
        let AdamSettings { betas, eps } = self.settings;
        for (step, present) in self.steps.iter_mut().zip(gradients.present()) {
            *step += u64::from(*present);
        }
        // Taken out and put back, so that the kernel owns the moments and may work in place.
        let [first, second] =
            self.moments.take().unwrap_or_else(|| [values.zeros_like(), values.zeros_like()]);
        let state = self.runs(gradients.present()).into_iter().fold(
            [values, first, second],
            |state, (step, runs)| {
                kernels::adam(state, gradients.values().clone(), &runs, AdamStep { lr, betas, eps, step })
            },
        );
        let [values, first, second] = state;
        self.moments = Some([first, second]);
        values
    }

    /// The places of parameters with a gradient, by the number of their step; those that follow each other as one. As a
    /// rule all are at the same step.
    fn runs(&self, present: &[bool]) -> BTreeMap<u64, Vec<Range<usize>>> {
        let mut runs = BTreeMap::<u64, Vec<Range<usize>>>::new();
        let mut before = None;
        for ((place, step), present) in self.layout.places().ranges().iter().zip(&self.steps).zip(present) {
            let step = present.then_some(*step);
            if let Some(step) = step {
                let runs = runs.entry(step).or_default();
                match runs.last_mut().filter(|_| before == Some(step)) {
                    Some(run) => run.end = place.end,
                    None => runs.push(place.clone()),
                }
            }
            before = step;
        }
        runs
    }

    /// `<parameter>/exp_avg`, `<parameter>/exp_avg_sq` (flat) and `<parameter>/step` of every parameter that has been
    /// stepped.
    pub fn state(&self) -> StateDict {
        let Some(moments) = &self.moments else { return StateDict::new() };
        let [first, second] = moments.each_ref().map(layout::values);
        let names = self.layout.names().iter().zip(&self.steps).enumerate();
        let entries = |(index, (name, step)): (usize, (&String, &u64))| {
            let values = |of: &[f32]| {
                let values = self.layout.rows(index, of);
                let length = values.len();
                TensorData::new(values, [length])
            };
            [
                (format!("{name}/exp_avg"), values(&first)),
                (format!("{name}/exp_avg_sq"), values(&second)),
                (format!("{name}/step"), TensorData::new(vec![*step as i64], [1])),
            ]
        };
        names.filter(|(_, (_, step))| **step > 0).flat_map(entries).collect()
    }

    /// The optimizer as a saved `state` knows it; `origin` names the file in errors. Its moments lie where `values` do.
    ///
    /// # Errors
    /// The state holds something for a parameter that the network does not have, lacks a part, or a size differs.
    pub fn restored(&self, values: &Tensor<1>, state: &StateDict, origin: &str) -> Result<Self> {
        let mut steps = vec![0; self.steps.len()];
        let mut moments = [const { Vec::new() }; 2];
        let mut known = HashSet::new();
        for (index, name) in self.layout.names().iter().enumerate() {
            let place = self.layout.places().ranges()[index].clone();
            let key = |part: &str| format!("{name}/{part}");
            if !state.contains_key(&key("step")) && !state.contains_key(&key("exp_avg")) {
                continue;
            }
            let step = state
                .get(&key("step"))
                .and_then(first_value)
                .ok_or_else(|| Error::MissingTensor { origin: origin.to_owned(), tensor: key("step") })?;
            if !(step.is_finite() && step >= 0.0) {
                let (origin, value) = (origin.to_owned(), step as f32);
                return Err(Error::NotFinite { origin, tensor: key("step"), value });
            }
            steps[index] = step as u64;
            for (moments, part) in moments.iter_mut().zip(["exp_avg", "exp_avg_sq"]) {
                let read = read_flat(state, &key(part), place.len(), &values.device(), origin)?;
                moments.push((place.clone(), self.layout.lying(index, read)));
            }
            known.extend(["step", "exp_avg", "exp_avg_sq"].map(key));
        }
        if let Some(key) = state.keys().find(|key| !known.contains(*key)) {
            return Err(Error::UnexpectedTensor { origin: origin.to_owned(), tensor: key.clone() });
        }
        let total = self.layout.places().total();
        let moments = (!known.is_empty()).then(|| moments.map(|moments| kernels::gather(moments, total)));
        Ok(Self { steps, moments, layout: Arc::clone(&self.layout), ..*self })
    }
}

fn first_value(data: &TensorData) -> Option<f64> {
    data.clone().convert::<f64>().try_into_vec::<f64>().ok()?.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        nn::gaussian::Gaussian,
        training::{Gradients, flat::Flat},
    };

    const SETTINGS: AdamSettings = AdamSettings { betas: [0.9, 0.999], eps: 1e-8 };

    /// A network and its optimizer.
    fn beginning(mean: f32, std: f32, settings: AdamSettings) -> (Flat<Gaussian>, Adam) {
        let flat = Flat::new(Gaussian::new(mean, std));
        let adam = Adam::new(settings, flat.layout());
        (flat, adam)
    }

    /// One step; parameters whose gradients are `None` have none.
    fn step(flat: &mut Flat<Gaussian>, adam: &mut Adam, [mean, std]: [Option<f32>; 2], lr: f64) {
        let tensor = |value: f32| Tensor::from_floats([value], &burn::tensor::Device::flex());
        let gradients: Gradients = [("mean", mean), ("std", std)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), tensor(value?))))
            .collect();
        let gradients = GradientSum::of(flat.layout(), gradients);
        flat.update(|values| adam.step(values, gradients, lr));
    }

    #[test]
    fn it_follows_the_papers_recurrence() {
        // Kingma and Ba, 2015, Algorithm 1, in f64.
        let ([b1, b2], lr) = (SETTINGS.betas, 1e-2);
        let (mut theta, mut m, mut v) = (0.7f64, 0.0f64, 0.0f64);
        let (mut flat, mut adam) = beginning(0.7, 1.0, SETTINGS);
        for t in 1..=50 {
            let g = (f64::from(t) * 0.7).sin() * 3.0;
            (m, v) = (b1 * m + (1.0 - b1) * g, b2 * v + (1.0 - b2) * g * g);
            theta -= lr * (m / (1.0 - b1.powi(t))) / ((v / (1.0 - b2.powi(t))).sqrt() + SETTINGS.eps);
            step(&mut flat, &mut adam, [Some(g as f32), None], lr);
        }
        assert!((f64::from(flat.network().mean()) - theta).abs() < 1e-6);
        assert_eq!(flat.network().std().to_bits(), 1f32.to_bits());
    }

    #[test]
    fn a_parameter_without_gradient_is_skipped_and_counts_no_step() {
        let (mut flat, mut adam) = beginning(0.0, 1.0, AdamSettings { betas: [0.0, 0.999], eps: 1e-8 });
        step(&mut flat, &mut adam, [Some(5.0), None], 0.1);
        // With bias correction the first step is the learning rate, whatever the gradient.
        assert!((flat.network().mean() + 0.1).abs() < 1e-6);
        assert!(!adam.state().contains_key("std/exp_avg"));
        step(&mut flat, &mut adam, [Some(5.0), Some(-3.0)], 0.1);
        assert!((flat.network().std() - 1.1).abs() < 1e-6);
        let steps = |name: &str| adam.state()[&format!("{name}/step")].iter::<i64>().next();
        assert_eq!((steps("mean"), steps("std")), (Some(2), Some(1)));
    }

    #[test]
    fn its_state_survives() {
        let (mut flat, mut adam) = beginning(0.0, 1.0, SETTINGS);
        step(&mut flat, &mut adam, [Some(5.0), Some(1.0)], 0.1);
        let restored = |state: &StateDict| adam.restored(flat.values(), state, "a file");
        let mut again = restored(&adam.state()).unwrap();
        assert_eq!(again.state(), adam.state());
        let strange = adam.state().into_iter().map(|(name, data)| (name.replace("std", "other"), data));
        assert!(matches!(restored(&strange.collect()), Err(Error::UnexpectedTensor { .. })));
        let next = |adam: &mut Adam| {
            let mut flat = Flat::new(flat.network().clone());
            step(&mut flat, adam, [Some(-2.0), Some(0.3)], 0.1);
            (flat.network().mean(), flat.network().std())
        };
        assert_eq!(next(&mut again), next(&mut adam));
    }

    #[test]
    fn half_a_state_is_refused() {
        let (mut flat, mut adam) = beginning(0.0, 1.0, SETTINGS);
        step(&mut flat, &mut adam, [Some(5.0), Some(1.0)], 0.1);
        for part in ["step", "exp_avg", "exp_avg_sq"] {
            let mut state = adam.state();
            state.shift_remove(&format!("mean/{part}"));
            let refused = adam.restored(flat.values(), &state, "a file");
            assert!(matches!(refused, Err(Error::MissingTensor { .. })), "without {part}");
        }
    }
}
