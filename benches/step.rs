//! Times of whole steps with everything that belongs to them: networks, tape, losses, Adam, EMA; of generation in one
//! step, and of Heun's method with 4 steps (7 evaluations).
//!
//! `cargo bench --bench step [-- NETWORK] [WORK]` prints medians. `--serve NETWORK WORK PRECISION [BATCH]` waits for
//! numbers on stdin and answers each with the seconds that so many steps took, so that `compare.py` can take turns with
//! PyTorch; its first line is the number of parameters. `--peak` prints the operations per second of a product of large
//! matrices. `--shared NETWORK WORK` serves steps of two micro-batches, which ranks share where the environment makes this
//! process one of several, for `ranks.py`. The network `inception` is served only, with the weights that `SIDA_INCEPTION` names.

use std::{
    io::{BufRead, Write},
    ops::Range,
    sync::{Arc, LazyLock},
    time::Instant,
};

use burn::{
    module::Module,
    tensor::{Device, Distribution, Tensor, TensorData},
};
use serde_json::{Value, json};
use sida::{
    Result,
    diffusion::{Precision, Sampler, heun::Drawing},
    distill::{Distill, MicroBatch, Networks, Objective, Trainer},
    formats::safetensors,
    kernels::{self, InstructionSet, Recycler},
    nn::{Condition, Denoiser, Dropout, Dropped, InceptionInput, InceptionV3, Network, NetworkConfig},
    ranks::{PATIENCE, Place, Ranks},
    seed::{Draw, Phase, Seed},
    state_dict::StateDict,
    teach::{TeacherBatch, TeacherObjective, TeacherTrainer, TrainTeacher},
    training::{Microbatch, Pass, Real, Supply},
};

#[global_allocator]
static ALLOCATOR: Recycler = Recycler;

/// The sizes of released networks (without classes); timed only where they are named.
const RELEASED: [&str; 3] = ["cifar10", "imagenet64", "edm2_xs"];

/// Name, batch and settings. `compare.py` builds the same in PyTorch.
fn networks() -> Vec<(&'static str, usize, Value)> {
    let ddpmpp = |resolution, channels, mult: &[usize], blocks, attention: &[usize], images| {
        json!({ "ddpmpp": { "img_resolution": resolution, "img_channels": images, "model_channels": channels,
            "channel_mult": mult, "num_blocks": blocks, "attn_resolutions": attention, "dropout": 0.0 } })
    };
    vec![
        ("digits", 64, ddpmpp(8, 16, &[1, 2], 1, &[], 1)),
        ("small32", 16, ddpmpp(32, 32, &[1, 2, 2], 2, &[16], 3)),
        ("wide32", 8, ddpmpp(32, 128, &[1, 2, 2], 2, &[16], 3)),
        (
            "adm",
            4,
            json!({ "adm": { "img_resolution": 64, "model_channels": 64, "channel_mult": [1, 2, 3, 4], "num_blocks": 1,
                "dropout": 0.0 } }),
        ),
        (
            "edm2",
            4,
            json!({ "edm2": { "img_resolution": 64, "img_channels": 4, "model_channels": 64, "num_blocks": 1 } }),
        ),
        ("cifar10", 8, ddpmpp(32, 128, &[2, 2, 2], 4, &[16], 3)),
        (
            "imagenet64",
            2,
            json!({ "adm": { "img_resolution": 64, "model_channels": 192, "channel_mult": [1, 2, 3, 4], "num_blocks": 3,
                "dropout": 0.0 } }),
        ),
        (
            "edm2_xs",
            2,
            json!({ "edm2": { "img_resolution": 64, "img_channels": 4, "model_channels": 128, "num_blocks": 3 } }),
        ),
    ]
}

