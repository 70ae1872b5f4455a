//! The operations of networks on a GPU against the CPU, values and gradients. Needs `--features cuda` or
//! `wgpu`, and a GPU or Mesa's lavapipe, which stands in for one; says so and skips itself elsewhere.
//!
//! The tolerance in f32 is that of TF32, to which Burn's convolutions and products round on tensor cores; in f16, where
//! the device has it, that of its 11 bits. What each operation misses by is printed.

#[path = "gpu/operations.rs"]
mod operations;

use std::{ops::Range, sync::Arc};

use burn::tensor::{DType, Device, Tensor, TensorData};
use libtest_mimic::{Arguments, Failed, Trial};
use sida::{
    cli::device,
    kernels,
    nn::{Condition, Denoiser, Dropout, NetworkConfig},
    seed::{Phase, Seed},
    state_dict::StateDict,
    training::{
        AdamSettings, Alone, Average, Ema, GradientSum, Gradients, Sanitized, Student, state::join,
        student::Names,
    },
};

use operations::{OPERATIONS, Operation};

/// Of the largest value.
const TOLERANCE: f32 = 5e-3;

/// Types of activations and weights, and how far results may be apart.
const TYPES: [(DType, f32); 2] = [(DType::F32, TOLERANCE), (DType::F16, 1e-2)];

