//! A training state of the PyTorch release, as a state of our trainer.

use std::path::Path;

use burn::tensor::TensorData;

use crate::{
    Error, Result,
    checkpoint::{ReferenceAdam, ReferenceTrainingState, TrainedNetwork},
    kimg::Kimg,
    state_dict::StateDict,
    terminal,
    training::adam::by_name,
};

/// Reads a `training-state-*.pt`; without `kimg` its name says how many images it has seen.
pub(super) fn read(path: &Path, kimg: Option<Kimg>) -> Result<StateDict> {
    let found = ReferenceTrainingState::open(path)?;
    let origin = format!("`{}`", terminal::path(path));
    let nimg = kimg.map(Kimg::nimg).or(found.resume_kimg.map(|kimg| kimg * 1000)).ok_or_else(|| {
        Error::Unusable(format!("the name of {origin} does not say how many images it has seen: give `kimg`"))
    })?;
    let mut state = StateDict::new();
    let networks = [
        ("fake_score", &found.fake_score),
        ("generator", &found.generator),
        ("generator_ema", &found.generator_ema),
    ];
    for (part, network) in networks {
        for name in &network.parameters {
            let data = network
                .state_dict
                .get(name)
                .ok_or_else(|| Error::MissingTensor { origin: origin.clone(), tensor: name.clone() })?;
            state.insert(format!("{part}/{name}"), data.clone().convert::<f32>());
        }
    }
    let optimizers = [
        ("fake_score_optimizer", &found.fake_score_optimizer, &found.fake_score),
        ("generator_optimizer", &found.generator_optimizer, &found.generator),
    ];
    for (part, adam, network) in optimizers {
        for (name, data) in moments(adam, network, &origin)? {
            state.insert(format!("{part}/{name}"), data);
        }
    }
    state.insert("nimg".to_owned(), TensorData::new(vec![nimg as i64], [1]));
    Ok(state)
}

fn moments(adam: &ReferenceAdam, network: &TrainedNetwork, origin: &str) -> Result<StateDict> {
    let mut by_index = StateDict::new();
    for (index, moments) in &adam.state {
        let parts =
            [("step", &moments.step), ("exp_avg", &moments.exp_avg), ("exp_avg_sq", &moments.exp_avg_sq)];
        for (part, data) in parts {
            by_index.insert(format!("{index}/{part}"), data.clone());
        }
    }
    by_name(&network.parameters, &by_index, origin)
}
