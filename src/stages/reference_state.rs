//! A training state of the PyTorch release, as a state of our trainer.

use std::path::Path;

use crate::{
    Error, Result,
    checkpoint::{AdamMoments, ReferenceAdam, ReferenceTrainingState, TrainedNetwork},
    distill::trainer::{FAKE_SCORE, GENERATOR, GENERATOR_EMA},
    kimg::Kimg,
    state_dict::StateDict,
    terminal,
    training::state::join,
};

/// Reads a `training-state-*.pt`; without `kimg` its name says how many images it has seen.
pub(super) fn read(path: &Path, kimg: Option<Kimg>) -> Result<StateDict> {
    let found = ReferenceTrainingState::open(path)?;
    let origin = format!("`{}`", terminal::path(path));
    let nimg = kimg.map(Kimg::nimg).or(found.resume_kimg.map(|kimg| kimg * 1000)).ok_or_else(|| {
        Error::Unusable(format!("the name of {origin} does not say how many images it has seen: give `kimg`"))
    })?;
    let network = |network| parameters(network, &origin);
    let parts = [
        (FAKE_SCORE.network, network(&found.fake_score)?),
        (GENERATOR.network, network(&found.generator)?),
        (GENERATOR_EMA, network(&found.generator_ema)?),
        (FAKE_SCORE.optimizer, moments(&found.fake_score_optimizer, &found.fake_score)),
        (GENERATOR.optimizer, moments(&found.generator_optimizer, &found.generator)),
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

/// Torch numbers the parameters that it has moments of; a `ReferenceAdam` has been checked to know no others.
fn moments(adam: &ReferenceAdam, network: &TrainedNetwork) -> StateDict {
    let parts = |(index, moments): (&u64, &AdamMoments)| {
        let name = &network.parameters[*index as usize];
        let AdamMoments { step, exp_avg, exp_avg_sq } = moments.clone();
        let parts = [("step", step), ("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)];
        parts.map(|(part, data)| (format!("{name}/{part}"), data))
    };
    adam.state.iter().flat_map(parts).collect()
}
