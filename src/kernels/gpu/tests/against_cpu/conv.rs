//! Convolutions and dense layers.

use burn_backend::DType;
use burn_cubecl::{
    kernel::into_contiguous,
    ops::{permute, permute_nchw_to_nhwc},
    tensor::CubeTensor,
};
use sida_cpu_kernels::{
    dense as sums,
    im2col::{self as cpu, AnyConvolution},
};
use sida_gpu_kernels::{
    conv::{self as gpu, Windows},
    dense, tf32,
};

use super::support::{close, device, host, rounded, tensor, types_of_products, values};

/// x, outputs, kernel, stride, padding.
type Case = ([usize; 4], usize, [usize; 2], usize, [usize; 2]);

const CASES: [Case; 17] = [
    ([2, 7, 5, 24], 40, [3, 3], 1, [1, 1]),
    ([1, 16, 16, 3], 80, [3, 3], 1, [1, 1]),
    ([2, 8, 8, 70], 3, [3, 3], 1, [0, 0]),
    ([2, 9, 8, 20], 17, [3, 3], 2, [1, 1]),
    ([3, 5, 5, 33], 66, [1, 1], 1, [0, 0]),
    ([1, 9, 9, 6], 5, [1, 7], 1, [0, 3]),
    ([1, 8, 8, 6], 5, [1, 1], 2, [0, 0]),
    ([3, 32, 33, 5], 7, [3, 3], 1, [1, 1]),
    ([70, 1, 1, 19], 30, [1, 1], 1, [0, 0]),
    ([2, 1, 1, 10], 16, [1, 1], 1, [0, 0]),
    ([2, 4, 4, 16], 32, [3, 3], 1, [1, 1]),
    ([2, 4, 4, 32], 16, [3, 3], 1, [1, 1]),
    ([4, 8, 8, 32], 64, [3, 3], 1, [1, 1]),
    ([2, 1, 1, 9], 32, [1, 1], 1, [0, 0]),
    ([3, 32, 33, 8], 12, [3, 3], 1, [1, 1]),
    ([2, 9, 8, 20], 68, [3, 3], 2, [1, 1]),
    ([1, 12, 12, 68], 132, [3, 3], 1, [1, 1]),
];

/// The same weight `[k, c, kh, kw]` as networks keep it: its channels lie last.
fn channels_last(weight: CubeTensor) -> CubeTensor {
    permute(into_contiguous(permute_nchw_to_nhwc(weight)), &[0, 3, 1, 2])
}

#[test]
fn convolutions_and_their_gradients() {
    let Some(device) = device() else { return };
    for (dtype, tolerance, rounds) in types_of_products(&device) {
        tf32::allow(rounds);
        // Halves go the ways of f32: every second of the cases shows them.
        let every = if dtype == DType::F32 { 1 } else { 2 };
        for (x_dims @ [n, h, w, c], k, kernel @ [kh, kw], stride, padding) in CASES.into_iter().step_by(every)
        {
            let what = format!("{x_dims:?} to {k}, {kernel:?} by {stride}, {dtype:?}, TF32 {rounds}");
            let out = [h + 2 * padding[0] - kh, w + 2 * padding[1] - kw].map(|span| span / stride + 1);
            let e = AnyConvolution { x: x_dims, out, k, kernel, stride, padding };
            let windows = Windows { stride, padding };
            let [x, weight, bias, dy] = [n * h * w * c, k * c * kh * kw, k, n * out[0] * out[1] * k]
                .map(|len| rounded(&values(len as u32, len), dtype));
            let on = |values: &[f32], shape: &[usize]| tensor(values, shape, dtype, &device);
            let gpu_x = || on(&x, &x_dims);
            let gpu_weight = || on(&weight, &[k, c, kh, kw]);
            let gpu_dy = || on(&dy, &[n, out[0], out[1], k]);

            let mut truth = vec![0.0; dy.len()];
            cpu::forward(e, &x, &weight, Some(&bias), &mut truth);
            for weight in [gpu_weight(), channels_last(gpu_weight())] {
                let found = gpu::forward(gpu_x(), weight, Some(on(&bias, &[k])), windows);
                close(&what, &host(found), &truth, tolerance);
            }
            cpu::forward(e, &x, &weight, None, &mut truth);
            close(&what, &host(gpu::forward(gpu_x(), gpu_weight(), None, windows)), &truth, tolerance);

            let mut truth = vec![0.0; x.len()];
            cpu::input_gradient(e, &dy, &weight, &mut truth);
            for weight in [gpu_weight(), channels_last(gpu_weight())] {
                let found = gpu::input_gradient(gpu_dy(), weight, x_dims, windows);
                close(&format!("{what}, gradient to x"), &host(found), &truth, tolerance);
            }

            let mut truth = vec![0.0; weight.len()];
            cpu::weight_gradient(e, &x, &dy, &mut truth);
            let [found, to_bias] = gpu::weight_gradient(gpu_x(), gpu_dy(), kernel, windows);
            close(&format!("{what}, gradient to the weight"), &host(found), &truth, tolerance);
            let mut truth = vec![0.0; k];
            sums::column_sums(&dy, k, &mut truth);
            close(&format!("{what}, gradient to the bias"), &host(to_bias), &truth, tolerance);
        }
    }
}

