//! The device under test, tensors to and from it, and how far numbers may be apart.

use std::sync::OnceLock;

use burn_backend::{Backend, DType, TensorData, ops::FloatTensorOps};
use burn_cubecl::{CubeBackend, CubeDevice, kernel::cast, ops::into_data_sync, tensor::CubeTensor};

/// The device, or `None` with a line that says so.
pub(crate) fn device() -> Option<CubeDevice> {
    static DEVICE: OnceLock<Option<CubeDevice>> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let found = std::panic::catch_unwind(CubeDevice::enumerate_all).unwrap_or_default();
            let asked = std::env::var("SIDA_DEVICE");
            let wanted = asked.clone().unwrap_or_default();
            let kind = wanted.split(':').next().unwrap_or_default();
            let named = |device: &CubeDevice| format!("{device:?}").to_lowercase().starts_with(kind);
            let device = found.into_iter().find(named);
            assert!(asked.is_err() || device.is_some(), "SIDA_DEVICE: there is no `{wanted}`");
            match &device {
                Some(device) => println!("on {device:?}"),
                None => println!("skipped: no GPU and no driver that stands in for one was found"),
            }
            device
        })
        .clone()
}

/// Values of about -1 to 1 that repeat nowhere soon.
pub(crate) fn values(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f32::from((state >> 16) as u16) / 32768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// These values on the device, in this type.
pub(crate) fn tensor(values: &[f32], shape: &[usize], dtype: DType, device: &CubeDevice) -> CubeTensor {
    let data = TensorData::new(values.to_vec(), shape.to_vec());
    cast(CubeBackend::float_from_data(data, device), dtype)
}

/// The values, back on the host.
pub(crate) fn host(tensor: CubeTensor) -> Vec<f32> {
    into_data_sync(cast(tensor, DType::F32)).try_to_vec().expect("f32 after the cast")
}

/// The types that the device computes in, and what their rounding allows, of the largest value.
pub(crate) fn types(device: &CubeDevice) -> Vec<(DType, f32)> {
    [(DType::F32, 2e-6), (DType::F16, 2e-3), (DType::BF16, 1.6e-2)]
        .into_iter()
        .filter(|(dtype, _)| CubeBackend::supports_dtype(device, *dtype))
        .collect()
}

/// The same for convolutions and products, and whether f32 is rounded to TF32, which has as many bits as f16: where the
/// device has tensor cores, both.
pub(crate) fn types_of_products(device: &CubeDevice) -> Vec<(DType, f32, bool)> {
    let probe = tensor(&[0.0], &[1], DType::F32, device);
    let tensor_cores = !probe.client.properties().features.matmul.cmma.is_empty();
    let rounded = tensor_cores.then_some((DType::F32, 2e-3, true));
    types(device).into_iter().map(|(dtype, tolerance)| (dtype, tolerance, false)).chain(rounded).collect()
}

/// Panics where values are further apart than `tolerance`, of the largest.
pub(crate) fn close(what: &str, found: &[f32], truth: &[f32], tolerance: f32) {
    assert_eq!(found.len(), truth.len(), "{what}");
    let largest = truth.iter().fold(1e-6f32, |largest, v| largest.max(v.abs()));
    let gap = found.iter().zip(truth).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
    println!("{what}: off by {gap:.1e} of the largest");
    // The largest of gaps does not see NaN.
    assert!(gap <= tolerance && found.iter().all(|v| !v.is_nan()), "{what}: off by {gap:.1e}");
}

/// What a type keeps of a value: what the device sees of an input.
pub(crate) fn rounded(values: &[f32], dtype: DType) -> Vec<f32> {
    match dtype {
        DType::F16 => values.iter().map(|v| half::f16::from_f32(*v).to_f32()).collect(),
        DType::BF16 => values.iter().map(|v| half::bf16::from_f32(*v).to_f32()).collect(),
        _ => values.to_vec(),
    }
}
