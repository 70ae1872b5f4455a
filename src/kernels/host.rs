//! Values of tensors, brought to the host.

use std::fmt;

use burn::{
    backend::{DispatchDevice, Flex},
    tensor::{Device, Tensor, TensorData},
};

use super::{
    array::Array,
    engine::{Engine, on_engine},
    tape::Operand,
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::read as gpu};

/// Whether a device is the host itself.
pub(super) fn is_host(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// The values of a tensor as they are now. Burn's own `into_data` copies from a GPU only when the values are looked at,
/// by when a training step may have written others in their place.
pub fn host<const D: usize>(tensor: Tensor<D>) -> TensorData {
    let data = tensor.into_data();
    // To look at one byte is to look at all.
    std::hint::black_box(data.as_bytes().first());
    data
}

/// Values on their way to the host, as they were when the way began.
pub struct Reading(Box<dyn FnOnce() -> TensorData + Send>);

impl Reading {
    /// Waits for the values, and for nothing that was launched after they were asked for.
    pub fn wait(self) -> TensorData {
        (self.0)()
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

/// Asks for the values of a tensor. The copy is queued on a GPU behind all that was launched before; the host goes on.
pub fn read(tensor: Tensor<1>) -> Reading {
    on_engine!(tensor, |tensor| begun(tensor), |tensor| {
        let data = host(tensor);
        Reading(Box::new(|| data))
    })
}

fn begun<E: Read>(tensor: Operand<E>) -> Reading {
    Reading(E::read(tensor.into_array()))
}

/// What an engine does.
trait Read: Engine {
    /// Begins to read; what is returned ends it.
    fn read(array: Self::Array) -> Box<dyn FnOnce() -> TensorData + Send>;
}

impl Read for Flex {
    fn read(array: Array) -> Box<dyn FnOnce() -> TensorData + Send> {
        let values = array.values().to_vec();
        let len = values.len();
        Box::new(move || TensorData::new(values, [len]))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Read for Cube {
    fn read(array: Self::Array) -> Box<dyn FnOnce() -> TensorData + Send> {
        let reading = gpu::Reading::begin(array);
        Box::new(|| reading.wait())
    }
}
