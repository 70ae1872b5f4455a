//! Rules between fields that several verbs share.

use super::stage::Objection;
use crate::{kimg::Kimg, metrics::Metric, nn::NetworkConfig};

/// `batch_size` has to be a multiple of `microbatch_size`; the help names the nearest values that fit.
pub(crate) fn microbatch_divides(batch_size: u32, microbatch_size: Option<u32>) -> Option<Objection> {
    let micro = microbatch_size?;
    if micro == 0 || batch_size == 0 || batch_size.is_multiple_of(micro) {
        return None;
    }
    let below = (1..micro).rev().find(|m| batch_size.is_multiple_of(*m));
    let above = (micro + 1..=batch_size).find(|m| batch_size.is_multiple_of(*m));
    let fitting: Vec<String> = below.into_iter().chain(above).map(|m| format!("{m}")).collect();
    let batches = (batch_size / micro * micro, (batch_size / micro + 1) * micro);
    let batches: Vec<String> =
        [batches.0, batches.1].into_iter().filter(|b| *b > 0).map(|b| format!("{b}")).collect();
    Some(
        Objection::new(
            "microbatch_size",
            format!("`batch_size` {batch_size} is not a multiple of `microbatch_size` {micro}"),
        )
        .help(format!(
            "`microbatch_size` could be {}, or `batch_size` {}",
            fitting.join(" or "),
            batches.join(" or ")
        )),
    )
}

/// An interval of zero would never end, one longer than the run never begins.
pub(crate) fn interval(field: &str, every: Kimg, batch_size: u32) -> Option<Objection> {
    (every.nimg() == 0).then(|| {
        Objection::new(field, format!("`{}` is zero", field.replace('/', ".")))
            .help(format!("at least one batch: {}", Kimg::from_nimg(u64::from(batch_size)).0))
    })
}

/// What a network's settings have against each other; `field` is where the network is written.
pub(crate) fn network(field: &str, network: &NetworkConfig) -> Vec<Objection> {
    let verb = match network {
        NetworkConfig::Ddpmpp(_) => "ddpmpp",
        NetworkConfig::Ncsnpp(_) => "ncsnpp",
        NetworkConfig::Adm(_) => "adm",
        NetworkConfig::Edm2(_) => "edm2",
    };
    let objection = |problem: crate::nn::Problem| {
        Objection::new(
            format!("{field}/{verb}/{}", problem.field),
            format!("`{}`: {}", problem.field, problem.problem),
        )
    };
    network.check().into_iter().map(objection).collect()
}

/// A network that is not told of augmentations would learn to make augmented images.
pub(crate) fn augmentation(augment: f64, network: &NetworkConfig) -> Option<Objection> {
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
pub(crate) fn metrics_differ(field: &str, metrics: &[Metric]) -> Vec<Objection> {
    let repeated = |(i, metric): (usize, &Metric)| {
        metrics[..i].contains(metric).then(|| {
            Objection::new(format!("{field}/{i}"), format!("`{}` is listed twice", metric.names()[0]))
        })
    };
    metrics.iter().enumerate().filter_map(repeated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_microbatches_are_named() {
        assert_eq!(microbatch_divides(256, Some(32)), None);
        assert_eq!(microbatch_divides(256, None), None);
        let objection = microbatch_divides(2048, Some(60)).unwrap();
        assert_eq!(
            objection.help.unwrap(),
            "`microbatch_size` could be 32 or 64, or `batch_size` 2040 or 2100"
        );
        let objection = microbatch_divides(64, Some(100)).unwrap();
        assert_eq!(objection.help.unwrap(), "`microbatch_size` could be 64, or `batch_size` 100");
    }
}
