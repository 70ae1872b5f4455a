//! Rules between fields that several verbs share.

use super::{
    download::Wanted, facts::Facts, inception_weights, scoring, stage::Objection, work::parameters,
    world::World,
};
use crate::{
    diffusion::Sampler,
    kimg::Kimg,
    metrics::{DetectorName, Metric},
    nn::NetworkConfig,
    stage_name::StageName,
    training::{Microbatch, Pace, Snapshots},
};

/// Images that the covariance of Inception's 2048 features needs.
const INCEPTION_IMAGES: u64 = 2048;

/// More than the memory of any machine.
const MOST_BYTES: u64 = 16 << 40;

/// What every training has to obey.
pub(super) fn pace(pace: &Pace<'_>) -> Vec<Objection> {
    let mut objections: Vec<Objection> =
        microbatch_divides(pace.batch_size, pace.microbatch_size).into_iter().collect();
    let intervals = [
        ("status_every_kimg", pace.status_every_kimg),
        ("checkpoint_every_kimg", pace.checkpoint_every_kimg),
        ("duration_kimg", pace.duration_kimg),
    ];
    let of_snapshots = pace.snapshots.map(|snapshots| ("snapshots/every_kimg", snapshots.every_kimg));
    let intervals = intervals.into_iter().chain(of_snapshots);
    objections.extend(intervals.filter_map(|(field, every)| interval(field, every, pace.batch_size)));
    let metrics = pace.snapshots.map_or(&[][..], |snapshots| &snapshots.metrics);
    objections.extend(metrics_differ("snapshots/metrics", metrics));
    objections
}

/// `batch_size` has to be a multiple of `microbatch_size`; the help names the nearest values that fit.
fn microbatch_divides(batch_size: u32, microbatch_size: Option<Microbatch>) -> Option<Objection> {
    let Microbatch::Size(micro) = microbatch_size? else { return None };
    if micro == 0 || batch_size == 0 || batch_size.is_multiple_of(micro) {
        return None;
    }
    let below = (1..micro).rev().find(|m| batch_size.is_multiple_of(*m));
    let above = (micro + 1..=batch_size).find(|m| batch_size.is_multiple_of(*m));
    let fitting: Vec<String> = below.into_iter().chain(above).map(|m| format!("{m}")).collect();
    let batches = [batch_size / micro, batch_size / micro + 1].map(|rounds| rounds * micro);
    let batches: Vec<String> = batches.iter().filter(|b| **b > 0).map(|b| format!("{b}")).collect();
    let problem = format!("`batch_size` {batch_size} is not a multiple of `microbatch_size` {micro}");
    let [fitting, batches] = [fitting, batches].map(|numbers| numbers.join(" or "));
    let help = format!("`microbatch_size` could be {fitting}, or `batch_size` {batches}");
    Some(Objection::new("microbatch_size", problem).help(help))
}

/// Ranks have equally many micro-batches each.
pub(super) fn shared_by(pace: &Pace<'_>, ranks: u32) -> Option<Objection> {
    let (batch, micro, rounds) = (pace.batch_size, pace.microbatch_size(), pace.rounds());
    if rounds.is_multiple_of(ranks) {
        return None;
    }
    let falls = match rounds {
        _ if pace.is_open() => format!("`batch_size` is {batch}"),
        1 => format!("`batch_size` {batch} is one micro-batch"),
        _ => format!("`batch_size` {batch} is {rounds} micro-batches of {micro}"),
    };
    let fitting = |micro: &u32| batch.is_multiple_of(*micro) && (batch / micro).is_multiple_of(ranks);
    let fitting: Vec<String> =
        (1..=micro).rev().filter(fitting).take(3).map(|micro| micro.to_string()).collect();
    let counts: Vec<String> =
        (2..=rounds).filter(|n| rounds.is_multiple_of(*n)).map(|n| n.to_string()).collect();
    let sizes = match fitting.len() {
        _ if pace.is_open() => {
            format!("`batch_size` has to be a multiple of {ranks}: {}", batch.next_multiple_of(ranks))
        }
        0 => format!("`batch_size` has to be a multiple of {ranks}: {}", batch.next_multiple_of(ranks)),
        _ => format!("`microbatch_size` could be {}", fitting.join(", ")),
    };
    let or =
        if counts.is_empty() { String::new() } else { format!("; or start {} ranks", counts.join(", ")) };
    let field =
        if pace.microbatch_size.is_some() && !pace.is_open() { "microbatch_size" } else { "batch_size" };
    let problem = format!("{falls}, which {ranks} ranks cannot share equally");
    Some(Objection::new(field, problem).help(format!("{sizes}{or}")))
}

