//! `sida doctor`: what this machine has, and whether it computes right.

use std::{env, fs, path::Path, time::Instant};

use burn::tensor::{Device, Tensor, TensorData};

use super::device;
use crate::{
    BURN_VERSION, Error, Result,
    kernels::{self, meaning},
    seed::{Phase, Seed},
};

/// Prints what was found; asking for a device that is not there is an error, and so is a wrong result.
pub(super) fn doctor(asked: &str) -> Result<()> {
    let cuda = if cfg!(feature = "cuda") { "built in" } else { "not built in (`--features cuda`)" };
    line("sida", &format!("{} on Burn {BURN_VERSION}", env!("CARGO_PKG_VERSION")));
    line("system", &format!("{} {}", env::consts::OS, env::consts::ARCH));
    line("memory", &memory());
    line("CPU", &device::choose("cpu")?.1);
    line("CUDA", cuda);
    for advice in cuda_advice() {
        line("", &advice);
    }
    for (_, name) in device::gpus() {
        line("GPU", &name);
    }
    let (device, name) = device::choose(asked)?;
    line("device", &format!("`{asked}` means {name}"));
    let (error, speed) = self_test(&device);
    line(
        "self-test",
        &format!("largest error {error:.1e}, {speed:.1} GFLOP/s in a 3x3 convolution with gradients"),
    );
    // NaN must fail as well; an accelerator may round its inputs to ten bits.
    if error < 5e-3 {
        say!("all is well");
        return Ok(());
    }
    Err(Error::Unusable(format!(
        "the self-test on {name} is off by {error:.1e}: this device computes wrongly"
    )))
}

fn line(what: &str, text: &str) {
    say!("{what:>10}  {text}");
}

fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gib = |field: &str| {
        let line = text.lines().find(|line| line.starts_with(field))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0 / 1024.0)
    };
    match (gib("MemTotal:"), gib("MemAvailable:")) {
        (Some(total), Some(free)) => format!("{total:.1} GiB, {free:.1} GiB available"),
        _ => "unknown".to_owned(),
    }
}

/// What a CUDA build needs at run time and does not find.
fn cuda_advice() -> Vec<String> {
    if !cfg!(feature = "cuda") {
        return Vec::new();
    }
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/aarch64-linux-gnu", "/usr/local/cuda/lib64"];
    let path = env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let anywhere = |name: &str| {
        let candidates = path.split(':').filter(|p| !p.is_empty()).chain(folders);
        candidates.filter_map(|folder| fs::read_dir(folder).ok()).any(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(name))
        })
    };
    let toolkit = env::var("CUDA_PATH").unwrap_or_else(|_| "/usr/local/cuda".to_owned());
    let header = Path::new(&toolkit).join("include/cuda_fp16.h");
    let mut advice = Vec::new();
    if !anywhere("libcuda.so") {
        advice.push("`libcuda.so.1` was not found: install the NVIDIA driver".to_owned());
    }
    if !anywhere("libnvrtc.so") {
        advice.push(
            "`libnvrtc` was not found: install the CUDA toolkit, or add it to LD_LIBRARY_PATH".to_owned(),
        );
    }
    if !header.exists() {
        advice.push(format!("`{}` was not found: set CUDA_PATH to the toolkit", header.display()));
    }
    advice
}

/// The largest error of a convolution and its gradients against the CPU's reference, relative to the largest
/// value; and the speed.
fn self_test(device: &Device) -> (f64, f64) {
    let (n, side, c) = (8, 16, 64);
    let draw = Seed(0).at(Phase::Init, 0);
    let values = |what: &str, count: usize| draw.purpose(what).normals(0..1, count);
    let (x, w) = (values("x", n * side * side * c), values("w", c * c * 9));
    let on = |device: &Device| {
        let device = device.clone().autodiff();
        let x =
            Tensor::<4>::from_data(TensorData::new(x.clone(), [n, side, side, c]), &device).require_grad();
        let w = Tensor::<4>::from_data(TensorData::new(w.clone(), [c, c, 3, 3]), &device).require_grad();
        (x, w)
    };
    let results = |conv: &dyn Fn(Tensor<4>, Tensor<4>) -> Tensor<4>, (x, w): (Tensor<4>, Tensor<4>)| {
        let y = conv(x.clone(), w.clone());
        let mut tape = y.clone().square().sum().backward();
        let gradient = |t: &Tensor<4>, tape: &mut _| t.grad_remove(tape).expect("a gradient").into_data();
        [y.inner().into_data(), gradient(&x, &mut tape), gradient(&w, &mut tape)]
    };
    let truth = results(&|x, w| meaning::conv2d(x, w, None), on(&Device::flex()));
    let fast = |x, w| kernels::conv2d(x, w, None);
    let found = results(&fast, on(device));
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed().as_secs_f64() < 0.8 {
        results(&fast, on(device));
        rounds += 1;
    }
    let flops = 3.0 * 2.0 * (n * side * side * c * c * 9) as f64 * f64::from(rounds);
    let speed = flops / started.elapsed().as_secs_f64() / 1e9;
    let error = truth.iter().zip(&found).map(|(truth, found)| {
        let scale = truth.iter::<f64>().map(f64::abs).fold(0.0, f64::max);
        truth.iter::<f64>().zip(found.iter::<f64>()).map(|(a, b)| (a - b).abs() / scale).fold(0.0, worst)
    });
    (error.fold(0.0, worst), speed)
}

/// The larger of two, where NaN is the largest.
fn worst(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_passes_its_own_test_and_nan_does_not() {
        let (error, speed) = self_test(&Device::flex());
        assert!(error < 1e-4 && speed > 0.0, "{error} {speed}");
        assert!(worst(0.0, f64::NAN).is_nan());
    }
}
