//! What goes up in few bytes.

use burn_backend::DType;
use sida_gpu_kernels::upload;

use super::support::{device, host, tensor};

#[test]
fn bytes_become_numbers() {
    let Some(device) = device() else { return };
    let there = tensor(&[0.0], &[1], DType::F32, &device);
    for len in [1usize, 4, 1027] {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 37 % 256) as u8).collect();
        let truth: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte)).collect();
        assert_eq!(host(upload::bytes(&bytes, [1, len], &there)), truth);
    }
}

#[test]
fn classes_become_rows() {
    let Some(device) = device() else { return };
    let there = tensor(&[0.0], &[1], DType::F32, &device);
    let found = host(upload::one_hot(&[2, 0, 1, 2], 3, &there));
    assert_eq!(found, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
}
