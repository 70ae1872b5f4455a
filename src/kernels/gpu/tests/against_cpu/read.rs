//! What is read are the values of the moment when it was asked for.

use burn_backend::DType;
use sida_gpu_kernels::{adam::lerp, read::Reading};

use super::support::{device, host, tensor};

#[test]
fn values_are_read_before_others_are_written_in_their_place() {
    let Some(device) = device() else { return };
    let of = |value: f32| tensor(&[value; 1000], &[1000], DType::F32, &device);
    let x = of(1.0);
    let [first, forgotten] = [Reading::begin(x.clone()), Reading::begin(x.clone())];
    // In place: no other tensor has the memory.
    let x = lerp(x, of(5.0), 1.0);
    let second = Reading::begin(x.clone());
    let x = lerp(x, of(7.0), 1.0);
    drop(forgotten);
    let values = |reading: Reading| reading.wait().try_into_vec::<f32>().expect("f32");
    assert_eq!(values(second), [5.0; 1000]);
    assert_eq!(values(first), [1.0; 1000]);
    assert_eq!(host(x), [7.0; 1000]);
}
