//! `ReferenceAdam`: the state of an optimizer, in a training state of SiD or SiDA.

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use serde_json::{Map, Value as Json};

use super::{modules::Allowance, reference_training_state::TrainedNetwork};
use crate::{
    Error, Result,
    formats::pickle::{Pickle, Value},
    terminal,
};

/// The state of a torch Adam optimizer.
#[derive(Clone, Debug)]
pub struct ReferenceAdam {
    /// `param_groups` as written: `lr`, `betas`, `eps`, ..., and `params`, the indices of the group.
    pub groups: Vec<Map<String, Json>>,
    /// State of a parameter by its index; parameters that were never stepped have none.
    pub state: BTreeMap<u64, AdamMoments>,
}

/// What Adam remembers of one parameter.
#[derive(Clone, Debug)]
pub struct AdamMoments {
    /// Number of steps; `[]`.
    pub step: TensorData,
    /// First moment; shape of the parameter.
    pub exp_avg: TensorData,
    /// Second moment; shape of the parameter.
    pub exp_avg_sq: TensorData,
}

impl ReferenceAdam {
    pub(super) fn read(pickle: &Pickle, value: Value, allowance: &mut Allowance) -> Result<Self> {
        let bad = |what: &str| pickle.bad(format!("an optimizer without its {what}"));
        let groups = pickle.get(value, "param_groups").ok_or_else(|| bad("`param_groups`"))?;
        let Json::Array(groups) = pickle.json(groups)? else { return Err(bad("`param_groups`")) };
        let groups: Option<Vec<_>> = groups.into_iter().map(|group| group.as_object().cloned()).collect();
        let entries = pickle
            .get(value, "state")
            .and_then(|state| pickle.entries(state))
            .ok_or_else(|| bad("`state`"))?;
        let mut state = BTreeMap::new();
        for &(index, moments) in entries.iter() {
            let Value::Int(index) = index else { return Err(bad("parameter indices")) };
            let index = u64::try_from(index).map_err(|_| bad("parameter indices"))?;
            state.insert(index, AdamMoments::read(pickle, moments, allowance)?);
        }
        Ok(Self { groups: groups.ok_or_else(|| bad("`param_groups`"))?, state })
    }

    /// Every index names a parameter, and its moments have the parameter's shape.
    pub(super) fn check(&self, network: &TrainedNetwork, pickle: &Pickle) -> Result<()> {
        let indices =
            |group: &Map<String, Json>| group.get("params").and_then(Json::as_array).map_or(0, Vec::len);
        let count: usize = self.groups.iter().map(indices).sum();
        if count != network.parameters.len() {
            let problem =
                format!("its optimizer has {count} parameters, the network {}", network.parameters.len());
            return Err(pickle.bad(problem));
        }
        for (&index, moments) in &self.state {
            let name = usize::try_from(index).ok().and_then(|index| network.parameters.get(index));
            let name = name.ok_or_else(|| pickle.bad(format!("its optimizer knows a parameter {index}")))?;
            let expected = network.state_dict[name].shape();
            for found in [&moments.exp_avg, &moments.exp_avg_sq] {
                if found.shape() != expected {
                    return Err(Error::ShapeMismatch {
                        origin: format!("optimizer state of {}", terminal::path(pickle.path())),
                        tensor: name.clone(),
                        found: found.shape().to_vec(),
                        expected: expected.to_vec(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl AdamMoments {
    fn read(pickle: &Pickle, value: Value, allowance: &mut Allowance) -> Result<Self> {
        let mut tensor = |name: &str| {
            allowance.dict(pickle, value)?;
            let value = pickle.get(value, name).unwrap_or(Value::None);
            // Torch before 1.12 counted steps in a plain number.
            if let (Value::Int(step), "step") = (value, name) {
                return Ok(TensorData::new(vec![step as f32], Vec::<usize>::new()));
            }
            match pickle.tensor(value)? {
                Some(view) => allowance.read(pickle, &view),
                None => Err(pickle.bad(format!("an optimizer state without its `{name}`"))),
            }
        };
        Ok(Self { step: tensor("step")?, exp_avg: tensor("exp_avg")?, exp_avg_sq: tensor("exp_avg_sq")? })
    }
}
