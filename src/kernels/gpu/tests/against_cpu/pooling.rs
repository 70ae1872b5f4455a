//! Pools of three by three pixels.

use sida_cpu_kernels::pooling::{self as cpu, Pooling};
use sida_gpu_kernels::pooling::{Pool, pool};

use super::support::{close, device, host, rounded, tensor, types, values};

#[test]
fn pools() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        for (kind, stride, padding) in
            [(Pool::Max, 2, 0), (Pool::Max, 2, 1), (Pool::Max, 1, 1), (Pool::Average, 1, 1)]
        {
            for shape @ [n, h, w, c] in [[2, 7, 9, 8], [1, 5, 4, 3]] {
                let out = [h, w].map(|len| (len + 2 * padding - 3) / stride + 1);
                // Below zero, where padding would be the largest.
                let x: Vec<f32> = values(1, n * h * w * c).iter().map(|v| v - 2.0).collect();
                let x = rounded(&x, dtype);
                let mut truth = vec![0.0; n * out[0] * out[1] * c];
                let e = Pooling { x: shape, out, stride, padding };
                match kind {
                    Pool::Max => cpu::max(e, &x, &mut truth),
                    Pool::Average => cpu::average(e, &x, &mut truth),
                }
                let found = pool(kind, tensor(&x, &shape, dtype, &device), stride, padding);
                let what = format!("{kind:?} pool {shape:?} {dtype:?} by {stride}, padding {padding}");
                close(&what, &host(found), &truth, tolerance);
            }
        }
    }
}
