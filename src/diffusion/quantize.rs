//! From the networks' range [-1, 1] to bytes.

use burn::tensor::{Tensor, TensorData};

/// How a value becomes a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// `127.5 x + 128`, cut off: images on disk and everything that is measured.
    Truncate,
    /// `127.5 (x + 1)`, to the nearest, half to even: preview grids.
    Nearest,
}

/// Images as bytes; what lies outside [-1, 1] is clipped. `[n, c, h, w]` => u8 `[n, c, h, w]`
pub fn to_uint8(images: Tensor<4>, rounding: Rounding) -> TensorData {
    let shape = images.dims();
    let values = images.into_data().convert::<f64>().try_into_vec::<f64>().expect("f64 after conversion");
    let byte = |x: f64| match rounding {
        // A cast to an integer cuts off and clips.
        Rounding::Truncate => (x * 127.5 + 128.0) as u8,
        Rounding::Nearest => ((x + 1.0) * 127.5).round_ties_even() as u8,
    };
    TensorData::new(values.into_iter().map(byte).collect::<Vec<u8>>(), shape)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn bytes(values: [f32; 6], rounding: Rounding) -> Vec<u8> {
        let images = Tensor::from_data([[[values]]], &Device::flex());
        to_uint8(images, rounding).try_into_vec().unwrap()
    }

    #[test]
    fn the_ends_are_reached_and_not_passed() {
        let values = [-3.0, -1.0, 0.0, 0.996, 1.0, 3.0];
        assert_eq!(bytes(values, Rounding::Truncate), [0, 0, 128, 254, 255, 255]);
        assert_eq!(bytes(values, Rounding::Nearest), [0, 0, 128, 254, 255, 255]);
    }

    #[test]
    fn bytes_survive_the_way_there_and_back() {
        let all: Vec<f32> = (0..=255u8).map(|b| f32::from(b) / 127.5 - 1.0).collect();
        for rounding in [Rounding::Truncate, Rounding::Nearest] {
            let images = Tensor::from_data(TensorData::new(all.clone(), [1, 1, 16, 16]), &Device::flex());
            let back: Vec<u8> = to_uint8(images, rounding).try_into_vec().unwrap();
            assert_eq!(back, (0..=255).collect::<Vec<u8>>());
        }
    }
}
