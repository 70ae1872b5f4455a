//! `Stage`: what every verb of the pipeline language can say about itself.

use std::{fmt, path::Path};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{
    artifact::Artifact,
    context::Context,
    cost::{Load, RECORDS},
    download::Wanted,
    facts::Facts,
    work::Work,
    world::World,
};
use crate::{
    Result,
    diffusion::Encoder,
    kimg::Kimg,
    location::Location,
    nn::NetworkConfig,
    report::Expectation,
    stage_name::StageName,
    training::{Guard, Microbatch, Pace},
};

/// One verb of the pipeline language. The value that YAML parsed into is `self`.
pub trait Stage {
    /// The stages this one reads, and as what.
    fn inputs(&self) -> Vec<Input<'_>>;

    /// Whether it only shows what others made, outside of its own folder. Such a stage runs in every run, in no time, so
    /// that nobody sees what another run showed there.
    fn is_view(&self) -> bool {
        false
    }

    /// Rules between fields, which a schema cannot say. Everything that is wrong, not only the first.
    fn check(&self) -> Vec<Objection> {
        Vec::new()
    }

    /// What disagrees with other stages and with the files at hand, as far as that is known before anything runs.
    fn agrees(&self, _world: &World<'_>) -> Vec<Objection> {
        Vec::new()
    }

    /// Fills in what is left out because there is only one choice; `only_images` is the pipeline's only dataset of images.
    fn complete(&mut self, _only_images: Option<&StageName>) {}

    /// Of a training, how long it is: what can grow without changing the beginning.
    fn duration(&mut self) -> Option<&mut Kimg> {
        None
    }

    /// Of a training, when it is stopped for having run away, which changes no number.
    fn guard(&self) -> Option<&Guard> {
        None
    }

    /// The same, to be taken away.
    fn guard_mut(&mut self) -> Option<&mut Guard> {
        None
    }

    /// Whether this device can do what the stage says, as far as that is known before anything runs.
    ///
    /// # Errors
    /// It does not compute in the stage's precision, or has no place for its network.
    fn runs_on(&self, _device: &Device) -> Result<()> {
        Ok(())
    }

    /// What speaks against so many ranks that share its batches equally.
    fn shared_by(&self, _ranks: u32) -> Option<Objection> {
        None
    }

    /// Whether its products of fp32 may be rounded to TF32.
    fn tf32(&self) -> bool {
        false
    }

    /// Of a training, how it goes about the same numbers: whether it makes activations again instead of keeping them, and
    /// replays graphs. To be taken away.
    fn switches_mut(&mut self) -> Vec<&mut bool> {
        Vec::new()
    }

