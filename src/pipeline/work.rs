//! `Work`: how much a stage has to do, as far as that is known before it does it.

use std::path::Path;

use serde::Serialize;

use crate::{
    diffusion::Encoder,
    kimg::Kimg,
    location::Place,
    metrics::{DetectorName, Metric},
    nn::NetworkConfig,
    stages::{StageSpec, download},
};

/// Size of Inception's weights.
const INCEPTION_BYTES: u64 = 95_628_359;
/// Size of the Stability autoencoder's weights.
const VAE_BYTES: u64 = 334_643_276;
/// Size of statistics of 2048 features: a mean and a covariance in f64.
const STATISTICS_BYTES: u64 = 8 * 2048 * 2049;
/// Where Inception's weights come from, unless `SIDA_INCEPTION` says otherwise.
const INCEPTION: &str = "Inception's weights";

/// How much a stage has to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// Parameters of its network.
    pub parameters: Option<u64>,
    /// Iterations of its training.
    pub steps: Option<u64>,
    /// Gradient-accumulation rounds of an iteration.
    pub rounds: Option<u32>,
    /// Images to generate.
    pub images: Option<u64>,
    /// Files to download that are not in the cache.
    pub downloads: Vec<Download>,
}

/// A file to download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Download {
    /// The address, or what it is.
    pub what: String,
    /// About how many bytes, where that is known.
    pub bytes: Option<u64>,
}

/// What a stage has to do.
pub(super) fn of(spec: &StageSpec, network: Option<&NetworkConfig>, cache: &Path) -> Work {
    let parameters = network.and_then(parameters);
    let mut work = Work { parameters, ..Work::default() };
    let mut fetch = |location: &crate::location::Location, bytes: Option<u64>| {
        let Ok(Place::Url(url)) = location.resolve() else { return };
        if !download::cached(cache, &url).exists() {
            work.downloads.push(Download { what: url.to_string(), bytes });
        }
    };
    match spec {
        StageSpec::PrepareDataset(stage) => fetch(stage.location(), None),
        StageSpec::LoadTeacher(stage) => {
            // EDM keeps weights in fp32, EDM2 in fp16.
            let per_parameter = if network.is_some_and(NetworkConfig::is_edm2) { 2 } else { 4 };
            fetch(stage.weights.location(), parameters.map(|count| count * per_parameter));
            if let Encoder::StabilityVae(vae) = &stage.encoder {
                fetch(&vae.weights, Some(VAE_BYTES));
            }
        }
        StageSpec::TrainTeacher(stage) => {
            work.steps = Some(steps(stage.duration_kimg, stage.batch_size));
            work.rounds = Some(stage.rounds());
        }
        StageSpec::Distill(stage) => {
            if let Some(start) = &stage.start_from {
                fetch(&start.training_state, None);
            }
            work.steps = Some(steps(stage.duration_kimg, stage.batch_size));
            work.rounds = Some(stage.rounds());
            work.inception(&stage.snapshots.metrics, cache);
        }
        StageSpec::Generate(stage) => {
            work.images = stage.seeds().list().ok().map(|seeds| seeds.len() as u64);
        }
        StageSpec::Evaluate(stage) => {
            if let Some(statistics) = &stage.statistics {
                fetch(statistics, Some(STATISTICS_BYTES));
            }
            let most = stage.metrics.iter().map(|metric| metric.needs().generated as u64).max();
            work.images = most.map(|images| images * u64::from(stage.trials));
            work.inception(&stage.metrics, cache);
        }
        StageSpec::Report(_) => work.parameters = None,
    }
    work
}

impl Work {
    fn inception(&mut self, metrics: &[Metric], cache: &Path) {
        let needed = metrics.iter().any(|metric| metric.needs().detector == DetectorName::Inception);
        let own = std::env::var_os("SIDA_INCEPTION").is_some_and(|path| Path::new(&path).exists());
        let cached = std::fs::read_dir(cache)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains("inception-2015-12-05"));
        if needed && !own && !cached {
            self.downloads.push(Download { what: INCEPTION.to_owned(), bytes: Some(INCEPTION_BYTES) });
        }
    }
}

fn steps(duration: Kimg, batch_size: u32) -> u64 {
    duration.nimg().div_ceil(u64::from(batch_size.max(1)))
}

fn parameters(network: &NetworkConfig) -> Option<u64> {
    let entries = network.shapes().ok()?;
    let size = |shape: &[usize]| shape.iter().map(|n| *n as u64).product::<u64>();
    Some(entries.iter().filter(|entry| entry.is_parameter()).map(|entry| size(&entry.shape)).sum())
}
