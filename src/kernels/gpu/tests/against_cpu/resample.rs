//! Halving and doubling the resolution.

use sida_cpu_kernels::resample::Resampling;
use sida_gpu_kernels::resample::{self as gpu, Filter};

use super::support::{close, device, host, rounded, tensor, types, values};

#[test]
fn resampling_both_ways() {
    let Some(device) = device() else { return };
    let filters: [&[f32]; 4] =
        [&[0.5, 0.5], &[0.125, 0.375, 0.375, 0.125], &[0.25, 0.5, 0.25], &[0.1, 0.2, 0.4, 0.2, 0.1]];
    for (dtype, tolerance) in types(&device) {
        for taps in filters {
            for [n, h, w, c] in [[2, 8, 6, 5], [1, 2, 2, 1], [1, 5, 9, 24]] {
                let padding = (taps.len() - 1) / 2;
                let small = [h, w].map(|len| (len + 2 * padding - taps.len()) / 2 + 1);
                let cpu = Resampling { n, large: [h, w], small, c, taps, padding };
                let filter = Filter { taps, padding, gain: 4.0 };
                let what = format!("[{n}, {h}, {w}, {c}], {} taps, {dtype:?}", taps.len());
                let (from, len) = (rounded(&values(1, n * h * w * c), dtype), n * small[0] * small[1] * c);
                let mut truth = vec![0.0; len];
                cpu.down(&from, 4.0, &mut truth);
                let found = gpu::down(tensor(&from, &[n, h, w, c], dtype, &device), filter, small);
                close(&format!("down {what}"), &host(found), &truth, tolerance);

                let from = rounded(&values(2, len), dtype);
                let mut truth = vec![0.0; n * h * w * c];
                cpu.up(&from, 4.0, &mut truth);
                let shape = [n, small[0], small[1], c];
                let found = gpu::up(tensor(&from, &shape, dtype, &device), filter, [h, w]);
                close(&format!("up {what}"), &host(found), &truth, tolerance);
            }
        }
    }
}
