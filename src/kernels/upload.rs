//! What the host knows and a device shall have: images as bytes, classes as numbers.

use burn::{
    backend::Flex,
    tensor::{Device, Tensor},
};

use super::{
    array::Array,
    engine::{Engine, on_device},
    tape::Operand,
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::upload as gpu};

/// Bytes as f32 from 0 to 255. To a GPU one byte goes up for each.
pub fn from_bytes<const D: usize>(bytes: &[u8], dims: [usize; D], device: &Device) -> Tensor<D> {
    placed(device, Values::Bytes(bytes), dims)
}

/// One-hot rows of classes below `count`. To a GPU one number goes up for each. `[n, count]`
pub fn one_hot(classes: &[u32], count: usize, device: &Device) -> Tensor<2> {
    assert!(classes.iter().all(|&class| (class as usize) < count), "classes are below {count}");
    placed(device, Values::Classes(classes), [classes.len(), count])
}

#[derive(Clone, Copy)]
enum Values<'a> {
    Bytes(&'a [u8]),
    Classes(&'a [u32]),
}

fn placed<const D: usize>(device: &Device, values: Values, dims: [usize; D]) -> Tensor<D> {
    on_device!(device, |there| upload(there, values, dims))
}

fn upload<E: Upload, const D: usize>(there: Operand<E>, values: Values, dims: [usize; D]) -> Tensor<D> {
    let (context, there) = there.into_parts();
    context.constant::<E, D>(E::upload(values, dims, &there))
}

/// What an engine does.
trait Upload: Engine {
    /// The values on the device of `there`.
    fn upload<const D: usize>(values: Values, dims: [usize; D], there: &Self::Array) -> Self::Array;
}

impl Upload for Flex {
    fn upload<const D: usize>(values: Values, dims: [usize; D], _: &Array) -> Array {
        let values = match values {
            Values::Bytes(bytes) => bytes.iter().map(|&byte| f32::from(byte)).collect(),
            Values::Classes(classes) => {
                let mut rows = vec![0.0; dims.iter().product()];
                for (row, &class) in rows.chunks_mut(dims[D - 1].max(1)).zip(classes) {
                    row[class as usize] = 1.0;
                }
                rows
            }
        };
        Array::from_values(values, dims)
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Upload for Cube {
    fn upload<const D: usize>(values: Values, dims: [usize; D], there: &Self::Array) -> Self::Array {
        match values {
            Values::Bytes(bytes) => gpu::bytes(bytes, dims, there),
            Values::Classes(classes) => gpu::one_hot(classes, dims[D - 1], there),
        }
    }
}
