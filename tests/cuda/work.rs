//! Pieces of work as the product does them, over small networks of every family: iterations of the trainings with
//! dropout, augmentation and classes, and a sampling run.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};
use sida::{
    Result,
    diffusion::{Codec, Precision, Sampler, heun::Drawing},
    distill::{Distill, DistillSupply, Networks, Objective, Trainer},
    kernels,
    nn::{Condition, Entry, Network, NetworkConfig},
    ranks::Ranks,
    seed::{Phase, Seed},
    state_dict::StateDict,
    teach::{TeacherObjective, TeacherSupply, TeacherTrainer, TrainTeacher},
    training::{Batch, Draws, Replicas, Request},
};

const SEED: Seed = Seed(3);

/// What can be done with a network. Each is one iteration, or one batch of images.
const WORKS: &[&str] = &["teacher", "sid", "sida", "heun"];
/// What is done once more in another arithmetic: SiDA asks for all that the others ask for.
const AGAIN: &[&str] = &["sida"];

/// A network that work is done with.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// Images of a micro-batch.
    pub(crate) batch: usize,
    /// Micro-batches of an iteration.
    pub(crate) rounds: usize,
    pub(crate) network: Value,
    pub(crate) precision: Precision,
    pub(crate) tf32: bool,
    /// Whether weights are drawn; else they are zeros, for a device that computes nothing.
    pub(crate) drawn: bool,
    /// Whether rounds are recorded and replayed.
    pub(crate) graphs: bool,
    /// What is done with it.
    pub(crate) works: &'static [&'static str],
}

impl Subject {
    pub(crate) fn new(name: &'static str, batch: usize, network: Value) -> Self {
        Self {
            name,
            batch,
            rounds: 1,
            network,
            precision: Precision::Fp32,
            tf32: true,
            drawn: true,
            graphs: false,
            works: WORKS,
        }
    }

    fn of_zeros(self) -> Self {
        Self { drawn: false, ..self }
    }

    fn within(self, name: &'static str, precision: Precision) -> Self {
        Self { name, precision, works: AGAIN, ..self }
    }

    pub(crate) fn by_graphs(self, name: &'static str) -> Self {
        Self { name, graphs: true, works: &["teacher", "sida"], ..self }
    }

    pub(crate) fn in_rounds(self, name: &'static str, rounds: usize) -> Self {
        Self { name, rounds, works: AGAIN, ..self }
    }

    fn without_tf32(self, name: &'static str) -> Self {
        Self { name, tf32: false, works: AGAIN, ..self }
    }
}

/// What is counted: CIFAR-10's network as it was released, also without TF32 as its recipes have it; and a small one of
/// every other family, also in halves; of EDM2, whose weights are normalised before each, two micro-batches.
pub(crate) fn counted() -> Vec<Subject> {
    let cifar10 =
        json!({ "img_resolution": 32, "channel_mult": [2, 2, 2], "augment_dim": 9, "dropout": 0.13 });
    let edm2 = json!({ "img_resolution": 32, "model_channels": 64, "num_blocks": 1, "label_dim": 10, "dropout": 0.1 });
    let adm = Subject::new("adm", 4, json!({ "adm": small(32, 64) }));
    let edm2 = Subject::new("edm2", 4, json!({ "edm2": edm2 }));
    let cifar10 = Subject::new("cifar10", 8, json!({ "ddpmpp": cifar10 }));
    let subjects = vec![
        cifar10.clone().without_tf32("cifar10-fp32"),
        cifar10.clone().by_graphs("cifar10-graphs"),
        cifar10,
        Subject::new("ncsnpp", 4, json!({ "ncsnpp": small(32, 32) })),
        adm.clone(),
        adm.within("adm-fp16", Precision::Fp16),
        edm2.clone(),
        edm2.clone().in_rounds("edm2-rounds", 2),
        edm2.clone().in_rounds("edm2-graphs", 2).by_graphs("edm2-graphs"),
        edm2.within("edm2-bf16", Precision::Bf16),
    ];
    subjects.into_iter().map(Subject::of_zeros).collect()
}

/// What is emulated: a tiny network of every family, also in halves.
pub(crate) fn emulated() -> Vec<Subject> {
    let edm2 = json!({ "img_resolution": 8, "model_channels": 16, "channel_mult": [1, 2], "num_blocks": 1, "attn_resolutions": [4],
        "channels_per_head": 16, "logvar_channels": 16, "label_dim": 10, "dropout": 0.1 });
    let adm = Subject::new("adm", 2, json!({ "adm": small(8, 16) }));
    let edm2 = Subject::new("edm2", 2, json!({ "edm2": edm2 }));
    vec![
        Subject::new("ddpmpp", 2, json!({ "ddpmpp": small(8, 16) })),
        Subject::new("ncsnpp", 2, json!({ "ncsnpp": small(8, 16) })),
        adm.clone(),
        adm.within("adm-fp16", Precision::Fp16),
        edm2.clone(),
        edm2.within("edm2-bf16", Precision::Bf16),
    ]
}

