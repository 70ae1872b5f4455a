//! `load_teacher`: fetches a published network and reads its weights.

use std::path::Path;

use burn::module::Module;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    artifact::{Artifact, NetworkArtifact},
    context::Context,
    cost::RECORDS,
    download::Wanted,
    network_file, rules,
    stage::{Input, Kind, Network, Objection, Stage, Verb},
    told,
    work::{Work, parameters},
    world::World,
};
use crate::{
    Error, Result,
    checkpoint::{ReferenceNetwork, TorchFile, unwrapped},
    diffusion::{Encoder, Sampler},
    formats::safetensors,
    location::Location,
    nn::NetworkConfig,
    state_dict::StateDict,
    terminal,
};

/// Size of the Stability autoencoder's weights.
const VAE_BYTES: u64 = 334_643_276;

/// Fetches a published network and reads its weights: a teacher, or a generator that someone has distilled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadTeacher {
    /// The file.
    pub weights: Weights,
    /// The architecture. Default: what the file says; when given, the file has to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkConfig>,
    /// How it makes images. Default: EDM's sampler with 18 steps; `one_step` for a distilled generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// What its images are: pixels, or latents of an autoencoder.
    #[serde(default)]
    pub encoder: Encoder,
    /// SHA-256 of the file in hexadecimal, to make sure that it is the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
}

/// A file with weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// A network pickle of EDM, EDM2 or SiD (`.pkl`), or a state dict of torch (`.pth`), which does not say its network:
    /// give `network`. Only data are read from it, no code is run.
    EdmPickle(Location),
    /// A `.safetensors` file with the reference's names, such as `sida export` writes.
    Safetensors(Location),
    /// The generator's moving average in a `training-state-*.pt` of the PyTorch release.
    TrainingState(Location),
}

impl Weights {
    /// Where the file is.
    pub fn location(&self) -> &Location {
        match self {
            Self::EdmPickle(location) | Self::Safetensors(location) | Self::TrainingState(location) => {
                location
            }
        }
    }

    /// The settings, where the file says them, and the tensors.
    fn read(&self, path: &Path) -> Result<(Option<NetworkConfig>, StateDict)> {
        match self {
            Self::EdmPickle(_) => match TorchFile::open(path)? {
                TorchFile::Snapshot(snapshot) => {
                    let network = snapshot.ema()?;
                    Ok((Some(network.config()?), network.state_dict))
                }
                TorchFile::StateDict(state) => Ok((None, state)),
                TorchFile::Script(module) => Ok((None, module.state_dict)),
                TorchFile::TrainingState(_) => Err(other(
                    path,
                    "network pickle",
                    "a training state: write `training_state: ...` for its weights",
                )),
            },
            Self::TrainingState(_) => match TorchFile::open(path)? {
                TorchFile::TrainingState(state) => {
                    let generator = state.generator_ema;
                    let config = generator.network.as_ref().map(ReferenceNetwork::config).transpose()?;
                    Ok((config, generator.state_dict))
                }
                TorchFile::Snapshot(_) => Err(other(
                    path,
                    "training state",
                    "a network pickle: write `edm_pickle: ...` for its weights",
                )),
                TorchFile::StateDict(_) | TorchFile::Script(_) => Err(other(
                    path,
                    "training state",
                    "a state dict: write `edm_pickle: ...` for its weights",
                )),
            },
            Self::Safetensors(_) => {
                let (state, metadata) = safetensors::read(path)?;
                let state = unwrapped(state, &format!("`{}`", terminal::path(path)));
                Ok((network_file::settings(&metadata, path)?, state))
            }
        }
    }
}

/// A file that another key of `weights` reads.
fn other(path: &Path, wanted: &'static str, is: &str) -> Error {
    Error::bad_file(path, wanted, format!("it is {is}"))
}

/// The settings in the pipeline and those in the file, `origin`, mean one network. Dropout is a matter of training: a
/// recipe may choose its own.
///
/// # Errors
/// The first setting that differs, with both values.
pub fn agree(given: &NetworkConfig, written: &NetworkConfig, origin: &str) -> Result<()> {
    if given.kind() != written.kind() {
        let (given, written) = (given.kind(), written.kind());
        let problem = format!("{origin} holds a `{written}` network, the pipeline says `{given}`");
        return Err(Error::Unusable(problem));
    }
    let (given, written) = (given.settings(), written.settings());
    let mut names = given.as_object().into_iter().flatten().map(|(name, _)| name);
    let differs =
        |name: &&String| !name.contains("dropout") && given[name.as_str()] != written[name.as_str()];
    match names.find(differs) {
        None => Ok(()),
        Some(name) => Err(Error::Unusable(format!(
            "`{name}` of the network is {} in {origin}, but {} in the pipeline: leave `network` out, or correct it",
            written[name.as_str()],
            given[name.as_str()]
        ))),
    }
}

