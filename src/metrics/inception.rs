//! Inception v3 as a detector: the features and class probabilities of the published numbers.

use burn::tensor::Tensor;

use super::detector::{Detect, Detected};
use crate::{
    Error, Result,
    nn::{InceptionInput, InceptionV3},
};

/// The detector `inception`: 2048 features and 1008 class probabilities, images resized as the TensorFlow graph
/// of 2015 did (Heusel et al. 2017).
impl Detect for InceptionV3 {
    fn detect(&self, images: Tensor<4>) -> Result<Detected> {
        let outputs = self.outputs(to_rgb(images)?, InceptionInput::Tensorflow);
        Ok(Detected { features: outputs.features_2048, probabilities: Some(outputs.probs_no_bias) })
    }
}

/// Grey becomes three equal channels. `[n, 1 | 3, h, w]` => `[n, 3, h, w]`
fn to_rgb(images: Tensor<4>) -> Result<Tensor<4>> {
    match images.dims()[1] {
        1 => Ok(images.repeat_dim(1, 3)),
        3 => Ok(images),
        channels => Err(Error::Unusable(format!("Inception sees colour images, not {channels} channels"))),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn grey_is_three_equal_channels_and_latents_are_refused() {
        let device = Device::flex();
        let rgb = to_rgb(Tensor::<4>::full([2, 1, 3, 4], 7.0, &device)).unwrap();
        assert_eq!(rgb.dims(), [2, 3, 3, 4]);
        assert!(rgb.into_data().try_to_vec::<f32>().unwrap().iter().all(|v| v.to_bits() == 7f32.to_bits()));
        assert!(to_rgb(Tensor::zeros([1, 4, 3, 4], &device)).is_err());
    }
}
