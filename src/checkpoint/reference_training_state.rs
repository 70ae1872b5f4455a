//! `ReferenceTrainingState`: a `training-state-*.pt` of SiD or SiDA.

use std::path::Path;

use burn::tensor::{DType, TensorData};

use super::{
    modules::{Allowance, read_state_dict},
    reference_adam::ReferenceAdam,
    reference_network::ReferenceNetwork,
};
use crate::{
    Error, Result,
    formats::{
        FileBytes,
        pickle::{Pickle, Value},
    },
    state_dict::StateDict,
};

const FORMAT: &str = "training state";

/// How a loop writes its state down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingStateStyle {
    /// State dicts (SiDA).
    State,
    /// State dicts of networks in float16 (SiDA on EDM2); optimizer moments are whole.
    StateFp16,
    /// Whole networks (SiD).
    Modules,
}

/// Networks and optimizers of a distillation.
#[derive(Debug)]
pub struct ReferenceTrainingState {
    /// How it was written.
    pub style: TrainingStateStyle,
    /// Keys of the outer dict, in order.
    pub top_keys: Vec<String>,
    /// `module name` of everything the pickle refers to.
    pub globals: Vec<String>,
    /// The fake score network.
    pub fake_score: TrainedNetwork,
    /// The generator.
    pub generator: TrainedNetwork,
    /// The generator's moving average.
    pub generator_ema: TrainedNetwork,
    /// Adam of the fake score network.
    pub fake_score_optimizer: ReferenceAdam,
    /// Adam of the generator.
    pub generator_optimizer: ReferenceAdam,
    /// Thousands of images trained on, from the file's name.
    pub resume_kimg: Option<u64>,
}

/// A network of a training state.
#[derive(Clone, Debug)]
pub struct TrainedNetwork {
    /// Parameters and buffers.
    pub state_dict: StateDict,
    /// Names of the parameters in the index order of the optimizer.
    pub parameters: Vec<String>,
    /// Class and arguments; a state dict alone does not tell them.
    pub network: Option<ReferenceNetwork>,
}

impl ReferenceTrainingState {
    /// Reads a training state.
    ///
    /// # Errors
    /// `ForbiddenGlobal` for anything that is not data; `BadFile` for damage, or for a file of something else;
    /// `ShapeMismatch` where an optimizer's moments do not fit its network.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::read(FileBytes::open(path)?)
    }

    /// The same from bytes in memory.
    ///
    /// # Errors
    /// As of `open`.
    pub fn read(source: FileBytes) -> Result<Self> {
        Self::of(&Pickle::read(source, FORMAT)?)
    }

    /// What a pickle holds.
    pub(super) fn of(pickle: &Pickle) -> Result<Self> {
        let fields = pickle.fields(pickle.root()).ok_or_else(|| pickle.bad("it does not hold a dict"))?;
        let top_keys: Vec<String> = fields.iter().map(|(name, _)| name.to_string()).collect();
        let whole = top_keys.iter().any(|key| key == "fake_score");
        let mut allowance = Allowance::new(pickle);
        let mut network = |name: &str| {
            let key = if whole { name.to_owned() } else { format!("{name}_state") };
            let value = field(pickle, &key)?;
            if whole {
                TrainedNetwork::from_module(pickle, value, &mut allowance)
            } else {
                TrainedNetwork::from_state(pickle, value, &mut allowance)
            }
        };
        let (fake_score, generator, generator_ema) =
            (network("fake_score")?, network("G")?, network("G_ema")?);
        let mut adam = |key: &str, network: &TrainedNetwork| {
            let adam = ReferenceAdam::read(pickle, field(pickle, key)?, &mut allowance)?;
            adam.check(network, pickle)?;
            Ok::<_, Error>(adam)
        };
        let halved = |data: &TensorData| data.dtype() == DType::F16;
        let style = match whole {
            true => TrainingStateStyle::Modules,
            false if fake_score.state_dict.values().any(halved) => TrainingStateStyle::StateFp16,
            false => TrainingStateStyle::State,
        };
        Ok(Self {
            style,
            globals: pickle.globals().map(str::to_owned).collect(),
            fake_score_optimizer: adam("fake_score_optimizer_state", &fake_score)?,
            generator_optimizer: adam("g_optimizer_state", &generator)?,
            fake_score,
            generator,
            generator_ema,
            resume_kimg: resume_kimg(pickle.path()),
            top_keys,
        })
    }
}

/// The number at the end of `training-state-000512.pt`.
fn resume_kimg(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    stem.rsplit('-').next()?.parse().ok()
}

fn field(pickle: &Pickle, key: &str) -> Result<Value> {
    pickle
        .get(pickle.root(), key)
        .ok_or_else(|| pickle.bad(format!("it has no `{key}`: it is not a training state")))
}

impl TrainedNetwork {
    fn from_module(pickle: &Pickle, value: Value, allowance: &mut Allowance) -> Result<Self> {
        let network = ReferenceNetwork::read(pickle, value, allowance)?;
        network.config()?;
        let (state_dict, parameters) = (network.state_dict.clone(), network.parameters.clone());
        Ok(Self { state_dict, parameters, network: Some(network) })
    }

    fn from_state(pickle: &Pickle, value: Value, allowance: &mut Allowance) -> Result<Self> {
        let state_dict = read_state_dict(pickle, value, allowance)?;
        let parameters = state_dict.keys().filter(|name| !is_buffer(name)).cloned().collect();
        Ok(Self { state_dict, parameters, network: None })
    }
}

/// A state dict does not say which of its tensors are buffers; in the reference's networks their names do.
fn is_buffer(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "resample_filter" | "freqs" | "phases") || name == "u"
}
