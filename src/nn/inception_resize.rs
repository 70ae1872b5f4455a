//! The two ways of bringing images to Inception's 299 x 299 pixels.

use burn::tensor::{Device, Tensor};

/// Side of the images that Inception v3 sees.
pub const SIDE: usize = 299;

/// How images are resized and scaled before Inception v3. Published numbers come from `Tensorflow`; the other
/// differs from it by a percent or two in the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InceptionInput {
    /// TensorFlow 1's bilinear resize: source = destination * size / 299, edges clamped, no antialiasing; then
    /// (x - 128) / 128.
    Tensorflow,
    /// The PyTorch port's: half-pixel centres; then 2 x / 255 - 1.
    PytorchFid,
}

impl InceptionInput {
    /// Resizes only; values keep their range. images `[n, c, h, w]` => `[n, c, 299, 299]`
    pub fn resize(self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, h, w] = images.dims();
        let device = images.device();
        let rows = self.matrix(h, &device).unsqueeze::<4>();
        let columns = self.matrix(w, &device).transpose().unsqueeze::<4>();
        rows.matmul(images.matmul(columns))
    }

    /// From pixels in 0..=255 to what the network is trained on, about [-1, 1].
    pub fn scale(self, pixels: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Tensorflow => pixels * (1.0 / 128.0) - 1.0,
            Self::PytorchFid => pixels * (2.0 / 255.0) - 1.0,
        }
    }

    /// Linear interpolation from `size` samples to 299, as a matrix with two entries per row. `[299, size]`
    fn matrix(self, size: usize, device: &Device) -> Tensor<2> {
        let mut matrix = vec![0f32; SIDE * size];
        for (to, row) in matrix.chunks_mut(size).enumerate() {
            let from = self.source(to, size);
            let (low, fraction) = (from.floor(), from.fract());
            row[(low as usize).min(size - 1)] += 1.0 - fraction;
            row[(low as usize + 1).min(size - 1)] += fraction;
        }
        Tensor::<1>::from_floats(matrix.as_slice(), device).reshape([SIDE, size])
    }

    /// Where a destination pixel reads, in source pixels; in f32, as both frameworks compute it.
    fn source(self, to: usize, size: usize) -> f32 {
        let scale = size as f32 / SIDE as f32;
        match self {
            Self::Tensorflow => to as f32 * scale,
            Self::PytorchFid => (scale * (to as f32 + 0.5) - 0.5).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixel (y, x) of a ramp is 3 y + x: linear interpolation must give the ramp at the source coordinate.
    fn resized_ramp(input: InceptionInput, size: usize) -> Vec<f32> {
        let pixels: Vec<f32> = (0..size * size).map(|i| (3 * (i / size) + i % size) as f32).collect();
        let ramp = Tensor::<1>::from_floats(pixels.as_slice(), &Device::flex()).reshape([1, 1, size, size]);
        input.resize(ramp).into_data().try_into_vec().unwrap()
    }

    fn assert_ramp(input: InceptionInput, size: usize, source: impl Fn(usize) -> f64) {
        let last = (size - 1) as f64;
        for (i, value) in resized_ramp(input, size).into_iter().enumerate() {
            let (y, x) = (source(i / SIDE).clamp(0.0, last), source(i % SIDE).clamp(0.0, last));
            assert!((f64::from(value) - (3.0 * y + x)).abs() < 1e-3, "{input:?} pixel {i}: {value}");
        }
    }

    #[test]
    fn tensorflow_maps_corner_to_corner() {
        for size in [8, 64, 512] {
            assert_ramp(InceptionInput::Tensorflow, size, |to| to as f64 * size as f64 / 299.0);
        }
    }

    #[test]
    fn pytorch_fid_maps_centre_to_centre() {
        for size in [8, 64, 512] {
            let source = |to: usize| (to as f64 + 0.5) * size as f64 / 299.0 - 0.5;
            assert_ramp(InceptionInput::PytorchFid, size, source);
        }
    }

    #[test]
    fn scales_are_the_networks() {
        let range = Tensor::<4>::from_floats([[[[0.0, 128.0, 255.0]]]], &Device::flex());
        let scaled = |input: InceptionInput| -> Vec<f32> {
            input.scale(range.clone()).into_data().try_into_vec().unwrap()
        };
        assert_eq!(scaled(InceptionInput::Tensorflow), [-1.0, 0.0, 127.0 / 128.0]);
        let ends = scaled(InceptionInput::PytorchFid);
        assert!((ends[0] + 1.0).abs() < 1e-6 && (ends[2] - 1.0).abs() < 1e-6);
    }
}
