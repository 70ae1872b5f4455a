//! Weighted sums, concatenation, activations.

use burn_backend::DType;
use burn_cubecl::tensor::CubeTensor;
use sida_cpu_kernels::elementwise::{self as cpu, Columns};
use sida_gpu_kernels::{
    concat::{concat, split},
    curve::{exponential, power},
    elementwise::{Activation, activation, activation_gradient, weighted_sum, weighted_sum_gradients},
};

use super::support::{close, device, host, rounded, tensor, types, values};

/// Shapes whose extents vectors divide, and do not.
const SHAPES: [[usize; 4]; 3] = [[2, 3, 5, 24], [1, 16, 16, 6], [1, 1, 1, 3]];

fn input(seed: u32, shape: [usize; 4], dtype: DType) -> Vec<f32> {
    rounded(&values(seed, shape.iter().product()), dtype)
}

#[test]
fn weighted_sums_and_their_gradients() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        for shape in SHAPES {
            let put = |values: &[f32]| tensor(values, &shape, dtype, &device);
            let [mut a, mut b, dy] = [1, 2, 3].map(|seed| input(seed, shape, dtype));
            // Held at either end, exactly there, and not a number.
            (a[0], b[0], a[1], b[1], a[2], b[2]) = (3.0, 3.0, -3.0, -3.0, 0.25, 0.75);
            for (weights, limit) in
                [([0.5, 0.5], Some(0.5)), ([0.5, 0.75], Some(0.6)), ([0.5, 0.75], None), ([1.0, 1.0], None)]
            {
                let what = format!("sum {shape:?} {dtype:?} by {weights:?} within {limit:?}");
                let mut sum = vec![0.0; a.len()];
                cpu::weighted_sum(&a, weights[0], &b, weights[1], &mut sum);
                let (mut truth, mut passed) = (sum.clone(), dy.clone());
                if let Some(limit) = limit {
                    cpu::hold(&sum, limit, &mut truth);
                    cpu::within(&sum, limit, &dy, &mut passed);
                }
                let (found, held) = weighted_sum(put(&a), put(&b), weights, limit);
                close(&what, &host(found), &truth, tolerance);
                let both = weighted_sum_gradients(put(&dy), held.clone(), weights, [true, true]);
                let second = weighted_sum_gradients(put(&dy), held, weights, [false, true]);
                assert!(second[0].is_none());
                let found = [both[0].clone(), both[1].clone(), second[1].clone()].map(Option::unwrap);
                for (found, weight) in found.into_iter().zip([weights[0], weights[1], weights[1]]) {
                    let truth: Vec<f32> = passed.iter().map(|v| v * weight).collect();
                    close(&format!("gradient of {what}"), &host(found), &truth, tolerance);
                }
            }
            b[0] = f32::NAN;
            let (found, held) = weighted_sum(put(&a), put(&b), [0.5, 0.5], Some(0.5));
            assert!(host(found)[0].is_nan(), "NaN stays NaN");
            let [passed, _] = weighted_sum_gradients(put(&dy), held, [1.0, 1.0], [true, false]);
            assert_eq!(host(passed.unwrap())[0], dy[0], "and was not held");
        }
    }
}

#[test]
fn concatenation_and_its_gradients() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        for [ca, cb] in [[24, 8], [3, 4], [1, 64]] {
            let (rows, weights) = (30, [0.7, 1.3]);
            let shape = |c: usize| [2, 3, 5, c];
            let [a, b] = [ca, cb].map(|c| input(c as u32, shape(c), dtype));
            let wide = ca + cb;
            let sides = [
                Columns { wide, offset: 0, width: ca, weight: weights[0] },
                Columns { wide, offset: ca, width: cb, weight: weights[1] },
            ];
            let mut truth = vec![0.0; rows * wide];
            cpu::put_columns(&a, &mut truth, sides[0]);
            cpu::put_columns(&b, &mut truth, sides[1]);
            let put = |values: &[f32], c: usize| tensor(values, &shape(c), dtype, &device);
            let found = host(concat(put(&a, ca), put(&b, cb), weights));
            close(&format!("concatenation {ca} {cb} {dtype:?}"), &found, &truth, tolerance);

            let dy = input(9, shape(wide), dtype);
            let both = split(put(&dy, wide), [ca, cb], weights, [true, true]);
            let [none, second] = split(put(&dy, wide), [ca, cb], weights, [false, true]);
            assert!(none.is_none());
            let check = |found: Option<CubeTensor>, i: usize| {
                let mut truth = vec![0.0; rows * [ca, cb][i]];
                cpu::take_columns(&dy, &mut truth, sides[i]);
                let what = format!("gradient {i} of concatenation {ca} {cb} {dtype:?}");
                close(&what, &host(found.unwrap()), &truth, tolerance);
            };
            let [first, other] = both;
            check(first, 0);
            check(other, 1);
            check(second, 1);
        }
    }
}

