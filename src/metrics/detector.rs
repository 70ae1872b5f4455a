//! Detectors: what turns images into the features whose distributions are compared.

use burn::tensor::Tensor;

use crate::Result;

/// What a detector saw in some images.
#[derive(Clone, Debug)]
pub struct Detected {
    /// `[n, d]`
    pub features: Tensor<2>,
    /// Class probabilities, where the detector is a classifier. `[n, classes]`
    pub probabilities: Option<Tensor<2>>,
}

impl Detected {
    /// The same of the first `n` images.
    #[must_use]
    pub fn first(&self, n: usize) -> Self {
        let rows = |seen: &Tensor<2>| seen.clone().narrow(0, 0, n);
        Self { features: rows(&self.features), probabilities: self.probabilities.as_ref().map(rows) }
    }
}

/// Images to features.
pub trait Detect {
    /// Looks at images whose values are 0..=255, whatever their type was. images `[n, c, h, w]`
    ///
    /// # Errors
    /// Images that this detector cannot take.
    fn detect(&self, images: Tensor<4>) -> Result<Detected>;
}

/// The pixels themselves, scaled to [-1, 1]: sees means and correlations of pixels, and no structure beyond.
#[derive(Clone, Copy, Debug)]
pub struct Pixels;

impl Detect for Pixels {
    fn detect(&self, images: Tensor<4>) -> Result<Detected> {
        Ok(Detected { features: to_unit_range(images).flatten(1, 3), probabilities: None })
    }
}

/// 0..=255 to [-1, 1].
pub(super) fn to_unit_range(images: Tensor<4>) -> Tensor<4> {
    images.div_scalar(127.5).sub_scalar(1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn pixels_are_scaled_and_keep_their_order() {
        let device = Device::flex();
        let images =
            Tensor::<4>::from_data(TensorData::new(vec![0.0f32, 255.0, 127.5, 51.0], [1, 2, 1, 2]), &device);
        let features = Pixels.detect(images).unwrap().features;
        assert_eq!(features.dims(), [1, 4]);
        let values = features.into_data().try_to_vec::<f32>().unwrap();
        for (value, truth) in values.iter().zip([-1.0, 1.0, 0.0, -0.6]) {
            assert!((value - truth).abs() < 1e-6);
        }
    }
}
