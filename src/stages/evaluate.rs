//! `evaluate`: metrics of a network, or of pictures, against a dataset, over trials.

use std::path::Path;

use burn::tensor::Device;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_inline_default::serde_inline_default;

use super::{
    artifact::{Artifact, ScoresArtifact},
    context::Context,
    cost::{self, Load, Meter, Seen, Task},
    download::Wanted,
    evaluate_pictures,
    fitting::{Taken, fits, network_and_dataset},
    inception_weights, limits, network_file, rules,
    sampling::{Classes, Sampling},
    scoring::{self, RealImages, Scoring},
    seeds::{self, Rng},
    stage::{Input, Kind, Objection, Stage, Verb},
    told,
    work::Work,
    world::World,
};
use crate::{
    Error, Result,
    diffusion::{Precision, Sampler},
    location::Location,
    metrics::{Metric, Score},
    nn::NetworkConfig,
    report::Expectation,
    seed::Phase,
    stage_name::StageName,
    suggestion::listed,
};

/// Measures a network, or pictures, against a dataset.
#[serde_inline_default]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// The stage that makes the network. Either this or `pictures` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<StageName>,
    /// Pictures that are measured as they are, in place of a network's: a folder or a zip of PNG, JPEG, BMP or WebP files,
    /// with its subfolders and sorted by name, or an `.npz` whose array `arr_0` is uint8 `[n, height, width, channels]`;
    /// path or URL. The first ones are taken, as many as the metrics need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Location>,
    /// How noise becomes images. Default: the network's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// The stage that makes the dataset of real images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<StageName>,
    /// Precomputed mean and covariance of real images' features, EDM's `.npz` or EDM2's `.pkl`, instead of computing them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Location>,
    /// What is measured: `fid50k_full`, `is50k`, `kid50k_full`, `pr50k3_full`, or, of any number of images,
    /// `frechet_distance: { detector: pixels, images: 2000 }`, `is: { images: 2000 }`, `kid: { images: 2000 }`,
    /// `precision_recall: { images: 2000 }`; a detector is `pixels`, `random_conv` or `inception`.
    #[schemars(length(min = 1))]
    pub metrics: Vec<Metric>,
    /// How often everything is measured, with other seeds each time; tables show mean and standard deviation.
    #[serde_inline_default(1)]
    #[schemars(range(min = 1, max = 1000))]
    pub trials: u32,
    /// What the numbers must be; `sida run` exits with 3 when one is not met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// Where the classes of generated images come from.
    #[serde(default)]
    pub class_labels: ClassLabels,
    /// The generator of random numbers; trial k uses the seeds after those of trial k - 1, from `first_seed` on.
    #[serde(default)]
    pub rng: Rng,
    /// Seed of the first image.
    #[serde(default)]
    #[schemars(range(max = 4294967295u32))]
    pub first_seed: u64,
    /// Images that are made at once.
    #[serde_inline_default(64)]
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
    /// Arithmetic of the network.
    #[serde(default)]
    pub precision: Precision,
}

/// Where the classes of generated images come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassLabels {
    /// Drawn from the reference dataset's labels, as training-time metrics do; uniform where there is no such dataset.
    #[default]
    Dataset,
    /// Every class as often as any other, as EDM's generation script does.
    Uniform,
}

impl Evaluate {
    /// The names of all measured values.
    pub fn metric_names(&self) -> Vec<String> {
        self.metrics.iter().flat_map(Metric::names).collect()
    }

    /// How many generated images, or pictures, the metrics need.
    pub(super) fn images(&self) -> usize {
        scoring::images(&self.metrics)
    }

    /// The images that it makes of a network.
    fn task(&self, network: &NetworkConfig, evaluations: u32) -> Task {
        let (network, precision) = (Box::new(network.clone()), self.precision);
        Task::Generation { network, precision, evaluations, batch_size: self.batch_size }
    }

