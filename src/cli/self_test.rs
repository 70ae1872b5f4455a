//! Whether a device computes right: a convolution and its gradients against the CPU's reference.

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    kernels::{self, meaning},
    seed::{Phase, Seed},
};

/// The largest error of a convolution and its gradients against the CPU's reference, relative to the largest
/// value; and the speed.
pub(super) fn run(device: &Device) -> (f64, f64) {
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
        let (error, speed) = run(&Device::flex());
        assert!(error < 1e-4 && speed > 0.0, "{error} {speed}");
        assert!(worst(0.0, f64::NAN).is_nan());
    }
}
