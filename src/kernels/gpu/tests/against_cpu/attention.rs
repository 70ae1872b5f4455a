//! Self-attention.

use sida_cpu_kernels::attention::{self as cpu, SelfAttention as OnCpu};
use sida_gpu_kernels::attention::{self as gpu, SelfAttention};

use super::support::{close, device, host, rounded, tensor, types, values};

#[test]
fn attention_and_its_gradient() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        for normalize_eps in [None, Some(1e-4)] {
            for (n, [h, w], heads, d) in
                [(2, [4, 4], 2, 8), (1, [9, 11], 3, 20), (1, [8, 8], 1, 150), (1, [1, 1], 1, 64)]
            {
                let (hw, c) = (h * w, heads * d);
                let e = SelfAttention { n, hw, heads, d, normalize_eps };
                let on_cpu = OnCpu { n, hw, heads, d, normalize_eps };
                let qkv = rounded(&values(1, n * hw * 3 * c), dtype);
                let dy = rounded(&values(2, n * hw * c), dtype);
                let what =
                    format!("{heads} heads of {d}, {hw} positions, normalised {normalize_eps:?}, {dtype:?}");

                let (mut truth, mut log_sums) = (vec![0.0; n * hw * c], vec![0.0; n * heads * hw]);
                cpu::forward(on_cpu, &qkv, &mut truth, &mut log_sums);
                let on_gpu = tensor(&qkv, &[n, h, w, 3 * c], dtype, &device);
                let (y, kept) = gpu::forward(e, on_gpu, [n, h, w, c]);
                close(&what, &host(y), &truth, tolerance);

                let mut truth = vec![0.0; qkv.len()];
                cpu::backward(on_cpu, &qkv, &log_sums, &dy, &mut truth);
                let dy = tensor(&dy, &[n, h, w, c], dtype, &device);
                let found = host(gpu::backward(e, kept, dy, [n, h, w, 3 * c]));
                close(&format!("gradient, {what}"), &found, &truth, tolerance);
            }
        }
    }
}