    /// Measures the network of a stage.
    fn network(
        &self,
        name: &StageName,
        real_images: RealImages,
        context: &Context<'_>,
    ) -> Result<ScoresArtifact> {
        let (_, artifact) = network_file::artifact(context, name)?;
        let network = network_file::load(context, name, self.precision)?;
        if let (Some(reference), Some(dataset)) = (&self.reference, &real_images.dataset) {
            fits((&artifact.network, &artifact.encoder), (reference, dataset), Taken::Classes)?;
        }
        let codec = network_file::codec(context, &artifact.encoder)?;
        let sampler = self.sampler.as_ref().unwrap_or(&artifact.sampler);
        let labels = match self.class_labels {
            ClassLabels::Dataset => real_images.dataset.as_ref().and_then(|dataset| dataset.classes()),
            ClassLabels::Uniform => None,
        };
        let sampling = Sampling {
            network: &network,
            codec: &codec,
            sampler,
            rng: self.rng,
            classes: labels.as_deref().map_or(Classes::Drawn, Classes::Among),
            device: &context.device,
        };
        let mut scoring = Scoring::new(&self.metrics, real_images, context)?;
        let images = self.images() as u64;
        let total = images * u64::from(self.trials);
        let mut progress = context.progress(0, total);
        let mut meter = Meter::default();
        let mut trials: IndexMap<String, Vec<f64>> = IndexMap::new();
        for trial in 0..u64::from(self.trials) {
            let first = self.first_seed + trial * images;
            let make = |range: std::ops::Range<usize>| {
                let seeds: Vec<u64> = range.map(|i| first + i as u64).collect();
                meter.time(seeds.len(), || sampling.images(&seeds))
            };
            let each = |done: usize| progress.at(trial * images + done as u64, &[]);
            let draw = context.seed.at(Phase::Sample, trial);
            for (name, value) in scoring.measure(self.batch_size as usize, draw, make, each)? {
                trials.entry(name).or_default().push(value);
            }
        }
        progress.finish();
        let task = self.task(&artifact.network, sampler.nfe());
        meter.keep(&task, &Seen::by(context));
        let scores: IndexMap<String, Score> =
            trials.into_iter().map(|(name, values)| (name, Score::of_trials(values))).collect();
        let (network, nfe) = (Some(name.clone()), Some(sampler.nfe()));
        Ok(ScoresArtifact { network, nfe, scores })
    }
}

impl Verb for Evaluate {
    const NAME: &'static str = "evaluate";
    const MAKES: Kind = Kind::Scores;
}