/// An interval of zero would never end, one longer than the run never begins.
fn interval(field: &str, every: Kimg, batch_size: u32) -> Option<Objection> {
    (every.nimg() == 0).then(|| {
        Objection::new(field, format!("`{}` is zero", field.replace('/', ".")))
            .help(format!("at least one batch: {}", Kimg::from_nimg(u64::from(batch_size)).0))
    })
}

/// What the settings of a sampler have against each other, and against those of the network, where it is known.
pub(super) fn sampler(sampler: Option<&Sampler>, network: Option<&NetworkConfig>) -> Vec<Objection> {
    let (low, high) = network.map_or((0.0, f64::INFINITY), NetworkConfig::sigma_range);
    let problems = sampler.into_iter().flat_map(|sampler| sampler.problems([low, high]));
    problems.map(|(field, problem)| Objection::new(format!("sampler/{field}"), problem)).collect()
}

/// Passes that wait for one backward pass, and what it has in hand: more than any training has, in values of four bytes.
const MOST_PASSES: f64 = 8.0 * 4.0;

/// What needs more memory than any machine has. The weights alone, of a network that was checked, do not.
pub(super) fn memory(
    pace: &Pace<'_>,
    network: &NetworkConfig,
    bytes: impl FnOnce(u64) -> u64,
) -> Option<Objection> {
    let most = MOST_PASSES * network.most_activations() * f64::from(pace.microbatch_size());
    // Listing the parameters takes long where many stages train.
    if most < MOST_BYTES as f64 / 2.0 || !network.check().is_empty() {
        return None;
    }
    let bytes = bytes(parameters(network)?);
    let field = if pace.microbatch_size.is_some() { "microbatch_size" } else { "batch_size" };
    (bytes > MOST_BYTES).then(|| {
        let terabytes = bytes as f64 / 1e12;
        let problem = format!(
            "{} images at once need about {terabytes:.0} TB of memory, and no machine has more than {:.0}",
            pace.microbatch_size(),
            MOST_BYTES as f64 / 1e12
        );
        Objection::new(field, problem).help("`microbatch_size` says how many images are in memory at once")
    })
}

/// What a network's settings have against each other; `field` is where the network is written.
pub(super) fn network(field: &str, network: &NetworkConfig) -> Vec<Objection> {
    let kind = network.kind();
    let objection = |problem: crate::nn::Problem| {
        Objection::new(
            format!("{field}/{kind}/{}", problem.field),
            format!("`{}`: {}", problem.field, problem.problem),
        )
    };
    network.check().into_iter().map(objection).collect()
}

/// A network that is not told of augmentations would learn to make augmented images.
pub(super) fn augmentation(augment: f64, network: &NetworkConfig) -> Option<Objection> {
    (augment > 0.0 && network.augment_dim() == 0).then(|| {
        Objection::new("augment", "images are augmented, but the network is not told: its `augment_dim` is 0")
            .help(if network.is_edm2() {
                "EDM2 networks are trained without: write `augment: 0`"
            } else {
                "write `augment: 0`, or `augment_dim: 9` in a network that was trained with it"
            })
    })
}

/// The same metric twice measures nothing new.
pub(super) fn metrics_differ(field: &str, metrics: &[Metric]) -> Vec<Objection> {
    let repeated = |(i, metric): (usize, &Metric)| {
        metrics[..i].contains(metric).then(|| {
            Objection::new(format!("{field}/{i}"), format!("`{}` is listed twice", metric.names()[0]))
        })
    };
    metrics.iter().enumerate().filter_map(repeated).collect()
}