fn small(resolution: usize, channels: usize) -> Value {
    json!({ "img_resolution": resolution, "model_channels": channels, "channel_mult": [1, 2], "num_blocks": 1,
        "attn_resolutions": [resolution / 2], "augment_dim": 9, "label_dim": 10, "dropout": 0.1 })
}

/// A piece of work under way, by one replica.
pub(crate) struct Work<R = Ranks> {
    replicas: R,
    config: NetworkConfig,
    batch: usize,
    device: Device,
    kind: Kind,
}

enum Kind {
    Teacher(Box<(TrainTeacher, TeacherTrainer<Network>)>),
    Distill(Box<(Distill, Trainer<Network>)>),
    Heun(Box<(Sampler, Network)>),
}

impl Work {
    pub(crate) fn new(work: &str, subject: &Subject, device: &Device) -> Self {
        let Subject { batch, rounds, network, precision, drawn, graphs, .. } = subject;
        let batch_size = rounds * batch;
        let config: NetworkConfig = serde_json::from_value(network.clone()).expect("settings of a network");
        let load = |who: &str| {
            let weights = lively(&config, who, *drawn);
            let network = config.load(&weights, who, device).expect("settings that make sense");
            network.with_compute(precision.dtype())
        };
        let kind = match work {
            "teacher" => {
                let recipe: TrainTeacher = from(
                    json!({ "dataset": "data", "network": network, "batch_size": batch_size, "microbatch_size": batch,
                    "precision": precision, "graphs": graphs, "lr": 1e-3,
                    "lr_rampup_kimg": 0, "ema": { "half_life_kimg": 0.1 } }),
                );
                let trainer =
                    TeacherTrainer::new(recipe.clone(), TeacherObjective::new(&recipe), load("teacher"));
                Kind::Teacher(Box::new((recipe, trainer)))
            }
            "heun" => Kind::Heun(Box::new((from(json!({ "edm": { "num_steps": 4 } })), load("teacher")))),
            method => {
                let method = match method {
                    // The adversarial term takes part from the second iteration on.
                    "sida" => {
                        json!({ "sida": { "adversarial": { "generator_starts_at_kimg": 0, "starts_at_kimg": 0 } } })
                    }
                    method => json!({ method: {} }),
                };
                let recipe: Distill = from(
                    json!({ "teacher": "teacher", "dataset": "data", "method": method,
                    "batch_size": batch_size, "microbatch_size": batch, "precision": precision, "graphs": graphs, "ema": { "half_life_kimg": 0.1 } }),
                );
                let objective = Objective::new(&recipe, &config);
                // Each its own: where the fake score is still the teacher's, the losses are differences of equals.
                // EDM2's has no head for the uncertainty, as the stages make it.
                let generator = load("generator").without_logvar().expect("settings of a network");
                let networks = Networks {
                    teacher: load("teacher"),
                    fake_score: load("fake score"),
                    generator_ema: generator.clone(),
                    generator,
                };
                let trainer = Trainer::new(recipe.clone(), objective, networks);
                Kind::Distill(Box::new((recipe, trainer)))
            }
        };
        Self { replicas: Ranks::alone(), config, batch: *batch, device: device.clone(), kind }
    }

    /// The same work, of which this replica does its share.
    pub(crate) fn among<S: Replicas>(self, replicas: S) -> Work<S> {
        let Self { config, batch, device, kind, .. } = self;
        Work { replicas, config, batch, device, kind }
    }
}

impl<R: Replicas> Work<R> {
    /// One iteration, or one batch of images. => the losses, or the mean of the images' squares
    pub(crate) fn step(&mut self) -> Vec<f64> {
        self.begin()()
    }