#[test]
fn dense_layers_and_their_gradients() {
    let Some(device) = device() else { return };
    let [m, c, k] = [37, 19, 70];
    for (dtype, tolerance, rounds) in types_of_products(&device) {
        tf32::allow(rounds);
        let [x, weight, bias, dy] =
            [m * c, k * c, k, m * k].map(|len| rounded(&values(len as u32, len), dtype));
        let on = |values: &[f32], shape: &[usize]| tensor(values, shape, dtype, &device);
        let (gpu_x, gpu_weight, gpu_dy) = (on(&x, &[m, c]), on(&weight, &[k, c]), on(&dy, &[m, k]));

        let mut truth = vec![0.0; m * k];
        sida_cpu_kernels::dense::forward([m, c, k], &x, &weight, Some(&bias), &mut truth);
        let found = host(dense::forward(gpu_x.clone(), gpu_weight.clone(), Some(on(&bias, &[k]))));
        close(&format!("dense, {dtype:?}"), &found, &truth, tolerance);

        let mut truth = vec![0.0; m * c];
        sida_cpu_kernels::dense::input_gradient([m, c, k], &dy, &weight, &mut truth);
        let found = host(dense::input_gradient(gpu_dy.clone(), gpu_weight));
        close(&format!("dense, gradient to x, {dtype:?}"), &found, &truth, tolerance);

        let mut truth = vec![0.0; k * c];
        sida_cpu_kernels::dense::weight_gradient([m, c, k], &x, &dy, &mut truth);
        let [found, to_bias] = dense::weight_gradient(gpu_x, gpu_dy).map(host);
        close(&format!("dense, gradient to the weight, {dtype:?}"), &found, &truth, tolerance);
        let mut truth = vec![0.0; k];
        sums::column_sums(&dy, k, &mut truth);
        close(&format!("dense, gradient to the bias, {dtype:?}"), &to_bias, &truth, tolerance);
    }
}

/// As few rows as the largest networks have in a micro-batch, and as few channels as images have.
#[test]
fn small_products() {
    let Some(device) = device() else { return };
    for (dtype, tolerance, rounds) in types_of_products(&device) {
        tf32::allow(rounds);
        for m in [2, 17] {
            for (c, k) in [(1, 16), (3, 5), (10, 16), (16, 1), (64, 3)] {
                let what = format!("{m} rows, {c} to {k}, {dtype:?}, TF32 {rounds}");
                let [x, w, dy] = [m * c, k * c, m * k].map(|len| rounded(&values(len as u32, len), dtype));
                let on = |values: &[f32], shape: &[usize]| tensor(values, shape, dtype, &device);
                let [gpu_x, gpu_w, gpu_dy] = [on(&x, &[m, c]), on(&w, &[k, c]), on(&dy, &[m, k])];
                let mut truth = vec![0.0; m * k];
                sida_cpu_kernels::dense::forward([m, c, k], &x, &w, None, &mut truth);
                close(&what, &host(dense::forward(gpu_x.clone(), gpu_w.clone(), None)), &truth, tolerance);
                let mut truth = vec![0.0; m * c];
                sida_cpu_kernels::dense::input_gradient([m, c, k], &dy, &w, &mut truth);
                let found = host(dense::input_gradient(gpu_dy.clone(), gpu_w));
                close(&format!("{what}, gradient to x"), &found, &truth, tolerance);
                let mut truth = vec![0.0; k * c];
                sida_cpu_kernels::dense::weight_gradient([m, c, k], &x, &dy, &mut truth);
                let [found, to_bias] = dense::weight_gradient(gpu_x, gpu_dy).map(host);
                close(&format!("{what}, gradient to the weight"), &found, &truth, tolerance);
                let mut truth = vec![0.0; k];
                sums::column_sums(&dy, k, &mut truth);
                close(&format!("{what}, gradient to the bias"), &to_bias, &truth, tolerance);
            }
        }
    }
}
