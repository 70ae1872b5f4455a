//! `World`: what a stage may ask of the others, and of this machine, before anything runs.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::{facts::Facts, spec::StageSpec, stage::Network};
use crate::{
    diffusion::Encoder,
    location::{Location, Resolved},
    nn::NetworkConfig,
    pipeline_name,
    stage_name::StageName,
};

/// Stages through which an architecture is followed: more than anybody distills one from another.
const MAX_HANDS: usize = 100;

/// The stages of a pipeline, as far as they could be read, and where files are looked for.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The stages.
    pub stages: &'a IndexMap<StageName, StageSpec>,
    /// Where relative paths are looked for.
    pub search: &'a [PathBuf],
}

impl<'a> World<'a> {
    /// The network that a stage hands on, where that is known before it runs.
    pub fn network(&self, name: &StageName) -> Option<&'a NetworkConfig> {
        self.origin(name)?.0
    }

    /// What that network's images are.
    pub fn encoder(&self, name: &StageName) -> Encoder {
        self.origin(name).map_or(Encoder::Rgb, |(_, encoder)| encoder.clone())
    }

    /// Follows stages that hand on another one's architecture; stages that wait for each other lead nowhere.
    fn origin(&self, name: &StageName) -> Option<(Option<&'a NetworkConfig>, &'a Encoder)> {
        let mut name = name;
        for _ in 0..MAX_HANDS {
            match self.stages.get(name)?.stage().network()? {
                Network::Own(network, encoder) => return Some((network, encoder)),
                Network::Of(other) => name = other,
            }
        }
        None
    }

    /// Evaluations for an image of the network that a stage hands on, as it makes images itself.
    pub fn evaluations(&self, name: &StageName) -> Option<u32> {
        self.stages.get(name)?.stage().evaluations(self.network(name)?)
    }

    /// What can be known of the dataset that a stage makes.
    pub fn facts(&self, name: &StageName) -> Option<Facts> {
        self.stages.get(name)?.stage().facts(self)
    }

    /// The names of the values that a stage measures; `None` where it measures none.
    pub fn scores(&self, name: &StageName) -> Option<Vec<String>> {
        self.stages.get(name)?.stage().scores()
    }

    /// The file of another pipeline: where relative paths are looked for, or in `pipelines` there.
    pub fn pipeline(&self, name: &str) -> Option<PathBuf> {
        if pipeline_name::problem(name).is_some() {
            return None;
        }
        let file = PathBuf::from(format!("{name}.yaml"));
        locate(&file, self.search).or_else(|| locate(&Path::new("pipelines").join(file), self.search))
    }

    /// A local file or folder, where it exists.
    pub fn locate(&self, location: &Location) -> Option<PathBuf> {
        match location.resolve() {
            Ok(Resolved::Path(path)) => locate(&path, self.search),
            _ => None,
        }
    }
}

/// The first folder in which a path exists.
pub(super) fn locate(path: &Path, search: &[PathBuf]) -> Option<PathBuf> {
    search.iter().map(|folder| folder.join(path)).find(|path| path.exists())
}