const WORKS: [&str; 5] = ["generate", "heun", "teacher", "sid", "sida"];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    InstructionSet::force_by_environment();
    match args.first().map(String::as_str) {
        Some("--serve") => {
            let batch = args.get(4).map(|batch| batch.parse().expect("a number of images"));
            return serve(&args[1], &args[2], Arithmetic::named(&args[3]), batch);
        }
        Some("--shared") => return shared(&args[1], &args[2]),
        Some("--peak") => return println!("{}", peak()),
        _ => {}
    }
    let wanted = |name: &str, i: usize| match args.get(i) {
        Some(arg) => arg == name,
        None => !RELEASED.contains(&name),
    };
    println!("{} threads, {:?}", kernels::threads(), InstructionSet::current());
    for (name, _, _) in networks() {
        for work in WORKS {
            if !wanted(name, 0) || !wanted(work, 1) {
                continue;
            }
            let mut step = prepare(name, work, Arithmetic::default(), None);
            step();
            let mut times: Vec<f64> = (0..5).map(|_| seconds(&mut step, 1)).collect();
            times.sort_by(f64::total_cmp);
            println!("{name:<10} {work:<10} {:>10.2} ms", times[2] * 1e3);
        }
    }
}

/// What the products are computed in, and whether what is launched for them is replayed.
#[derive(Clone, Copy, Default)]
struct Arithmetic {
    precision: Precision,
    tf32: bool,
    graphs: bool,
}

impl Arithmetic {
    fn named(name: &str) -> Self {
        let (precision, graphs) = name.strip_suffix("+graphs").map_or((name, false), |name| (name, true));
        let (precision, tf32) = match precision {
            "fp32" => (Precision::Fp32, false),
            "tf32" => (Precision::Fp32, true),
            "bf16" => (Precision::Bf16, false),
            "fp16" => (Precision::Fp16, false),
            _ => panic!("no precision `{name}`"),
        };
        Self { precision, tf32, graphs }
    }
}

fn serve(name: &str, work: &str, arithmetic: Arithmetic, batch: Option<usize>) {
    let mut step = prepare(name, work, arithmetic, batch);
    // The twin must be as large.
    println!("{}", parameters(name));
    for line in std::io::stdin().lock().lines() {
        let count = line.expect("stdin can be read").trim().parse().expect("a number of steps");
        println!("{}", seconds(&mut step, count));
        std::io::stdout().flush().expect("stdout can be written");
    }
}

/// Steps of two micro-batches: those of rank 0 are asked for on stdin, and the others take part.
fn shared(name: &str, work: &str) {
    let ranks = match Place::given().expect("a consistent environment") {
        None => Ranks::alone(),
        Some(place) => Ranks::meet(&place, &[], "", PATIENCE, Arc::default()).expect("the other ranks"),
    };
    let (batch, config, network, mut supply) = made(name, Arithmetic::default(), None);
    let recipe = Distill {
        batch_size: 2 * batch as u32,
        microbatch_size: Some(Microbatch::Size(batch as u32)),
        ..recipe(work, batch, Arithmetic::default())
    };
    let mut trainer =
        Trainer::new(recipe.clone(), Objective::new(&recipe, &config), Networks::of(network, None));
    let mut step = || drop(trainer.step(&mut supply, &ranks).expect("constant draws").wait());
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let count = ranks.tell(|| {
            lines.next().map_or(0, |line| line.expect("a line").trim().parse().expect("a number of steps"))
        });
        let count: u32 = count.expect("rank 0");
        if count == 0 {
            return ranks.part();
        }
        let seconds = seconds(&mut step, count as usize);
        if ranks.is_first() {
            println!("{seconds}");
            std::io::stdout().flush().expect("stdout can be written");
        }
    }
}

fn peak() -> f64 {
    const SIDE: usize = 2048;
    let random = || Tensor::<2>::random([SIDE, SIDE], Distribution::Default, &device());
    let (a, b) = (random(), random());
    let product = || drop(kernels::dense(a.clone(), b.clone(), None));
    let fastest = (0..10).map(|_| seconds(&mut || product(), 1)).fold(f64::INFINITY, f64::min);
    2.0 * (SIDE as f64).powi(3) / fastest
}

