//! Sums over rows.

use sida_gpu_kernels::column_sums::column_sums;

use super::support::{close, device, host, rounded, tensor, types, values};

#[test]
fn sums_over_rows() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        // One row; fewer rows than units; a second launch; slices that end early; rows of odd length.
        for [rows, k] in [[1, 8], [5, 3], [1024, 96], [1025, 130], [5000, 24], [4097, 1]] {
            let x: Vec<f32> = values(1, rows * k).iter().map(|v| v + 0.5).collect();
            let x = rounded(&x, dtype);
            let mut truth = vec![0.0; k];
            sida_cpu_kernels::dense::column_sums(&x, k, &mut truth);
            let found = host(column_sums(tensor(&x, &[rows, k], dtype, &device)));
            close(&format!("sums of {rows} rows of {k}, {dtype:?}"), &found, &truth, tolerance);
        }
        let x = rounded(&values(2, 2 * 3 * 5 * 8), dtype);
        let mut truth = vec![0.0; 8];
        sida_cpu_kernels::dense::column_sums(&x, 8, &mut truth);
        let found = host(column_sums(tensor(&x, &[2, 3, 5, 8], dtype, &device)));
        close(&format!("sums over positions, {dtype:?}"), &found, &truth, tolerance);
    }
}
