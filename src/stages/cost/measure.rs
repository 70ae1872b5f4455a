//! How fast a device does a task, from a few seconds of it: with random weights, and images that are noise.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use burn::{
    module::Module,
    tensor::{DType, Device, Tensor},
};

use super::task::Task;
use crate::{
    Error, Result,
    diffusion::{Codec, OneStep, Precision, Sampler},
    distill::{Distill, DistillSupply, Networks, Objective, Trainer},
    kernels,
    location::Resolved,
    metrics::{Detect, DetectorName, Pixels, RandomConv},
    nn::{Network, NetworkConfig},
    ranks::Ranks,
    seed::{Phase, Seed},
    stages::{
        download, inception_weights,
        microbatch::fits,
        network_file,
        sampling::{Classes, Sampling},
        seeds::Rng,
        stage::Stage,
        work::parameters,
    },
    stop::Stop,
    teach::{TeacherObjective, TeacherSupply, TeacherTrainer, TrainTeacher},
    training::{Batch, Draws, Request},
};

/// What a size of batches is measured for.
const SAMPLE: Duration = Duration::from_millis(500);
/// No larger size is begun after so long.
const PATIENCE: Duration = Duration::from_secs(3);
/// From one size of batches to the next.
const STEP: u32 = 4;

/// Why a task was not measured, in a few words.
pub type Unmeasured = String;

/// Images per second of a task: at the size of its batches, or at the largest one that takes no longer than a few seconds.
/// The first of all, which compiles kernels, does not count. `cache` has what was downloaded.
///
/// # Errors
/// `Interrupted`; whatever networks and devices can do.
pub fn measure(
    task: &Task,
    device: &Device,
    cache: &Path,
    stop: &Stop,
) -> Result<std::result::Result<f64, Unmeasured>> {
    match task {
        Task::Distillation(of) => distillation(&of.0, &of.1, device, stop),
        Task::Teaching(recipe) => teaching(recipe, device, stop),
        Task::Generation { network, precision, evaluations, batch_size } => {
            let of_one = generation(network, *precision, *batch_size, device, stop)?;
            Ok(of_one.map(|rate| rate / f64::from(*evaluations)))
        }
        Task::Detection { detector, shape } => detection(*detector, *shape, device, cache, stop),
    }
}

/// Images per second, from batches that grow to `most` or to the last that `fits`.
fn rate(
    most: u32,
    stop: &Stop,
    fits: impl Fn(u32) -> bool,
    mut go: impl FnMut(u32) -> Result<()>,
) -> Result<std::result::Result<f64, Unmeasured>> {
    let too_large = "its network is too large for this device's memory";
    if !fits(1) {
        return Ok(Err(too_large.to_owned()));
    }
    let (began, mut size) = (Instant::now(), 1);
    loop {
        let warming = Instant::now();
        go(size)?;
        let (mut seconds, mut runs) = (warming.elapsed().as_secs_f64(), 0u32);
        // Where even that takes long, it is the measurement: the rate is a little too low then.
        let started = Instant::now();
        while (runs == 0 && seconds < PATIENCE.as_secs_f64()) || (runs > 0 && started.elapsed() < SAMPLE) {
            if stop.requested() {
                return Err(Error::Interrupted);
            }
            go(size)?;
            runs += 1;
            seconds = started.elapsed().as_secs_f64() / f64::from(runs);
        }
        let next = (size * STEP).min(most);
        if size >= most || !fits(next) || began.elapsed() > PATIENCE {
            return Ok(Ok(f64::from(size) / seconds.max(1e-9)));
        }
        size = next;
    }
}

/// A network of such settings, with drawn weights.
fn network(config: &NetworkConfig, compute: DType, device: &Device) -> Result<Network> {
    Ok(config.init(Seed(0).at(Phase::Init, 0), device)?.with_compute(compute).valid())
}

/// What a dataset would answer.
fn answer(request: &Request, config: &NetworkConfig, device: &Device) -> Batch {
    let images = request.samples.end - request.samples.start;
    let (n, side, classes) = (images as usize, config.img_resolution(), config.label_dim());
    let shape = [n, config.img_channels(), side, side];
    let images =
        || kernels::normals(request.draw.purpose("images"), request.samples.start, shape, device) * 0.5;
    let labels = || kernels::one_hot(&vec![0; n], classes, device);
    Batch { images: request.images.then(images), class_labels: (classes > 0).then(labels) }
}

