//! `Constants`: numbers of a network that are not trained.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};

/// A row of numbers, which a device gets once, however many passes ask for it. Clones share what devices have.
#[derive(Clone, Debug)]
pub(crate) struct Constants {
    values: Vec<f32>,
    on_devices: Arc<Mutex<Vec<(Device, Tensor<1>)>>>,
}

impl Constants {
    pub(crate) fn new(values: Vec<f32>) -> Self {
        Self { values, on_devices: Arc::default() }
    }

    /// The numbers on the host.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The numbers on this device. `[len]`
    pub(crate) fn on(&self, device: &Device) -> Tensor<1> {
        let mut on_devices = self.on_devices.lock().unwrap_or_else(PoisonError::into_inner);
        // Equality of devices does not see whether they record gradients.
        let found = on_devices
            .iter()
            .find(|(other, _)| other == device && other.is_autodiff() == device.is_autodiff());
        if let Some((_, tensor)) = found {
            return tensor.clone();
        }
        let tensor = Tensor::from_floats(self.values.as_slice(), device);
        on_devices.push((device.clone(), tensor.clone()));
        tensor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_with_and_without_gradients_have_their_own() {
        let constants = Constants::new(vec![1.0, 2.5]);
        let plain = Device::flex();
        for device in [plain.clone(), plain.clone().autodiff(), plain] {
            for _ in 0..2 {
                let tensor = constants.clone().on(&device);
                assert_eq!(tensor.device().is_autodiff(), device.is_autodiff());
                assert_eq!(tensor.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.5]);
            }
        }
        assert_eq!(constants.on_devices.lock().unwrap().len(), 2);
    }
}