/// The files that the metrics of snapshots need. Which weights Inception has decides nothing but which snapshot is best.
pub(super) fn wanted(snapshots: &Snapshots) -> impl Iterator<Item = Wanted<'_>> {
    let statistics = snapshots.statistics.as_ref();
    let statistics = statistics.map(|location| scoring::statistics("snapshots/statistics", location));
    let inception = inception_weights::needed(&snapshots.metrics).map(Wanted::that_decides_nothing);
    statistics.into_iter().chain(inception)
}

/// What the metrics of snapshots lack to compare with; `dataset` is the stage's own.
pub(super) fn snapshots(
    snapshots: &Snapshots,
    dataset: Option<&StageName>,
    world: &World<'_>,
) -> Vec<Objection> {
    let field = "snapshots/metrics";
    let metrics = &snapshots.metrics;
    let has_statistics = snapshots.statistics.is_some();
    let looks = |metric: &Metric| metric.needs().looks_at_images(has_statistics);
    let Some(first) = metrics.iter().position(looks) else { return Vec::new() };
    let Some(name) = snapshots.reference.as_ref().or(dataset) else {
        let problem = "metrics of snapshots compare with real images, but there is no `dataset`";
        let help = "name a `prepare_dataset` stage in `dataset:` or `snapshots.reference:`, or a file in `snapshots.statistics:`";
        return vec![Objection::new(field, problem).help(help)];
    };
    let Some(facts) = world.facts(name) else { return Vec::new() };
    if !facts.has_images {
        let metric = &metrics[first].names()[0];
        let problem = format!("`{metric}` compares with real images, but `{name}` holds labels only");
        let help = "give precomputed `snapshots.statistics:`, or a `prepare_dataset` stage with images in `snapshots.reference:`";
        return vec![Objection::new(format!("{field}/{first}"), problem).help(help)];
    }
    enough_images(field, metrics, has_statistics, name, &facts)
}

/// Metrics that compare with more real images than there are.
pub(super) fn enough_images(
    field: &str,
    metrics: &[Metric],
    has_statistics: bool,
    name: &StageName,
    facts: &Facts,
) -> Vec<Objection> {
    let Some(images) = facts.images.filter(|_| facts.has_images) else { return Vec::new() };
    let too_few = |(i, metric): (usize, &Metric)| {
        let needs = metric.needs();
        let least = if needs.detector == DetectorName::Inception && needs.keep_real.moments {
            INCEPTION_IMAGES
        } else {
            4
        };
        (needs.looks_at_images(has_statistics) && images < least).then(|| {
            let needs = format!("`{}` needs at least {least} real images", metric.names()[0]);
            let objection = Objection::new(format!("{field}/{i}"), format!("{needs}, but `{name}` has {images}"));
            match least {
                INCEPTION_IMAGES => objection.help("the covariance of 2048 features is singular below; `frechet_distance` with the detector `pixels` or `random_conv` needs fewer"),
                _ => objection,
            }
        })
    };
    metrics.iter().enumerate().filter_map(too_few).collect()
}

/// In what two networks differ so that one cannot start from the other.
pub(super) fn difference(a: &NetworkConfig, b: &NetworkConfig) -> Option<&'static str> {
    let differences = [
        (a.kind() != b.kind(), "another architecture than that"),
        (a.img_resolution() != b.img_resolution(), "another `img_resolution` than that"),
        (a.img_channels() != b.img_channels(), "another `img_channels` than that"),
        (a.label_dim() != b.label_dim(), "another `label_dim` than that"),
    ];
    differences.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_microbatches_are_named() {
        let microbatch_divides = |batch, size| microbatch_divides(batch, Some(Microbatch::Size(size)));
        assert_eq!(microbatch_divides(256, 32), None);
        let objection = microbatch_divides(2048, 60).unwrap();
        assert_eq!(
            objection.help.unwrap(),
            "`microbatch_size` could be 32 or 64, or `batch_size` 2040 or 2100"
        );
        let objection = microbatch_divides(64, 100).unwrap();
        assert_eq!(objection.help.unwrap(), "`microbatch_size` could be 64, or `batch_size` 100");
    }
}