fn distillation(
    recipe: &Distill,
    config: &NetworkConfig,
    device: &Device,
    stop: &Stop,
) -> Result<std::result::Result<f64, Unmeasured>> {
    let compute = match network_file::compute_training(recipe.precision, config, device) {
        Ok(compute) => compute,
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    let fits = fits(recipe, config, parameters(config), device);
    kernels::allow_tf32(recipe.tf32);
    let mut made: Option<(Distill, Trainer<Network>)> = None;
    let ranks = Ranks::alone();
    let side = config.img_resolution();
    rate(most(recipe), stop, fits, |size| {
        let (recipe, trainer) = match made.take().filter(|(recipe, _)| recipe.batch_size == size) {
            Some(made) => made,
            None => {
                let recipe = Distill { batch_size: size, microbatch_size: None, ..recipe.clone() };
                let teacher = network(config, compute, device)?.with_recompute(recipe.recompute);
                let generator = teacher.clone().without_logvar()?;
                let objective = Objective::new(&recipe, config);
                let networks = Networks::of(teacher, Some(generator));
                let mut trainer = Trainer::new(recipe.clone(), objective, networks);
                // With all its terms.
                trainer.set_nimg(recipe.duration_kimg.nimg());
                (recipe, trainer)
            }
        };
        let (recipe, trainer) = made.insert((recipe, trainer));
        let batches = |request: Request| Ok(answer(&request, config, device));
        let draws = Draws::new(Seed(0), recipe.augment, config, batches, device.clone());
        let mut supply = DistillSupply { recipe, image_shape: [config.img_channels(), side, side], draws };
        trainer.step(&mut supply, &ranks)?.wait();
        Ok(())
    })
}

fn teaching(
    recipe: &TrainTeacher,
    device: &Device,
    stop: &Stop,
) -> Result<std::result::Result<f64, Unmeasured>> {
    let config = &recipe.network;
    let compute = match network_file::compute_training(recipe.precision, config, device) {
        Ok(compute) => compute,
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    let fits = fits(recipe, config, parameters(config), device);
    kernels::allow_tf32(recipe.tf32);
    let mut made: Option<(TrainTeacher, TeacherTrainer<Network>)> = None;
    let ranks = Ranks::alone();
    rate(most(recipe), stop, fits, |size| {
        let (recipe, trainer) = match made.take().filter(|(recipe, _)| recipe.batch_size == size) {
            Some(made) => made,
            None => {
                let recipe = TrainTeacher { batch_size: size, microbatch_size: None, ..recipe.clone() };
                let network = network(config, compute, device)?.with_recompute(recipe.recompute);
                let trainer = TeacherTrainer::new(recipe.clone(), TeacherObjective::new(&recipe), network);
                (recipe, trainer)
            }
        };
        let (recipe, trainer) = made.insert((recipe, trainer));
        let batches = |request: Request| Ok(answer(&request, config, device));
        let draws = Draws::new(Seed(0), recipe.augment, config, batches, device.clone());
        let mut supply = TeacherSupply { recipe, draws };
        trainer.step(&mut supply, &ranks)?.wait();
        Ok(())
    })
}

/// The largest micro-batch that is of interest.
fn most(stage: &impl Stage) -> u32 {
    let Some(pace) = stage.pace() else { return 1 };
    if pace.is_open() { pace.batch_size } else { pace.microbatch_size() }
}

/// Of images from one evaluation each.
fn generation(
    config: &NetworkConfig,
    precision: Precision,
    batch_size: u32,
    device: &Device,
    stop: &Stop,
) -> Result<std::result::Result<f64, Unmeasured>> {
    let compute = match network_file::compute(precision, device) {
        Ok(compute) => compute,
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    let weights = parameters(config).map(|count| 8 * count);
    let memory = kernels::memory(device).map(|memory| memory.share(1));
    let fits = |_| weights.zip(memory).is_none_or(|(weights, memory)| weights < memory);
    let mut made: Option<Network> = None;
    let sampler = Sampler::OneStep(OneStep { init_sigma: 2.5 });
    rate(batch_size, stop, fits, |size| {
        let drawn = match made.take() {
            Some(made) => made,
            None => network(config, compute, device)?,
        };
        let network = made.insert(drawn);
        let (codec, classes) = (Codec::Rgb, Classes::Drawn);
        let sampling =
            Sampling { network, codec: &codec, sampler: &sampler, rng: Rng::Native, classes, device };
        sampling.images(&(0..u64::from(size)).collect::<Vec<_>>()).map(drop)
    })
}

/// Images that a detector sees at once.
const SEEN: u32 = 64;

fn detection(
    name: DetectorName,
    [channels, side]: [usize; 2],
    device: &Device,
    cache: &Path,
    stop: &Stop,
) -> Result<std::result::Result<f64, Unmeasured>> {
    let detector: Box<dyn Detect> = match name {
        DetectorName::Pixels => Box::new(Pixels),
        DetectorName::RandomConv => Box::new(RandomConv::new(channels, side, side, device)),
        DetectorName::Inception => {
            let there = match inception_weights::wanted().location.resolve()? {
                Resolved::Url(url) => download::cached(cache, &url),
                Resolved::Path(path) => path,
            };
            if !there.is_file() {
                let command = "`sida fetch` brings them";
                return Ok(Err(format!("Inception's weights are not in the cache ({command})")));
            }
            inception_weights::load(&there, device)?
        }
    };
    rate(
        SEEN,
        stop,
        |_| true,
        |size| {
            let images =
                Tensor::<4>::zeros([size as usize, channels, side, side], (device, DType::F32)) + 100.0;
            // Whoever reads a number waits for the device.
            let seen = detector.detect(images)?;
            seen.features.sum().into_data();
            Ok(())
        },
    )
}
