//! The operations of networks on a GPU against the CPU, values and gradients. Needs `--features cuda` or
//! `wgpu`, and a GPU or Mesa's lavapipe, which stands in for one; says so and skips itself elsewhere.
//!
//! The tolerance is that of TF32, to which Burn's convolutions and products round on tensor cores; what each operation
//! misses by is printed.

use burn::tensor::{Device, Tensor, TensorData};
use libtest_mimic::{Arguments, Failed, Trial};
use sida::{
    cli::device,
    data::{Augment, AugmentDraw},
    kernels::{self, GroupNorm},
    seed::{Phase, Seed},
};

/// Of the largest value.
const TOLERANCE: f32 = 5e-3;

/// What is tried on a GPU.
type Test = Box<dyn FnOnce(&Device) -> Result<(), Failed> + Send>;

type Operation = fn(Tensor<4>, Tensor<4>) -> Tensor<4>;

/// Operations on x `[2, 16, 16, 24]` and a weight `[24, 24, 3, 3]`.
const OPERATIONS: [(&str, Operation); 17] = [
    ("convolution 3x3", |x, w| kernels::conv2d(x, w, None)),
    ("convolution 3x3 without padding", |x, w| kernels::conv2d_with(x, w, None, 1, [0, 0])),
    ("convolution 3x3 of stride 2", |x, w| kernels::conv2d_with(x, w, None, 2, [1, 1])),
    ("convolution 1x1", |x, w| kernels::conv2d(x, w.narrow(2, 1, 1).narrow(3, 1, 1), None)),
    ("dense", |x, w| {
        let w = w.narrow(2, 0, 1).narrow(3, 0, 1).reshape([24, 24]);
        kernels::dense(x.reshape([512, 24]), w, None).reshape([2, 16, 16, 24])
    }),
    ("group norm", |x, w| {
        let row = |i: usize| w.clone().narrow(0, i, 1).narrow(2, 0, 1).narrow(3, 0, 1).reshape([24]);
        let pair = || Some(w.clone().narrow(0, 2, 2).narrow(2, 0, 1).narrow(3, 0, 1).reshape([2, 24]));
        let norm = GroupNorm {
            groups: 6,
            eps: 1e-5,
            weight: row(0),
            bias: row(1),
            shift_before: pair(),
            scale_shift: pair().zip(pair()),
            silu: true,
        };
        kernels::group_norm(x, norm)
    }),
    ("attention", |x, _| kernels::attention(x, 2, Some(1e-4))),
    ("mp_silu", |x, w| {
        let gain = w.narrow(0, 0, 2).narrow(2, 0, 1).narrow(3, 0, 1).reshape([2, 24]);
        kernels::mp_silu(x, Some(gain))
    }),
    ("pixel norm", |x, _| kernels::pixel_norm(x, 1e-4)),
    ("normalised weights", |x, w| kernels::conv2d(x, kernels::normalize_rows(w, 1e-4, 0.1, None), None)),
    ("dropout", |x, _| {
        let draw = Seed(0).at(Phase::FakeScore, 0).purpose("dropout");
        kernels::drop_activations(x, draw, 5, 0.13)
    }),
    ("weighted sum", |x, _| kernels::weighted_sum(x.clone(), 0.7, kernels::silu(x), 0.3, Some(1.0))),
    ("concatenation", |x, _| kernels::concat(x.clone(), 0.7, kernels::relu(x), 1.3)),
    ("down", |x, _| kernels::downsample(x, &[1.0, 3.0, 3.0, 1.0])),
    ("maximum pool", |x, _| kernels::max_pool(x, 2, 1)),
    ("average pool", |x, _| kernels::average_pool(x)),
    ("up", |x, _| kernels::upsample(x, &[1.0, 1.0])),
];

