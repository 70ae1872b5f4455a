//! Pixel norm.

use sida_gpu_kernels::pixel_norm as gpu;

use super::support::{close, device, host, rounded, tensor, types, values};

#[test]
fn pixel_norm_and_its_gradient() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        for shape @ [n, h, w, c] in [[2, 3, 5, 24], [1, 16, 16, 96], [1, 1, 1, 3]] {
            let x = rounded(&values(1, n * h * w * c), dtype);
            let mut truth = vec![0.0; x.len()];
            sida_cpu_kernels::edm2::pixel_norm(c, 1e-4, &x, &mut truth);
            let found = host(gpu::pixel_norm(tensor(&x, &shape, dtype, &device), 1e-4));
            close(&format!("pixel norm {shape:?} {dtype:?}"), &found, &truth, tolerance);

            let dy = rounded(&values(2, n * h * w * c), dtype);
            sida_cpu_kernels::edm2::pixel_norm_gradient(c, 1e-4, &x, &dy, &mut truth);
            let [x, dy] = [&x, &dy].map(|values| tensor(values, &shape, dtype, &device));
            let found = host(gpu::pixel_norm_gradient(x, 1e-4, dy));
            close(&format!("its gradient {shape:?} {dtype:?}"), &found, &truth, tolerance);
        }
    }
}