/// The weights of the detector.
fn inception() -> StateDict {
    let path = std::env::var("SIDA_INCEPTION").expect("SIDA_INCEPTION names a file");
    safetensors::read(path.as_ref()).expect("weights").0
}

fn parameters(name: &str) -> usize {
    if name == "inception" {
        return inception().values().map(|tensor| tensor.shape().num_elements()).sum();
    }
    let (_, _, config) = networks().into_iter().find(|(n, _, _)| *n == name).expect("prepared before");
    let config: NetworkConfig = serde_json::from_value(config).expect("settings of a network");
    config.init(Seed(0).at(Phase::Sample, 0), &device()).expect("settings that make sense").num_params()
}

fn seconds(step: &mut impl FnMut(), count: usize) -> f64 {
    let start = Instant::now();
    (0..count).for_each(|_| step());
    device().sync().expect("the device goes on");
    start.elapsed().as_secs_f64()
}

/// One step of `work` on the network called `name`, ready to run.
fn prepare(name: &str, work: &str, arithmetic: Arithmetic, batch: Option<usize>) -> Box<dyn FnMut()> {
    kernels::allow_tf32(arithmetic.tf32);
    if name == "inception" {
        let network =
            InceptionV3::load(&inception(), "the file", &device()).expect("weights of FID's network");
        let images = Tensor::random([16, 3, 32, 32], Distribution::Uniform(0.0, 255.0), &device());
        return Box::new(move || {
            drop(network.outputs(images.clone(), InceptionInput::Tensorflow).features_2048.into_data());
        });
    }
    let (batch, config, network, mut supply) = made(name, arithmetic, batch);
    match work {
        "generate" => {
            let latents = supply.normals("z") * 2.5;
            Box::new(move || drop(denoise(&network, latents.clone(), 2.5).into_data()))
        }
        "teacher" => Box::new(teacher_step(network, &config, batch, arithmetic, &supply)),
        "heun" => {
            let sampler: Sampler =
                serde_json::from_value(json!({ "edm": { "num_steps": 4 } })).expect("a sampler");
            let latents = supply.normals("z");
            let mut noise = |_| unreachable!("without churn nothing is drawn");
            Box::new(move || {
                let drawing = Drawing::WhereAdded;
                let (latents, condition) = (latents.clone(), Condition::default());
                drop(sampler.sample(&network, &condition, latents, &mut noise, drawing).into_data());
            })
        }
        _ => {
            let recipe = recipe(work, batch, arithmetic);
            let objective = Objective::new(&recipe, &config);
            let generator = network.clone().without_logvar().expect("settings of a network");
            let mut trainer = Trainer::new(recipe, objective, Networks::of(network, Some(generator)));
            Box::new(move || drop(trainer.step(&mut supply, &Ranks::alone()).expect("constant draws").wait()))
        }
    }
}

/// A network with its batch, its settings and its draws.
fn made(
    name: &str,
    arithmetic: Arithmetic,
    batch: Option<usize>,
) -> (usize, NetworkConfig, Network, Constant) {
    let (_, usual, config) =
        networks().into_iter().find(|(n, _, _)| *n == name).unwrap_or_else(|| panic!("no network `{name}`"));
    let batch = batch.unwrap_or(usual);
    let config: NetworkConfig = serde_json::from_value(config).expect("settings of a network");
    let draw = Seed(0).at(Phase::Sample, 0);
    let network = config.init(draw, &device()).expect("settings that make sense");
    let network = network.with_compute(arithmetic.precision.dtype());
    let shape = [batch, config.img_channels(), config.img_resolution()];
    let supply = Constant { shape, draw, dropped: Dropped::by(&config) };
    (batch, config, network, supply)
}

