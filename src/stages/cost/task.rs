//! `Task`: what a device does again and again, one image after another; `Load`: for how many images.

use serde_json::{Value, json};

use crate::{
    diffusion::{Encoder, Precision},
    distill::Distill,
    metrics::{DetectorName, Metric},
    nn::NetworkConfig,
    stages::{facts::Facts, scoring, snapshots},
    teach::TrainTeacher,
    training::{Pace, Snapshots},
};

/// What a device does for every image.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Iterations of a distillation from such a teacher, with all its terms.
    Distillation(Box<(Distill, NetworkConfig)>),
    /// Iterations of a teacher's training.
    Teaching(Box<TrainTeacher>),
    /// Images of a network, each from so many evaluations.
    Generation {
        /// The network.
        network: Box<NetworkConfig>,
        /// Its arithmetic.
        precision: Precision,
        /// Evaluations for an image.
        evaluations: u32,
        /// Images at once.
        batch_size: u32,
    },
    /// Features of images.
    Detection {
        /// What turns images into features.
        detector: DetectorName,
        /// Channels and side of the images.
        shape: [usize; 2],
    },
}

impl Task {
    /// All that decides how fast it is on one device, and nothing else.
    pub fn described(&self) -> Value {
        let of_training = |pace: &Pace<'_>,
                           augment: f64,
                           precision: Precision,
                           [tf32, recompute, graphs]: [bool; 3]| {
            let micro = if pace.is_open() { json!("auto") } else { json!(pace.microbatch_size()) };
            json!({ "microbatch": micro, "augments": augment > 0.0, "precision": precision, "tf32": tf32, "recompute": recompute, "graphs": graphs })
        };
        match self {
            Self::Distillation(of) => {
                let (recipe, network) = &**of;
                let switches = [recipe.tf32, recipe.recompute, recipe.graphs];
                let training = of_training(&recipe.pace(), recipe.augment, recipe.precision, switches);
                let adversarial = recipe.method.terms().adversarial.is_some();
                let steps = recipe.generator.num_steps;
                json!({ "distillation": { "network": network, "training": training, "adversarial": adversarial, "steps": steps } })
            }
            Self::Teaching(recipe) => {
                let switches = [recipe.tf32, recipe.recompute, recipe.graphs];
                let training = of_training(&recipe.pace(), recipe.augment, recipe.precision, switches);
                json!({ "teaching": { "network": recipe.network, "training": training } })
            }
            Self::Generation { network, precision, evaluations, batch_size } => {
                // What only trainings ask for.
                let network = network.as_ref().clone().without_logvar();
                let (kind, mut settings) = (network.kind(), network.settings());
                if let Some(settings) = settings.as_object_mut() {
                    settings.retain(|name, _| !name.contains("dropout"));
                }
                json!({ "generation": { "network": { kind: settings }, "precision": precision, "evaluations": evaluations, "batch": batch_size } })
            }
            Self::Detection { detector, shape } => {
                json!({ "detection": { "detector": detector, "shape": shape } })
            }
        }
    }

    /// In words, of a stage.
    pub fn words(&self) -> String {
        match self {
            Self::Distillation(_) | Self::Teaching(_) => "training".to_owned(),
            Self::Generation { evaluations, batch_size, .. } => {
                let plural = if *evaluations == 1 { "" } else { "s" };
                format!("images of {evaluations} evaluation{plural}, {batch_size} at once")
            }
            Self::Detection { detector, .. } => {
                format!(
                    "features of `{}`",
                    serde_json::to_value(detector).unwrap_or_default().as_str().unwrap_or_default()
                )
            }
        }
    }
}

/// A task with its images.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// What is done for every image.
    pub task: Task,
    /// For how many.
    pub images: u64,
}

/// The iterations of a training after so many images.
pub(in crate::stages) fn of_training(task: Task, pace: &Pace<'_>, begins_at: u64) -> Load {
    let batch = u64::from(pace.batch_size.max(1));
    let images = pace.duration_kimg.nimg().saturating_sub(begins_at).div_ceil(batch) * batch;
    Load { task, images }
}

/// Images of a network that metrics look at, once for each of `times`, beside so many more; and what they are compared with.
pub(in crate::stages) fn of_images(
    generation: Task,
    [more, times]: [u64; 2],
    metrics: &[Metric],
    encoder: &Encoder,
    facts: Option<&Facts>,
) -> Vec<Load> {
    let mut loads = Vec::new();
    if let Task::Generation { network, .. } = &generation {
        let shape = seen(network, encoder);
        for detector in [DetectorName::Pixels, DetectorName::RandomConv, DetectorName::Inception] {
            let needs: Vec<_> =
                metrics.iter().map(Metric::needs).filter(|needs| needs.detector == detector).collect();
            let generated = needs.iter().map(|needs| needs.generated as u64).max().unwrap_or(0);
            // Real images are looked at once.
            let compared =
                needs.iter().filter(|needs| needs.real_images()).map(|needs| needs.max_real as u64);
            let real = facts.and_then(|facts| facts.images).zip(compared.max());
            let real = real.map_or(0, |(images, most)| images.min(most));
            if generated > 0 {
                loads.push(Load {
                    task: Task::Detection { detector, shape },
                    images: generated * times + real,
                });
            }
        }
    }
    let images = (scoring::images(metrics) as u64 + more) * times;
    loads.insert(0, Load { task: generation, images });
    loads
}

/// What snapshots ask for: their pictures and metrics. A training begins and ends with one.
pub(in crate::stages) fn of_snapshots(
    settings: &Snapshots,
    generation: Task,
    span: [u64; 2],
    encoder: &Encoder,
    facts: Option<&Facts>,
) -> Vec<Load> {
    let Task::Generation { network, .. } = &generation else { return Vec::new() };
    let [rows, columns] = snapshots::grid(network.label_dim());
    of_images(
        generation,
        [(rows * columns) as u64, snapshots_in(settings, span)],
        &settings.metrics,
        encoder,
        facts,
    )
}

/// Snapshots of a training between two moments, at most.
pub(super) fn snapshots_in(settings: &Snapshots, [from, to]: [u64; 2]) -> u64 {
    let every = settings.every_kimg.nimg().max(1);
    let also = settings.also_at_kimg.iter().filter(|at| (from..=to).contains(&at.nimg())).count();
    // The first is of the beginning, and the end has one that may be due by nothing else.
    (to / every).saturating_sub(from / every)
        + also as u64
        + u64::from(from == 0)
        + u64::from(to % every != 0)
}

/// Channels and side of the images that come of a network.
fn seen(network: &NetworkConfig, encoder: &Encoder) -> [usize; 2] {
    match encoder {
        Encoder::Rgb => [network.img_channels(), network.img_resolution()],
        Encoder::StabilityVae(_) => [3, 8 * network.img_resolution()],
    }
}

/// What pictures of a network are, for those who count bytes.
pub(super) fn picture_shape(network: &NetworkConfig, encoder: &Encoder) -> [usize; 2] {
    seen(network, encoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_counted_as_they_are_taken() {
        let settings: Snapshots =
            serde_json::from_value(json!({ "every_kimg": 0.3, "also_at_kimg": [0.1] })).unwrap();
        let taken = |from: u64, to: u64| {
            let due = (from..to).filter(|at| settings.due(*at, at + 1)).count() as u64;
            due + u64::from(from == 0) + u64::from(!settings.due(to - 1, to))
        };
        for span in [[0, 600], [0, 700], [0, 50], [300, 900], [310, 1000]] {
            assert_eq!(snapshots_in(&settings, span), taken(span[0], span[1]), "{span:?}");
        }
    }
}