impl LoadTeacher {
    /// The file with the weights.
    fn file(&self) -> Wanted<'_> {
        let accepts = |path: &Path| self.weights.read(path).map(drop);
        Wanted::new("weights", self.weights.location(), accepts).with_sha256(self.sha256.as_deref())
    }
}

impl Verb for LoadTeacher {
    const NAME: &'static str = "load_teacher";
    const MAKES: Kind = Kind::Network;
}

impl Stage for LoadTeacher {
    fn inputs(&self) -> Vec<Input<'_>> {
        Vec::new()
    }

    fn check(&self) -> Vec<Objection> {
        let network = self.network.as_ref();
        let mut objections: Vec<Objection> =
            network.iter().flat_map(|network| rules::network("network", network)).collect();
        let known = network.filter(|_| objections.is_empty());
        objections.extend(rules::sampler(self.sampler.as_ref(), known));
        objections
    }

    fn wanted(&self) -> Vec<Wanted<'_>> {
        let mut all = vec![self.file()];
        if let Encoder::StabilityVae(vae) = &self.encoder {
            all.push(network_file::autoencoder(vae));
        }
        all
    }

    fn work(&self, _world: &World<'_>, cache: &Path) -> Work {
        // EDM keeps weights in fp32, EDM2 in fp16.
        let bytes = |network| Some(parameters(network)? * if network.is_edm2() { 2 } else { 4 });
        let bytes = self.network.as_ref().and_then(bytes);
        let work = Work::default().with_file(self.weights.location(), bytes, cache);
        match &self.encoder {
            Encoder::Rgb => work,
            Encoder::StabilityVae(vae) => work.with_file(&vae.weights, Some(VAE_BYTES), cache),
        }
    }

    fn evaluations(&self, network: &NetworkConfig) -> Option<u32> {
        Some(self.sampler.as_ref().map_or_else(|| Sampler::of_teacher(network).nfe(), Sampler::nfe))
    }

    fn disk_bytes(&self, _: &World<'_>, parameters: Option<u64>) -> Option<u64> {
        Some(4 * parameters? + RECORDS)
    }

    fn network(&self) -> Option<Network<'_>> {
        Some(Network::Own(self.network.as_ref(), &self.encoder))
    }

    fn told(&self, _: &Context<'_>) -> String {
        format!("reads the network in {}", told::place(self.weights.location()))
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let context = &*context;
        let path = context.fetch(&self.file())?;
        // Here, because whoever decodes with it knows its address without credentials.
        if let Encoder::StabilityVae(vae) = &self.encoder {
            context.fetch(&network_file::autoencoder(vae))?;
        }
        let origin = format!("`{}`", terminal::path(&path));
        let (written, state) = self.weights.read(&path)?;
        let network = match (&self.network, written) {
            (Some(given), Some(written)) => {
                agree(given, &written, &origin)?;
                given.clone()
            }
            (Some(given), None) => given.clone(),
            (None, Some(written)) => written,
            (None, None) => {
                return Err(Error::Unusable(format!(
                    "{origin} does not say which network it holds: give `network` in stage `{}`",
                    context.name
                )));
            }
        };
        let loaded = network.load(&state, &origin, &context.device)?.valid();
        drop(state);
        let weights = std::path::PathBuf::from("network.safetensors");
        network_file::save(&context.dir.join(&weights), &loaded)?;
        Ok(Artifact::Network(NetworkArtifact {
            network,
            weights,
            sampler: self.sampler.clone().unwrap_or_else(|| Sampler::of_teacher(loaded.config())),
            encoder: self.encoder.clone(),
            nimg: 0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> NetworkConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_file_may_differ_in_dropout_and_in_nothing_else() {
        let given = network(r#"{"ddpmpp": {"img_resolution": 32, "dropout": 0.05}}"#);
        let dropout = network(r#"{"ddpmpp": {"img_resolution": 32, "dropout": 0.25}}"#);
        let blocks = network(r#"{"ddpmpp": {"img_resolution": 32, "num_blocks": 2}}"#);
        assert!(agree(&given, &dropout, "a.pkl").is_ok());
        let error = agree(&given, &blocks, "a.pkl").unwrap_err().to_string();
        assert!(error.starts_with("`num_blocks` of the network is 2 in a.pkl"), "{error}");
    }
}
