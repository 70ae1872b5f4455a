//! A training state of the PyTorch release, as a state of our trainer.

use std::path::Path;

use super::download::Wanted;
use crate::{
    Error, Result,
    checkpoint::{AdamMoments, ReferenceAdam, ReferenceTrainingState, TrainedNetwork},
    distill::{
        StartFrom,
        trainer::{FAKE_SCORE, GENERATOR, GENERATOR_EMA},
    },
    kimg::Kimg,
    state_dict::StateDict,
    terminal,
    training::state::join,
};

/// The file that a distillation starts from.
pub(super) fn wanted(start: &StartFrom) -> Wanted<'_> {
    let accepts = |path: &Path| ReferenceTrainingState::open(path).map(drop);
    Wanted::new("start_from/training_state", &start.training_state, accepts)
}

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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use serde_json::json;

    use super::*;
    use crate::{
        distill::{Distill, Networks, Objective, Trainer},
        nn::NetworkConfig,
        seed::{Phase, Seed},
    };

    /// A recorded state of the release: its fake score network has a logvar head, its generator and the average have none.
    #[test]
    fn an_edm2_state_of_the_release_goes_on_though_its_generator_has_no_logvar_head() {
        let network: NetworkConfig = serde_json::from_value(json!({ "edm2": {
            "img_resolution": 8, "img_channels": 4, "label_dim": 3, "model_channels": 4, "channel_mult": [1, 1],
            "num_blocks": 1, "attn_resolutions": [4], "channels_per_head": 4, "dropout": 0.0, "logvar": true,
            "logvar_channels": 16
        } }))
        .unwrap();
        let recipe: Distill = serde_json::from_value(json!({
            "teacher": "t", "method": { "sida": {} }, "duration_kimg": 2000, "batch_size": 4, "edm2": {}
        }))
        .unwrap();
        let teacher = network.init(Seed(1).at(Phase::Sample, 0), &Device::flex()).unwrap();
        let generator = teacher.clone().without_logvar().unwrap();
        assert_eq!(teacher.state_dict().len(), generator.state_dict().len() + 3);
        let objective = Objective::new(&recipe, &network);
        let mut trainer = Trainer::new(recipe, objective, Networks::of(teacher, Some(generator)));
        let path =
            Path::new("tests/fixtures/pickle-07-sida-edm2-training-state-fp16/training-state-001024.pt");
        let state = read(path, None).unwrap();
        trainer.restore(&state, "the state").unwrap();
        assert_eq!(trainer.nimg(), 1_024_000);
        let weights = trainer.generator_ema().state_dict();
        let (name, of_average) = weights.iter().find(|(name, _)| name.ends_with("8x8_conv.weight")).unwrap();
        let recorded = &ReferenceTrainingState::open(path).unwrap().generator_ema.state_dict[name];
        assert_eq!(of_average.clone().convert::<f32>(), recorded.clone().convert::<f32>());
        assert!(!weights.keys().any(|name| name.starts_with("logvar")));
    }
}
