//! `Pixels`: one decoded image, which can become a PNG.

use std::io::Write;

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

/// An image of 8-bit samples, rows from top to bottom, channels side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
    pub channels: usize,
    /// `[height, width, channels]`.
    pub data: Vec<u8>,
}

impl Pixels {
    /// Wraps samples.
    ///
    /// # Panics
    /// If their number does not fit.
    pub fn new(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Self {
        assert_eq!(data.len(), width * height * channels, "samples fill the image");
        Self { width, height, channels, data }
    }

    /// As RGB: alpha is dropped, not blended; gray is repeated.
    #[must_use]
    pub fn into_rgb(self) -> Self {
        let data = match self.channels {
            1 => self.data.iter().flat_map(|&v| [v; 3]).collect(),
            2 => self.data.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
            3 => self.data,
            _ => self.data.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        };
        Self { channels: 3, data, ..self }
    }

    /// Alpha is dropped, not blended.
    #[must_use]
    pub fn without_alpha(self) -> Self {
        match self.channels {
            2 => {
                let data = self.data.iter().step_by(2).copied().collect();
                Self { channels: 1, data, ..self }
            }
            4 => self.into_rgb(),
            _ => self,
        }
    }

    /// Laid over one colour (red, green, blue), as Python's imaging library pastes with a mask; without alpha, the image as it
    /// is. Gray over a gray stays gray.
    #[must_use]
    pub fn over(self, background: [u8; 3]) -> Self {
        let [red, green, blue] = background;
        let mix = |[colour, behind, alpha]: [u8; 3]| {
            let sum = u32::from(colour) * u32::from(alpha) + u32::from(behind) * u32::from(255 - alpha) + 128;
            (((sum >> 8) + sum) >> 8) as u8
        };
        match self.channels {
            2 if red == green && green == blue => {
                let data =
                    self.data.as_chunks::<2>().0.iter().map(|&[v, alpha]| mix([v, red, alpha])).collect();
                Self { channels: 1, data, ..self }
            }
            2 | 4 => {
                let colours = self.channels - 1;
                let pixel = |p: &[u8]| [0, 1, 2].map(|c| mix([p[c % colours], background[c], p[colours]]));
                let data = self.data.chunks_exact(self.channels).flat_map(pixel).collect();
                Self { channels: 3, data, ..self }
            }
            _ => self,
        }
    }

    /// Planes instead of interleaved samples: `[channels, height, width]`.
    pub fn to_chw(&self) -> Vec<u8> {
        let mut planes = Vec::with_capacity(self.data.len());
        for channel in 0..self.channels {
            planes.extend(self.data[channel..].iter().step_by(self.channels));
        }
        planes
    }

    /// From planes `[channels, height, width]`.
    pub fn from_chw(planes: &[u8], [channels, height, width]: [usize; 3]) -> Self {
        let size = height * width;
        let data = (0..size).flat_map(|i| (0..channels).map(move |c| planes[c * size + i])).collect();
        Self::new(width, height, channels, data)
    }

    /// A PNG, without compression (as the reference's tools write datasets).
    pub fn to_stored_png(&self) -> Vec<u8> {
        self.encode(CompressionType::Uncompressed, FilterType::NoFilter)
    }

    /// A PNG, compressed.
    pub fn to_png(&self) -> Vec<u8> {
        self.encode(CompressionType::Default, FilterType::Adaptive)
    }

    fn encode(&self, compression: CompressionType, filter: FilterType) -> Vec<u8> {
        let color = match self.channels {
            1 => ExtendedColorType::L8,
            2 => ExtendedColorType::La8,
            3 => ExtendedColorType::Rgb8,
            _ => ExtendedColorType::Rgba8,
        };
        let mut bytes = Vec::with_capacity(self.data.len() + self.height + 100);
        PngEncoder::new_with_quality(bytes.by_ref(), compression, filter)
            .write_image(&self.data, self.width as u32, self.height as u32, color)
            .expect("a memory buffer takes any PNG");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn png_round_trips(width in 1_usize..20, height in 1_usize..20, channels in 1_usize..=4, seed: u8) {
            let data = (0..width * height * channels).map(|i| (i as u8).wrapping_mul(37) ^ seed).collect();
            let pixels = Pixels::new(width, height, channels, data);
            for png in [pixels.to_png(), pixels.to_stored_png()] {
                prop_assert_eq!(&Pixels::decode(&png).unwrap(), &pixels);
            }
            let planes = pixels.to_chw();
            prop_assert_eq!(Pixels::from_chw(&planes, [channels, height, width]), pixels);
        }

        #[test]
        fn damaged_bytes_are_errors(cut in 1_usize..80, flip in 0_usize..80) {
            let mut png = Pixels::new(4, 4, 3, vec![9; 48]).to_stored_png();
            png.truncate(cut.min(png.len() - 1));
            let at = flip % png.len();
            png[at] ^= 0x55;
            prop_assert!(Pixels::decode(&png).is_err());
        }
    }

    #[test]
    fn colours_become_rgb_without_blending() {
        let rgba = Pixels::new(1, 1, 4, vec![10, 20, 30, 0]);
        assert_eq!(rgba.into_rgb().data, [10, 20, 30]);
        assert_eq!(Pixels::new(1, 1, 2, vec![7, 0]).into_rgb().data, [7, 7, 7]);
    }
}