    /// Of a training, its length, its portions and what it shows on the way.
    fn pace(&self) -> Option<Pace<'_>> {
        None
    }

    /// Of a training, the images in memory at once: `auto`, which a device says the number of, is to be taken away.
    fn microbatch_mut(&mut self) -> Option<&mut Option<Microbatch>> {
        None
    }

    /// The files it reads that no stage makes.
    fn wanted(&self) -> Vec<Wanted<'_>> {
        Vec::new()
    }

    /// Where those are that decide what it makes, with the fields that name them.
    fn locations(&self) -> Vec<(String, &Location)> {
        self.wanted().into_iter().filter_map(|wanted| Some((wanted.field?, wanted.location))).collect()
    }

    /// The finished stages of other pipelines whose results it shows, with the fields that name them.
    fn elsewhere(&self) -> Vec<(String, Elsewhere)> {
        Vec::new()
    }

    /// How much it has to do, but for its network's parameters; `cache` has what was downloaded before.
    fn work(&self, _world: &World<'_>, _cache: &Path) -> Work {
        Work::default()
    }

    /// What it has a device do from here on: a training that has seen so many images before. `None` where that is not known
    /// before others have run. What takes no device, or next to no time, is left out.
    fn loads(&self, _world: &World<'_>, _begins_at: u64) -> Option<Vec<Load>> {
        Some(Vec::new())
    }

    /// Evaluations of the network that it hands on, for an image.
    fn evaluations(&self, _network: &NetworkConfig) -> Option<u32> {
        None
    }

    /// Bytes that it leaves in the folder of runs, at most, with a network of so many parameters; `None` where that is not known
    /// before it runs.
    fn disk_bytes(&self, _world: &World<'_>, _parameters: Option<u64>) -> Option<u64> {
        Some(RECORDS)
    }

    /// Bytes of memory that it needs at this pace, with a network of so many parameters, on each of so many ranks.
    fn memory_bytes(
        &self,
        _pace: &Pace<'_>,
        _network: &NetworkConfig,
        _parameters: u64,
        _ranks: u32,
    ) -> Option<u64> {
        None
    }

    /// The network that it hands on.
    fn network(&self) -> Option<Network<'_>> {
        None
    }

    /// What can be known of the dataset that it makes.
    fn facts(&self, _world: &World<'_>) -> Option<Facts> {
        None
    }

    /// What is expected of what it measures. It is judged whenever somebody looks, and decides nothing of what is measured.
    fn expected(&self) -> &[Expectation] {
        &[]
    }

    /// The same, to be taken away, or to be filled in with what baselines say.
    fn expected_mut(&mut self) -> Option<&mut Vec<Expectation>> {
        None
    }

    /// The names of the values that it measures.
    fn scores(&self) -> Option<Vec<String>> {
        None
    }

    /// Whether ranks make it together. Otherwise the first one makes it alone.
    fn is_spread(&self) -> bool {
        false
    }

    /// What it is about to do, in words for people who watch, with what is known of the stages that it reads.
    fn told(&self, context: &Context<'_>) -> String;

    /// Does the work in `context.dir` and describes the result. Continues from what an interrupted run left there.
    ///
    /// # Errors
    /// Whatever files, networks and devices can do; `Interrupted` after a stop was asked for and the state saved.
    fn run(&self, context: &mut Context<'_>) -> Result<Artifact>;
}

/// What the language says of a verb, whatever its values are.
pub trait Verb {
    /// As the pipeline file writes it.
    const NAME: &'static str;
    /// What it makes.
    const MAKES: Kind;
}

/// A network that a stage hands on.
#[derive(Clone, Copy, Debug)]
pub enum Network<'a> {
    /// Its own: the architecture, where it is known before the stage runs, and what the images are.
    Own(Option<&'a NetworkConfig>, &'a Encoder),
    /// One as that of another stage.
    Of(&'a StageName),
}

/// A stage of another pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Elsewhere {
    /// The pipeline.
    pub pipeline: String,
    /// Its stage.
    pub stage: StageName,
}

/// What one stage names of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Where it is written, relative to the stage's values: `teacher`, `rows/0/scores/stage`.
    pub field: String,
    /// The stage it names.
    pub stage: &'a StageName,
    /// What that stage has to make.
    pub kind: Kind,
}

impl<'a> Input<'a> {
    /// What the field `field` names.
    pub fn new(field: impl Into<String>, stage: &'a StageName, kind: Kind) -> Self {
        Self { field: field.into(), stage, kind }
    }
}

/// What a stage makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Images or labels: `prepare_dataset`.
    Dataset,
    /// A network: `load_teacher`, `train_teacher`, `distill`.
    Network,
    /// Generated images: `generate`.
    Images,
    /// Measured values: `evaluate`.
    Scores,
    /// A table: `report`.
    Table,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dataset => "a dataset",
            Self::Network => "a network",
            Self::Images => "images",
            Self::Scores => "scores",
            Self::Table => "a table",
        })
    }
}

/// A broken rule between fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The field to change, relative to the stage's values: `microbatch_size`, `expect/0/metric`. Empty for the stage itself.
    pub field: String,
    /// What is wrong, a sentence fragment with `ticked` names.
    pub problem: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Objection {
    /// Something wrong in `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into(), help: None }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