fn main() {
    let arguments = Arguments::from_args();
    let gpu = chosen();
    match &gpu {
        Ok((_, name)) => println!("on {name}"),
        Err(why) => println!("skipped: {why}"),
    }
    let trial = |name: &'static str, test: Test| match &gpu {
        Ok((gpu, _)) => {
            let gpu = gpu.clone();
            Trial::test(name, move || test(&gpu))
        }
        Err(_) => Trial::test(name, || Ok(())).with_ignored_flag(true),
    };
    let mut trials = vec![trial("draws", Box::new(draws)), trial("augmentation", Box::new(augmentation))];
    for (name, operation) in OPERATIONS {
        trials.push(trial(name, Box::new(move |gpu| compare(name, operation, gpu))));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Uniforms are the same bits, normals the same to 1e-6.
fn draws(gpu: &Device) -> Result<(), Failed> {
    let draw = Seed(5).at(Phase::Generator, 64).purpose("z");
    let numbers = |device: &Device| {
        let host = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().expect("f32");
        let dims = [3, 5, 7, 9];
        let first = u64::from(u32::MAX);
        (
            host(kernels::uniforms(draw, first, dims, device)),
            host(kernels::normals(draw, first, dims, device)),
        )
    };
    let (ours, theirs) = (numbers(gpu), numbers(&Device::flex()));
    if ours.0 != theirs.0 {
        return Err("uniforms differ".into());
    }
    near("normals", &ours.1, &theirs.1, 1e-6)
}

/// EDM's, of images that are not square and whose flips matter, with all transforms and with none.
fn augmentation(gpu: &Device) -> Result<(), Failed> {
    for (p, dims) in [(1.0, [6, 3, 20, 16]), (0.0, [2, 1, 8, 8]), (0.5, [8, 2, 5, 9])] {
        let draws = AugmentDraw::make(Seed(3).at(Phase::FakeScore, 0), 0..dims[0] as u64);
        let [ours, theirs] = [gpu, &Device::flex()].map(|device| {
            let augmented = Augment::edm(p).apply(normals("images", dims, device), &draws);
            augmented.images.into_data().try_to_vec::<f32>().expect("f32")
        });
        near(&format!("augmented with probability {p}"), &ours, &theirs, 2e-4)?;
    }
    Ok(())
}

/// No two numbers are further apart than so much.
fn near(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) -> Result<(), Failed> {
    let gap = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: {gap:.1e}");
    if ours.len() != theirs.len() || gap > tolerance || ours.iter().any(|v| v.is_nan()) {
        return Err(format!("{what}: off by {gap:.1e}").into());
    }
    Ok(())
}

/// What `SIDA_GPU` names; else the first device of any kind.
fn chosen() -> sida::Result<(Device, String)> {
    match std::env::var("SIDA_GPU") {
        Ok(asked) => device::choose(&asked),
        Err(_) => device::choose("cuda:0").or_else(|_| device::choose("wgpu:0")),
    }
}

fn compare(name: &str, operation: Operation, gpu: &Device) -> Result<(), Failed> {
    let (ours, theirs) = (results(operation, gpu), results(operation, &Device::flex()));
    for (what, ours, theirs) in [("output", &ours.0, &theirs.0), ("gradient to x", &ours.1, &theirs.1)] {
        let largest = theirs.iter().fold(1e-6f32, |largest, v| largest.max(v.abs()));
        let gap = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
        println!("{name}, {what}: {gap:.1e}");
        // The largest of gaps does not see NaN.
        if ours.len() != theirs.len() || gap > TOLERANCE || ours.iter().any(|v| v.is_nan()) {
            return Err(format!("{name}: {what} is off by {gap:.1e} of its largest value").into());
        }
    }
    Ok(())
}

/// Output, and the gradient to x of its product with fixed numbers.
fn results(operation: Operation, device: &Device) -> (Vec<f32>, Vec<f32>) {
    let device = device.clone().autodiff();
    let x = normals("x", [2, 16, 16, 24], &device).require_grad();
    let y = operation(x.clone(), normals("w", [24, 24, 3, 3], &device));
    let gradients = (y.clone() * normals("pull", y.dims(), &device)).sum().backward();
    let host = |t: Tensor<4>| t.into_data().convert::<f32>().try_to_vec().expect("f32 after conversion");
    (host(y.inner()), host(x.grad(&gradients).expect("x is tracked")))
}

fn normals(what: &str, dims: [usize; 4], device: &Device) -> Tensor<4> {
    let values = Seed(0).at(Phase::Sample, 0).purpose(what).normals(0..1, dims.iter().product());
    Tensor::from_data(TensorData::new(values, dims), device)
}