fn main() {
    let arguments = Arguments::from_args();
    let gpu = chosen();
    match &gpu {
        Ok((_, name)) => println!("on {name}"),
        Err(why) => println!("skipped: {why}"),
    }
    let has = |dtype| gpu.as_ref().is_ok_and(|(gpu, _)| gpu.supports_dtype(dtype));
    let trials = TYPES.into_iter().flat_map(|of_type| OPERATIONS.map(|operation| (of_type, operation)));
    let trials = trials.map(|((dtype, tolerance), (name, operation))| {
        let title = format!("{name} {dtype:?}");
        match &gpu {
            Ok((gpu, _)) if has(dtype) => {
                let gpu = gpu.clone();
                Trial::test(title.clone(), move || compare(&title, operation, dtype, tolerance, &gpu))
            }
            _ => Trial::test(title, || Ok(())).with_ignored_flag(true),
        }
    });
    let mut trials: Vec<Trial> = trials.collect();
    if let Ok((gpu, _)) = &gpu {
        let gpu = gpu.clone();
        let another = gpu.clone();
        trials.push(Trial::test("what was read stays as it was", move || what_was_read_stays(&gpu)));
        trials.push(Trial::test("a student learns", move || a_student_learns(&another)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Checkpoints are read, and the next step writes in place.
fn what_was_read_stays(gpu: &Device) -> Result<(), Failed> {
    let weights = Tensor::<1>::ones([1024], gpu);
    let read = kernels::host(weights.clone());
    let changed = weights * 2.0;
    gpu.sync()?;
    let (read, changed) = (read.try_to_vec::<f32>()?, kernels::host(changed).try_to_vec::<f32>()?);
    if read != [1.0; 1024] || changed != [2.0; 1024] {
        return Err(format!("read {}, then changed to {}", read[0], changed[0]).into());
    }
    Ok(())
}

/// Gradients summed, cleaned and clipped, Adam, the average; and a pass with parameters that are views of a flat tensor.
fn a_student_learns(gpu: &Device) -> Result<(), Failed> {
    let ((ours, of_ours), (theirs, of_theirs)) = (learnt(gpu)?, learnt(&Device::flex())?);
    for (a, b) in of_ours.iter().zip(&of_theirs) {
        let near = (a.norm - b.norm).abs() < 1e-5 * b.norm;
        if !near || (a.cleaned, a.clipped, &a.nan) != (b.cleaned, b.clipped, &b.nan) || b.clipped == 0 {
            return Err(format!("{a:?}, but on the CPU {b:?}").into());
        }
    }
    for ((name, ours), (other, theirs)) in ours.iter().zip(&theirs) {
        let [ours, theirs] = [ours, theirs].map(|data| data.iter::<f32>().collect::<Vec<_>>());
        let largest = theirs.iter().fold(1e-6f32, |largest, v| largest.max(v.abs()));
        let gap = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
        let tolerance = if name == "pass" { TOLERANCE } else { 1e-5 };
        if name != other || ours.len() != theirs.len() || gap > tolerance || ours.iter().any(|v| v.is_nan()) {
            return Err(format!("`{name}` is off by {gap:.1e} of its largest value").into());
        }
    }
    Ok(())
}

/// The state after three steps with made-up gradients, the average, and the images of a pass; what was met on the way.
fn learnt(device: &Device) -> Result<(StateDict, Vec<Sanitized>), Failed> {
    let config: NetworkConfig = serde_json::from_value(serde_json::json!({ "ddpmpp": {
        "img_resolution": 8, "img_channels": 1, "model_channels": 16, "channel_mult": [1], "num_blocks": 1,
        "attn_resolutions": [], "dropout": 0.0
    } }))?;
    let network = config.init(Seed(0).at(Phase::Sample, 0), device)?;
    let names = Names { network: "network", optimizer: "optimizer" };
    let settings = AdamSettings { betas: [0.5, 0.999], eps: 1e-8 };
    let mut student = Student::new(names, network, settings, Some(1.5));
    let mut average = Average::new("ema", student.network().clone(), Ema::default());
    let layout = Arc::clone(student.flat().layout());
    // All parameters but one in the middle have a gradient; that of one holds a NaN once.
    let gradients = |step: u64, round: u64| -> Gradients {
        let gradient = |(i, (name, place)): (usize, (&String, &Range<usize>))| {
            let draw = Seed(0).at(Phase::Sample, 10 * step + round).purpose(name);
            let mut values = draw.normals(0..1, place.len());
            if (i, step, round) == (2, 1, 1) {
                values[0] = f32::NAN;
            }
            (i != 5).then(|| (name.clone(), Tensor::from_floats(values.as_slice(), device)))
        };
        layout.names().iter().zip(layout.places().ranges()).enumerate().filter_map(gradient).collect()
    };
    let mut met = Vec::new();
    for step in 0..3 {
        let first = GradientSum::of(&layout, gradients(step, 0)).with(gradients(step, 1));
        let unread = student.learn(first.and(GradientSum::of(&layout, gradients(step, 2))), 1e-3, &Alone);
        average.follow(student.flat(), 1000 * step, 64);
        let numbers: Vec<f64> = kernels::host(unread.numbers()).iter::<f64>().collect();
        met.push(unread.sanitized(&mut numbers.into_iter()));
    }
    let (noisy, sigma) = (normals("noisy", [2, 1, 8, 8], device), Tensor::ones([2, 1, 1, 1], device));
    let pass = student.network().denoise(noisy, sigma, &Condition::default(), Dropout::Off).images;
    let mut state = join(student.state().into_iter().chain([average.state()]), 0);
    state.insert("pass".to_owned(), kernels::host(pass));
    Ok((state, met))
}

/// What `SIDA_DEVICE` names; else the first device of any kind.
fn chosen() -> sida::Result<(Device, String)> {
    match std::env::var("SIDA_DEVICE") {
        Ok(asked) => device::choose(&asked),
        Err(_) => device::choose("cuda:0").or_else(|_| device::choose("wgpu:0")),
    }
}

fn compare(
    title: &str,
    operation: Operation,
    dtype: DType,
    tolerance: f32,
    gpu: &Device,
) -> Result<(), Failed> {
    // The CPU computes in f32 with what a half keeps of the operands.
    let ours = results(operation, [dtype, dtype], gpu);
    let theirs = results(operation, [dtype, DType::F32], &Device::flex());
    for ((what, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
        let largest = theirs.iter().fold(1e-6f32, |largest, v| largest.max(v.abs()));
        let gap = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
        println!("{title}, {what}: {gap:.1e}");
        // The largest of gaps does not see NaN.
        if ours.len() != theirs.len() || gap > tolerance || ours.iter().any(|v| v.is_nan()) {
            return Err(format!("{title}: {what} is off by {gap:.1e} of its largest value").into());
        }
    }
    Ok(())
}

/// Output, and the gradients of its product with fixed numbers to x and to w, where the operation has parameters.
/// Operands are rounded to the first type and computed with in the second.
fn results(
    operation: Operation,
    [rounded, computed]: [DType; 2],
    device: &Device,
) -> Vec<(&'static str, Vec<f32>)> {
    let device = device.clone().autodiff();
    let operand = |what: &str, dims: [usize; 4]| {
        let exact = normals(what, dims, &device).cast(rounded).cast(DType::F32);
        Tensor::from_data(exact.into_data(), &device).require_grad()
    };
    let (x, w) = (operand("x", [2, 16, 16, 24]), operand("w", [24, 24, 3, 3]));
    let y = operation(x.clone().cast(computed), w.clone().cast(computed)).cast(DType::F32);
    let pull = normals("pull", y.dims(), &device).cast(rounded).cast(DType::F32);
    let gradients = (y.clone() * pull).sum().backward();
    let host = |t: Tensor<4>| t.into_data().convert::<f32>().try_to_vec().expect("f32 after conversion");
    let mut results = vec![("output", host(y.inner()))];
    results.push(("gradient to x", host(x.grad(&gradients).expect("x is an operand of all"))));
    results.extend(w.grad(&gradients).map(|gradient| ("gradient to w", host(gradient))));
    results
}

fn normals(what: &str, dims: [usize; 4], device: &Device) -> Tensor<4> {
    let values = Seed(0).at(Phase::Sample, 0).purpose(what).normals(0..1, dims.iter().product());
    Tensor::from_data(TensorData::new(values, dims), device)
}
