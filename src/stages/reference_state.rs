//! A training state of the PyTorch release, as a state of our trainer.

use std::path::Path;

use crate::{
    Error, Result,
    checkpoint::{ReferenceAdam, ReferenceTrainingState, TrainedNetwork},
    distill::trainer::{FAKE_SCORE, GENERATOR, GENERATOR_EMA},
    kimg::Kimg,
    state_dict::StateDict,
    terminal,
    training::{adam::by_name, state::join},
};

/// Reads a `training-state-*.pt`; without `kimg` its name says how many images it has seen.
pub(super) fn read(path: &Path, kimg: Option<Kimg>) -> Result<StateDict> {
    let found = ReferenceTrainingState::open(path)?;
    let origin = format!("`{}`", terminal::path(path));
    let nimg = kimg.map(Kimg::nimg).or(found.resume_kimg.map(|kimg| kimg * 1000)).ok_or_else(|| {
        Error::Unusable(format!("the name of {origin} does not say how many images it has seen: give `kimg`"))
    })?;
    let network = |network| parameters(network, &origin);
    let optimizer = |adam, network| moments(adam, network, &origin);
    let parts = [
        (FAKE_SCORE.network, network(&found.fake_score)?),
        (GENERATOR.network, network(&found.generator)?),
        (GENERATOR_EMA, network(&found.generator_ema)?),
        (FAKE_SCORE.optimizer, optimizer(&found.fake_score_optimizer, &found.fake_score)?),
        (GENERATOR.optimizer, optimizer(&found.generator_optimizer, &found.generator)?),
    ];
    Ok(join(parts, nimg))
}

fn parameters(network: &TrainedNetwork, origin: &str) -> Result<StateDict> {
    let parameter = |name: &String| {
        let missing = || Error::MissingTensor { origin: origin.to_owned(), tensor: name.clone() };
        let data = network.state_dict.get(name).ok_or_else(missing)?;
        Ok((name.clone(), data.clone().convert::<f32>()))
    };
    network.parameters.iter().map(parameter).collect()
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
