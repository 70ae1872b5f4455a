//! Magnitude-preserving SiLU, and weights that are normalised in use.

use burn_backend::DType;
use burn_cubecl::{kernel::into_contiguous, ops::permute};
use sida_cpu_kernels::{
    edm2::{self as cpu},
    normalized_rows,
};
use sida_gpu_kernels::{
    mp_silu::{mp_silu, mp_silu_gradient},
    normalized_rows::{Rows, normalize_rows, normalize_rows_gradient},
};

use super::support::{close, device, host, rounded, tensor, types, values};

#[test]
fn mp_silu_and_its_gradients() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        // Whole vectors; tails; positions in slices.
        for shape @ [n, h, w, c] in [[2, 3, 5, 24], [3, 4, 4, 6], [1, 40, 30, 3]] {
            let [x, dy] = [1, 2].map(|seed| rounded(&values(seed, n * h * w * c), dtype));
            let put = |values: &[f32]| tensor(values, &shape, dtype, &device);
            let gain: Vec<f32> = values(3, n * c).iter().map(|v| v + 1.0).collect();
            for (gain, gain_dtype) in
                [(None, dtype), (Some(gain.clone()), DType::F32), (Some(rounded(&gain, dtype)), dtype)]
            {
                let what = format!("mp_silu {shape:?} {dtype:?}, gain {gain_dtype:?} {}", gain.is_some());
                let mut truth = vec![0.0; x.len()];
                cpu::mp_silu([n, h * w, c], &x, gain.as_deref(), &mut truth);
                let put_gain = || gain.as_ref().map(|gain| tensor(gain, &[n, c], gain_dtype, &device));
                close(&what, &host(mp_silu(put(&x), put_gain())), &truth, tolerance);

                let mut to_gain = vec![0.0; n * c];
                cpu::mp_silu_gradient([n, h * w, c], &x, gain.as_deref(), &dy, &mut truth, &mut to_gain);
                let (dx, dgain) = mp_silu_gradient(put(&x), put_gain(), put(&dy));
                close(&format!("gradient of {what}"), &host(dx), &truth, tolerance);
                assert_eq!(dgain.is_some(), gain.is_some());
                if let Some(dgain) = dgain {
                    assert_eq!(dgain.dtype, gain_dtype);
                    close(&format!("its gain's, {what}"), &host(dgain), &to_gain, tolerance);
                }
            }
        }
    }
}

#[test]
fn normalized_rows_and_their_gradients() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        // Rows shorter and longer than a cube is wide; a tail; the last cube not full.
        for [k, c] in [[5, 3], [24, 8], [3, 300], [40, 1]] {
            let (shape, len) = ([k, c, 3, 3], c * 9);
            let [mut w, dy] = [1, 2].map(|seed| rounded(&values(seed, k * len), dtype));
            w[..len].fill(0.0);
            for gain in [None, Some(0.7)] {
                let cpu_rows = normalized_rows::Rows { count: k, eps: 1e-4, factor: 0.3 };
                let (rows, value) = (Rows { eps: 1e-4, factor: 0.3 }, gain.unwrap_or(1.0));
                let [mut truth, mut dw_truth] = [0, 1].map(|_| vec![0.0; w.len()]);
                normalized_rows::normalize(cpu_rows, value, &w, &mut truth);
                let to_gain = normalized_rows::gradient(cpu_rows, value, &w, &dy, &mut dw_truth);
                let gain = || gain.map(|gain| tensor(&[gain], &[1], DType::F32, &device));
                let put = |values: &[f32]| tensor(values, &shape, dtype, &device);
                // Channels last in memory, and the same to look at.
                let last = |values: &[f32]| {
                    let order = |i: usize| (i / len, i % len / (3 * c), i / c % 3, i % c);
                    let moved: Vec<f32> = (0..values.len())
                        .map(|i| {
                            let (row, y, x, channel) = order(i);
                            values[row * len + channel * 9 + y * 3 + x]
                        })
                        .collect();
                    permute(into_contiguous(tensor(&moved, &[k, 3, 3, c], dtype, &device)), &[0, 3, 1, 2])
                };
                // Some devices pad rows when they are put there.
                let put = |values: &[f32]| into_contiguous(put(values));
                for (layout, w, dy) in [
                    ("channels first", put(&w), put(&dy)),
                    ("channels last", last(&w), last(&dy)),
                    ("both", last(&w), put(&dy)),
                ] {
                    let what = format!("rows {shape:?} {dtype:?} {layout}");
                    let y = normalize_rows(w.clone(), rows, gain());
                    if c > 1 {
                        assert_eq!(y.meta.strides(), w.meta.strides(), "in the layout that it came in");
                    }
                    close(&what, &host(y), &truth, tolerance);
                    let (dw, dgain) = normalize_rows_gradient(w, rows, gain(), dy);
                    // Apart: the row of zeros has by far the largest gradient.
                    let dw = host(dw);
                    close(&format!("gradient of zeros, {what}"), &dw[..len], &dw_truth[..len], tolerance);
                    close(&format!("gradient of {what}"), &dw[len..], &dw_truth[len..], tolerance);
                    // A sum of terms of either sign, of which less is left.
                    if let Some(dgain) = dgain {
                        close(&format!("gain of {what}"), &host(dgain), &[to_gain], tolerance * 10.0);
                    }
                }
            }
        }
    }
}
