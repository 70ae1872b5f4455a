//! The operations of networks on a GPU against the CPU, values and gradients. Needs `--features cuda` or
//! `wgpu`, and a GPU or Mesa's lavapipe, which stands in for one; says so and skips itself elsewhere.
//!
//! In f32 they agree closely; where TF32 is allowed, to which Burn's convolutions and products round on tensor cores, to its
//! ten bits; in f16 and bf16, where the device has them, to their eleven and eight. What each operation misses by is printed.
//! Without a GPU, too, no operation may be missing here.

#[path = "gpu/complete.rs"]
mod complete;
#[path = "gpu/draws.rs"]
mod draws;
#[path = "gpu/graph.rs"]
mod graph;
#[path = "gpu/operations.rs"]
mod operations;
#[path = "gpu/recompute.rs"]
mod recompute;
#[path = "gpu/sampler.rs"]
mod sampler;
#[path = "gpu/student.rs"]
mod student;
#[path = "gpu/upload.rs"]
mod upload;

use burn::tensor::{DType, Device, Tensor, TensorData};
use libtest_mimic::{Arguments, Failed, Trial};
use sida::{
    cli::device,
    kernels,
    seed::{Phase, Seed},
};

use operations::{Operation, PRODUCTS, ROWS};

/// Of the largest value.
const TOLERANCE: f32 = 5e-3;

/// Types of activations and weights, whether f32 may be rounded to TF32, and how far results may be apart.
const TYPES: [(DType, bool, f32); 4] = [
    (DType::F32, false, 2e-5),
    (DType::F32, true, TOLERANCE),
    (DType::F16, false, 1e-2),
    (DType::BF16, false, 5e-2),
];

/// Shapes of x: of whole vectors and cubes, and with a rest of everything.
const SHAPE: [usize; 4] = [2, 16, 16, 24];
const ODD: [usize; 4] = [2, 5, 7, 15];

/// What is tried on a GPU.
type Test = fn(&Device) -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let gpu = chosen();
    match &gpu {
        Ok((_, name)) => println!("on {name}"),
        Err(why) => println!("skipped: {why}"),
    }
    let has = |dtype| gpu.as_ref().is_ok_and(|(gpu, _)| gpu.supports_dtype(dtype));
    let shaped =
        |shape: [usize; 4]| move |(name, operation): (&'static str, Operation)| (name, operation, shape);
    let operations: Vec<_> = PRODUCTS
        .map(shaped(SHAPE))
        .into_iter()
        .chain(ROWS.map(shaped(SHAPE)))
        .chain(ROWS.map(shaped(ODD)))
        .collect();
    let trials =
        TYPES.into_iter().flat_map(|of_type| operations.iter().map(move |operation| (of_type, *operation)));
    let trials = trials.map(|((dtype, tf32, tolerance), (name, operation, shape))| {
        let (odd, tf32_said) = (if shape == ODD { ", odd" } else { "" }, if tf32 { " as TF32" } else { "" });
        let title = format!("{name}{odd} {dtype:?}{tf32_said}");
        match &gpu {
            Ok((gpu, _)) if has(dtype) => {
                let gpu = gpu.clone();
                Trial::test(title.clone(), move || {
                    kernels::allow_tf32(tf32);
                    compare(&title, (operation, shape), dtype, tolerance, &gpu)
                })
            }
            _ => Trial::test(title, || Ok(())).with_ignored_flag(true),
        }
    });
    let mut trials: Vec<Trial> = trials.collect();
    let others: [(&str, Test); 11] = [
        ("what was read stays as it was", what_was_read_stays),
        ("the largest tensor", a_tensor_has_a_limit),
        ("uploads", upload::bytes_and_classes),
        ("what is recorded is replayed with other inputs", graph::replayed),
        ("values settle in the memory of others", graph::settled),
        ("a block that is run again", recompute::is_bit_for_bit),
        ("a student learns", student::learns),
        ("a sampler at home on the host", sampler::at_home_on_the_host),
        ("draws", draws::numbers),
        ("noise levels", draws::levels),
        ("augmentation", draws::augmentation),
    ];
    for (title, test) in others {
        trials.push(match &gpu {
            Ok((gpu, _)) => {
                let gpu = gpu.clone();
                Trial::test(title, move || test(&gpu))
            }
            Err(_) => Trial::test(title, || Ok(())).with_ignored_flag(true),
        });
    }
    trials.push(Trial::test("every operation is compared", complete::every_operation));
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

/// No GPU takes less than WebGPU promises.
fn a_tensor_has_a_limit(gpu: &Device) -> Result<(), Failed> {
    let limits = [gpu, &Device::flex()].map(kernels::largest_tensor);
    println!("the largest tensor: {limits:?}");
    match limits {
        [Some(bytes), None] if bytes >= 128 << 20 => Ok(()),
        _ => Err(format!("{limits:?}").into()),
    }
}

/// What `SIDA_DEVICE` names, which has to be there; else the first device of any kind.
fn chosen() -> sida::Result<(Device, String)> {
    match std::env::var("SIDA_DEVICE") {
        Ok(asked) => Ok(device::choose(&asked).unwrap_or_else(|error| panic!("SIDA_DEVICE: {error}"))),
        Err(_) => device::choose("cuda:0").or_else(|_| device::choose("wgpu:0")),
    }
}

fn compare(
    title: &str,
    operation: (Operation, [usize; 4]),
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
    (operation, shape): (Operation, [usize; 4]),
    [rounded, computed]: [DType; 2],
    device: &Device,
) -> Vec<(&'static str, Vec<f32>)> {
    let device = device.clone().autodiff();
    let operand = |what: &str, dims: [usize; 4]| {
        let exact = normals(what, dims, &device).cast(rounded).cast(DType::F32);
        Tensor::from_data(exact.into_data(), &device).require_grad()
    };
    let c = shape[3];
    let (x, w) = (operand("x", shape), operand("w", [c, c, 3, 3]));
    let y = operation(x.clone().cast(computed), w.clone().cast(computed)).cast(DType::F32);
    let pull = normals("pull", y.dims(), &device).cast(rounded).cast(DType::F32);
    let gradients = kernels::backward(&(y.clone() * pull).sum());
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