impl Stage for Evaluate {
    fn inputs(&self) -> Vec<Input<'_>> {
        let network = self.network.iter().map(|name| Input::new("network", name, Kind::Network));
        let reference = self.reference.iter().map(|name| Input::new("reference", name, Kind::Dataset));
        network.chain(reference).collect()
    }

    fn runs_on(&self, device: &Device) -> Result<()> {
        network_file::compute(self.precision, device).map(drop)
    }

    fn check(&self) -> Vec<Objection> {
        let mut objections = rules::metrics_differ("metrics", &self.metrics);
        let names = self.metric_names();
        let measured: Vec<&str> = names.iter().map(String::as_str).collect();
        objections.extend(limits::objections("expect", &self.expect, &measured, self.trials));
        objections.extend(evaluate_pictures::one_of_two(self));
        let last = self.first_seed + self.images() as u64 * u64::from(self.trials);
        if self.rng.is_torch() && last > seeds::TORCH {
            let problem =
                format!("the last seed is {last}, but torch's generators have {} seeds", seeds::TORCH);
            objections.push(Objection::new("first_seed", problem).help("lower it, or write `rng: native`"));
        }
        objections
    }

    fn agrees(&self, world: &World<'_>) -> Vec<Objection> {
        let mut objections = Vec::new();
        let network = self.network.as_ref().and_then(|name| world.network(name));
        objections.extend(rules::sampler(self.sampler.as_ref(), network));
        let facts = self.reference.as_ref().and_then(|name| Some((name, world.facts(name)?)));
        let has_images = facts.as_ref().is_none_or(|(_, facts)| facts.has_images);
        for (i, metric) in self.metrics.iter().enumerate() {
            let needs = metric.needs();
            if !needs.looks_at_images(self.statistics.is_some()) {
                continue;
            }
            let (but, help) = if self.reference.is_none() {
                let instead = if needs.statistics_suffice() { ", or a file in `statistics:`" } else { "" };
                (
                    "there is no `reference`",
                    format!("name a `prepare_dataset` stage in `reference:`{instead}"),
                )
            } else if has_images {
                continue;
            } else {
                let help = "use a `prepare_dataset` stage with images, or precomputed `statistics:`";
                ("`reference` holds labels only", help.to_owned())
            };
            let problem = format!("`{}` compares with real images, but {but}", metric.names()[0]);
            objections.push(Objection::new(format!("metrics/{i}"), problem).help(help));
        }
        if let Some((name, facts)) = &facts {
            let has_statistics = self.statistics.is_some();
            objections.extend(rules::enough_images("metrics", &self.metrics, has_statistics, name, facts));
            if let Some(from) = &self.network
                && let Some(network) = world.network(from)
            {
                let encoder = world.encoder(from);
                let found =
                    network_and_dataset("reference", (network, &encoder), (name, facts), Taken::Classes);
                objections.extend(found);
            }
        }
        objections.extend(evaluate_pictures::agrees(self, facts, world));
        objections
    }

    fn wanted(&self) -> Vec<Wanted<'_>> {
        // Other weights of Inception measure something else. Of a training they only choose among its snapshots.
        let inception = inception_weights::needed(&self.metrics);
        let pictures = self.pictures.as_ref().map(evaluate_pictures::wanted);
        let statistics = self.statistics.as_ref().map(|file| scoring::statistics("statistics", file));
        [pictures, statistics, inception].into_iter().flatten().collect()
    }

    fn work(&self, _world: &World<'_>, cache: &Path) -> Work {
        let images = self.network.as_ref().map(|_| self.images() as u64 * u64::from(self.trials));
        let mut work = Work { images, ..Work::default() };
        if let Some(pictures) = &self.pictures {
            work = work.with_file(pictures, None, cache);
        }
        work.with_statistics(self.statistics.as_ref(), cache).with_metrics(&self.metrics, cache)
    }

    fn loads(&self, world: &World<'_>, _: u64) -> Option<Vec<Load>> {
        // Pictures are looked at by a detector alone, and nobody knows their size.
        let name = self.network.as_ref()?;
        let own = || world.evaluations(name);
        let evaluations = self.sampler.as_ref().map(Sampler::nfe).or_else(own)?;
        let generation = self.task(world.network(name)?, evaluations);
        let facts = self.reference.as_ref().and_then(|name| world.facts(name));
        let facts = facts.filter(|_| self.statistics.is_none());
        let times = [0, u64::from(self.trials)];
        Some(cost::of_images(generation, times, &self.metrics, &world.encoder(name), facts.as_ref()))
    }

    fn expected(&self) -> &[Expectation] {
        &self.expect
    }

    fn expected_mut(&mut self) -> Option<&mut Vec<Expectation>> {
        Some(&mut self.expect)
    }

    fn scores(&self) -> Option<Vec<String>> {
        Some(self.metric_names())
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn told(&self, context: &Context<'_>) -> String {
        let names = self.metric_names();
        let names = listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let of = match (&self.network, &self.pictures) {
            (Some(network), _) => format!("`{network}`"),
            (None, pictures) => pictures.as_ref().map(told::place).unwrap_or_default(),
        };
        let images = told::count(self.images() as u64, "image");
        let against = self.reference.as_ref().map(|dataset| told::images(context, dataset));
        let against = against.map_or_else(String::new, |images| format!(" against {images}"));
        let often = if self.trials > 1 { format!(", {} times", self.trials) } else { String::new() };
        format!("measures {names} of {images} of {of}{against}{often}")
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let context = &*context;
        let real_images = RealImages::open(self.reference.as_ref(), self.statistics.as_ref(), context)?;
        let scores = match (&self.network, &self.pictures) {
            (Some(name), _) => self.network(name, real_images, context)?,
            (None, Some(pictures)) => evaluate_pictures::run(self, pictures, real_images, context)?,
            (None, None) => return Err(Error::Unusable("there is nothing to measure".to_owned())),
        };
        Ok(Artifact::Scores(scores))
    }
}