#[test]
fn activations_and_their_gradients() {
    type Exactly = fn(f64) -> f64;
    let Some(device) = device() else { return };
    // In f64: a kernel in f32 may be off by the last place of a sigmoid times a large value.
    let cases: [(Activation, Exactly, Exactly); 2] = [
        (Activation::Silu, |z| z * sigmoid(z), |z| sigmoid(z) * (1.0 + z * (1.0 - sigmoid(z)))),
        (Activation::Relu, |z| z.max(0.0), |z| f64::from(u8::from(z > 0.0))),
    ];
    for (dtype, tolerance) in types(&device) {
        for shape in SHAPES {
            for (kind, forward, slope) in cases {
                let put = |values: &[f32]| tensor(values, &shape, dtype, &device);
                let mut x = input(1, shape, dtype).iter().map(|v| v * 8.0).collect::<Vec<f32>>();
                // Where an exponential overflows, and where ReLU bends.
                (x[0], x[1], x[2]) = (-200.0, 200.0, 0.0);
                let dy = input(2, shape, dtype);
                let truth: Vec<f32> = x.iter().map(|x| forward(f64::from(*x)) as f32).collect();
                let what = format!("{kind:?} {shape:?} {dtype:?}");
                close(&what, &host(activation(kind, put(&x))), &truth, tolerance);
                let slope = |(x, dy): (&f32, &f32)| (slope(f64::from(*x)) * f64::from(*dy)) as f32;
                let truth: Vec<f32> = x.iter().zip(&dy).map(slope).collect();
                let found = host(activation_gradient(kind, put(&x), put(&dy)));
                close(&format!("gradient of {what}"), &found, &truth, tolerance);
            }
        }
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Of everything that noise levels may be drawn from.
#[test]
fn exponentials() {
    let Some(device) = device() else { return };
    let x: Vec<f32> = (0..200_001).map(|i| (i - 100_000) as f32 * 6.7e-5).collect();
    for (slope, offset) in [(1.2, -1.2), (1.0, -0.4), (2.3, 1.7), (-11.0, 3.0), (0.0, -0.0), (1e-4, 0.3)] {
        let found = host(exponential(tensor(&x, &[x.len()], DType::F32, &device), slope, offset));
        let truth = x.iter().map(|x| (slope * f64::from(*x) + offset).exp());
        let gap = found.iter().zip(truth).map(|(found, truth)| (f64::from(*found) / truth - 1.0).abs());
        let gap = gap.fold(0.0, f64::max);
        println!("exp({slope} x + {offset}): off by {gap:.1e}");
        assert!(
            gap < 5e-7 && found.iter().all(|v| v.is_finite()),
            "exp({slope} x + {offset}): off by {gap:.1e}"
        );
    }
}

#[test]
fn powers() {
    let Some(device) = device() else { return };
    let x: Vec<f32> = (0..1 << 18).map(|i| (i * 63 + i % 63) as f32 / 16_777_216.0).collect();
    for (slope, offset, exponent) in
        [(1.4586, 0.4116, 7), (0.0, 0.4116, 7), (0.7, 700.0, 2), (3.0, 0.5, 3), (1.0, 1.0, 1)]
    {
        let found = host(power(tensor(&x, &[x.len()], DType::F32, &device), slope, offset, exponent));
        let truth: Vec<f64> =
            x.iter().map(|x| (slope * f64::from(*x) + offset).powi(exponent as i32)).collect();
        let gap = found
            .iter()
            .zip(truth)
            .map(|(found, truth)| (f64::from(*found) - truth).abs() / truth.abs().max(1e-30));
        let gap = gap.fold(0.0, f64::max);
        println!("({slope} x + {offset})^{exponent}: off by {gap:.1e}");
        assert!(
            gap < 6e-7 && found.iter().all(|v| v.is_finite()),
            "({slope} x + {offset})^{exponent}: off by {gap:.1e}"
        );
    }
}