    /// The same, of which the device is only told; what is returned waits for it.
    pub(crate) fn begin(&mut self) -> Box<dyn FnOnce() -> Vec<f64>> {
        let shape = [self.config.img_channels(), self.config.img_resolution(), self.config.img_resolution()];
        match &mut self.kind {
            Kind::Teacher(work) => {
                let (recipe, trainer) = work.as_mut();
                let draws = draws(recipe.augment, &self.config, &self.device);
                let done = trainer.step(&mut TeacherSupply { recipe, draws }, &self.replicas).expect("draws");
                Box::new(|| {
                    let done = done.wait();
                    vec![done.loss, done.error]
                })
            }
            Kind::Distill(work) => {
                let (recipe, trainer) = work.as_mut();
                let draws = draws(recipe.augment, &self.config, &self.device);
                let mut supply = DistillSupply { recipe, image_shape: shape, draws };
                let done = trainer.step(&mut supply, &self.replicas).expect("draws");
                Box::new(|| {
                    let done = done.wait();
                    vec![done.fake_score.loss, done.generator.loss]
                })
            }
            Kind::Heun(work) => {
                let (sampler, network) = work.as_ref();
                let classes = self.config.label_dim();
                let condition = Condition {
                    class_labels: (classes > 0).then(|| labels(0..self.batch as u64, classes, &self.device)),
                    ..Condition::default()
                };
                let [c, h, w] = shape;
                let draw = SEED.at(Phase::Sample, 0).purpose("latents");
                let latents = kernels::normals(draw, 0, [self.batch, c, h, w], &self.device);
                let mut noise = |_| unreachable!("without churn nothing is drawn");
                let images = sampler.sample(network, &condition, latents, &mut noise, Drawing::WhereAdded);
                Box::new(|| {
                    let values = images.into_data().convert::<f64>().try_into_vec::<f64>().expect("numbers");
                    vec![values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64]
                })
            }
        }
    }

    /// The bytes of memory that `plan` says a training needs.
    pub(crate) fn planned_bytes(&self) -> Option<u64> {
        let entries = self.config.shapes().expect("settings that make sense");
        let size = |entry: &Entry| entry.shape.iter().product::<usize>() as u64;
        let parameters = entries.iter().filter(|entry| entry.is_parameter()).map(size).sum();
        match &self.kind {
            Kind::Teacher(work) => Some(work.0.memory_bytes(&work.0.pace(), parameters, 1)),
            Kind::Distill(work) => Some(work.0.memory_bytes(&work.0.pace(), &self.config, parameters, 1)),
            Kind::Heun(_) => None,
        }
    }

    /// Everything that a training has changed.
    pub(crate) fn state(&self) -> StateDict {
        match &self.kind {
            Kind::Teacher(work) => work.1.state(),
            Kind::Distill(work) => work.1.state(),
            Kind::Heun(_) => StateDict::new(),
        }
    }
}

/// Weights that leave no path nearly silent, as fresh ones do; or zeros.
fn lively(config: &NetworkConfig, whose: &str, are_drawn: bool) -> StateDict {
    let entry = |entry: Entry| {
        let fan_in = entry.shape.iter().skip(1).product::<usize>().max(16);
        let scale = (1.0 / fan_in as f32).sqrt();
        let centre = if entry.name.contains("norm") && entry.name.ends_with("weight") { 1.0 } else { 0.0 };
        let drawn = || {
            let draw = SEED.at(Phase::Init, 0).purpose(whose).purpose(&entry.name);
            draw.normals(0..1, entry.shape.iter().product()).into_iter().map(|z| centre + scale * z).collect()
        };
        let zeros = || vec![0.0; entry.shape.iter().product()];
        let values: Vec<f32> = entry.buffer.unwrap_or_else(|| if are_drawn { drawn() } else { zeros() });
        (entry.name, TensorData::new(values, entry.shape))
    };
    config.shapes().expect("settings that make sense").into_iter().map(entry).collect()
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("values of a stage")
}

/// A dataset of normal values, read as the stages read theirs.
fn draws(
    augment: f64,
    network: &NetworkConfig,
    device: &Device,
) -> Draws<impl FnMut(Request) -> Result<Batch> + use<>> {
    let (classes, on) = (network.label_dim(), device.clone());
    let shape = [network.img_channels(), network.img_resolution(), network.img_resolution()];
    let answer = move |request: Request| {
        let samples = request.samples;
        Ok(Batch {
            images: request.images.then(|| images(samples.clone(), shape, &on)),
            class_labels: (classes > 0).then(|| labels(samples, classes, &on)),
        })
    };
    Draws::new(SEED, augment, network, answer, device.clone())
}

/// Pixels go up as bytes, latents (four channels) as numbers. `[n, c, h, w]`
fn images(samples: Range<u64>, [c, h, w]: [usize; 3], device: &Device) -> Tensor<4> {
    let dims = [samples.clone().count(), c, h, w];
    let values = SEED.at(Phase::Sample, 0).purpose("images").normals(samples, c * h * w);
    if c == 4 {
        return Tensor::from_data(TensorData::new(values, dims), device);
    }
    let bytes: Vec<u8> = values.iter().map(|z| (128.0 + 64.0 * z) as u8).collect();
    let raw = kernels::from_bytes(&bytes, dims, device);
    Codec::Rgb.encode_final(raw, || unreachable!("only latents draw"))
}

fn labels(samples: Range<u64>, classes: usize, device: &Device) -> Tensor<2> {
    let chosen: Vec<u32> = samples.map(|i| i as u32 % classes as u32).collect();
    kernels::one_hot(&chosen, classes, device)
}