fn recipe(work: &str, batch: usize, arithmetic: Arithmetic) -> Distill {
    let method = match work {
        "sid" => json!({ "sid": {} }),
        // The adversarial term takes part from the second step on.
        "sida" => {
            json!({ "sida": { "adversarial": { "generator_starts_at_kimg": 0, "starts_at_kimg": 0 } } })
        }
        _ => panic!("no work `{work}`"),
    };
    serde_json::from_value(
        json!({ "teacher": "teacher", "method": method, "batch_size": batch, "augment": 0.0,
        "precision": arithmetic.precision, "graphs": arithmetic.graphs }),
    )
    .expect("a recipe")
}

fn denoise(network: &Network, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
    let sigma = Tensor::full([noisy.dims()[0], 1, 1, 1], sigma, &noisy.device());
    network.denoise(noisy, sigma, &Condition::default(), Dropout::Off).images
}

/// A teacher in training, as the product trains it.
fn teacher_step(
    network: Network,
    config: &NetworkConfig,
    batch: usize,
    arithmetic: Arithmetic,
    supply: &Constant,
) -> impl FnMut() + use<> {
    let recipe: TrainTeacher = serde_json::from_value(json!({
        "dataset": "none", "network": config, "batch_size": batch, "lr": 1e-4, "lr_rampup_kimg": 0,
        "ema": { "half_life_kimg": 500, "rampup_ratio": null }, "augment": 0.0, "precision": arithmetic.precision, "graphs": arithmetic.graphs,
    }))
    .expect("a recipe");
    let objective =
        TeacherObjective { sigma_data: 0.5, learns_uncertainty: false, ..TeacherObjective::new(&recipe) };
    let mut trainer = TeacherTrainer::new(recipe, objective, network);
    let real = Real { images: supply.normals("clean"), augment_labels: None };
    let mut supply = ConstantTeacher(TeacherBatch { real, pass: supply.pass() });
    move || drop(trainer.step(&mut supply, &Ranks::alone()).expect("constant draws").wait())
}

/// The same draws for every iteration: what is timed is what follows.
struct Constant {
    shape: [usize; 3],
    draw: Draw,
    dropped: Dropped,
}

impl Constant {
    fn normals(&self, what: &str) -> Tensor<4> {
        let [n, c, side] = self.shape;
        let values = self.draw.purpose(what).normals(0..n as u64, c * side * side);
        Tensor::from_data(TensorData::new(values, [n, c, side, side]), &device())
    }

    fn dropout(&self) -> Dropout {
        self.dropped.masks(self.draw, 0..self.shape[0] as u64, &device())
    }

    fn pass(&self) -> Pass {
        let sigma = Tensor::ones([self.shape[0], 1, 1, 1], &device());
        Pass { sigma, noise: self.normals("noise"), class_labels: None, dropout: self.dropout() }
    }
}

impl Supply for Constant {
    type MicroBatch = MicroBatch;

    fn micro_batch(&mut self, phase: Phase, _: u64, _: Range<u64>) -> Result<MicroBatch> {
        let real = Real { images: self.normals("real"), augment_labels: None };
        Ok(MicroBatch {
            latents: self.normals("z"),
            step_noise: Vec::new(),
            pass: self.pass(),
            augmentation: None,
            real: (phase == Phase::FakeScore).then_some(real),
            real_dropout: self.dropout(),
        })
    }
}

struct ConstantTeacher(TeacherBatch);

impl Supply for ConstantTeacher {
    type MicroBatch = TeacherBatch;

    fn micro_batch(&mut self, _: Phase, _: u64, _: Range<u64>) -> Result<TeacherBatch> {
        Ok(self.0.clone())
    }
}

/// The CPU, or what `SIDA_DEVICE` says (`cuda:0`, in a build with that feature). It is looked for once: not while a clock runs.
fn device() -> Device {
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        let asked = std::env::var("SIDA_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
        sida::cli::device::choose(&asked).unwrap_or_else(|error| panic!("SIDA_DEVICE: {error}")).0
    });
    DEVICE.clone()
}
