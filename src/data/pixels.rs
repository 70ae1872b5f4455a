//! `Pixels`: one decoded image; PNG, JPEG, BMP and WebP in, PNG out.

use std::io::{Cursor, Write};

use image::{
    ColorType, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

use super::jpeg::{self, Refusal};

/// Above this many pixels an image is taken for a decompression bomb.
const MAX_PIXELS: u64 = 100_000_000;

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

/// A decoded file.
#[derive(Clone, Debug)]
pub(in crate::data) struct Decoded {
    pub(in crate::data) pixels: Pixels,
    /// The file holds indices into a palette; `pixels` has the colours.
    pub(in crate::data) palette: bool,
    /// The file holds one bit per pixel.
    pub(in crate::data) bilevel: bool,
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

    /// Decodes an image file of any known format.
    ///
    /// # Errors
    /// A fragment that says what is wrong and what to do, for the caller to put behind the file's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        decode(bytes).map(|decoded| decoded.pixels)
    }
}

/// Decodes, and tells how the file held its pixels.
pub(in crate::data) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    if bytes.is_empty() {
        return Err("is empty (0 bytes): it was not written completely; replace or remove it".to_owned());
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let format = reader.format().ok_or("is no image that can be read: PNG, JPEG, BMP and WebP can")?;
    if format == ImageFormat::Jpeg {
        match jpeg::decode(bytes, MAX_PIXELS) {
            Ok(pixels) => return Ok(Decoded { pixels, palette: false, bilevel: false }),
            Err(Refusal::Damaged(why)) => {
                return Err(format!("cannot be decoded ({why}): replace or remove it"));
            }
            Err(Refusal::Foreign) => {}
        }
    }
    let damaged = |e: image::ImageError| format!("cannot be decoded ({e}): replace or remove it");
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "claims {width} x {height} pixels, more than {} million: refused; make it smaller",
            MAX_PIXELS / 1_000_000
        ));
    }
    let color = decoder.color_type();
    let mut data = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut data).map_err(damaged)?;
    let channels = match color {
        ColorType::L8 => 1,
        ColorType::La8 => 2,
        ColorType::Rgb8 => 3,
        ColorType::Rgba8 => 4,
        // Python's imaging library keeps the high byte of 16-bit colours.
        ColorType::Rgb16 | ColorType::Rgba16 | ColorType::La16 => {
            data = data.chunks_exact(2).map(|s| (u16::from_ne_bytes([s[0], s[1]]) >> 8) as u8).collect();
            usize::from(color.channel_count())
        }
        _ => return Err("has 16-bit or floating-point gray: save it with 8 bits per sample".to_owned()),
    };
    let pixels = Pixels::new(width as usize, height as usize, channels, data);
    // Bit depth and colour type stand at fixed places of a PNG; type 3 is a palette.
    let is_png = format == ImageFormat::Png;
    let palette = is_png && bytes.get(25) == Some(&3);
    Ok(Decoded { pixels, palette, bilevel: is_png && bytes.get(24) == Some(&1) && !palette })
}

/// Width, height and channels of a PNG from its first 26 bytes; `None` if they are not those of an 8-bit gray
/// or RGB image.
pub(in crate::data) fn png_shape(bytes: &[u8]) -> Option<[usize; 3]> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let known = bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(24) == Some(&8);
    let channels = match bytes.get(25)? {
        0 => 1,
        2 => 3,
        _ => return None,
    };
    known.then_some([channels, number(20)?, number(16)?])
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
    fn the_header_gives_the_shape() {
        let png = Pixels::new(5, 3, 3, vec![0; 45]).to_png();
        assert_eq!(png_shape(&png[..26]), Some([3, 3, 5]));
        assert_eq!(png_shape(&Pixels::new(5, 3, 4, vec![0; 60]).to_png()), None);
        assert_eq!(png_shape(b"\x89PNG"), None);
    }

    #[test]
    fn every_refusal_says_why() {
        let problem = |bytes: &[u8]| Pixels::decode(bytes).unwrap_err();
        assert!(problem(b"").contains("is empty (0 bytes)"));
        assert!(problem(b"hello, world: text").contains("is no image that can be read"));
        let whole = Pixels::new(40, 40, 1, vec![0; 1600]).to_stored_png();
        assert!(problem(&whole[..60]).contains("cannot be decoded"));
    }

    #[test]
    fn a_decompression_bomb_is_refused_by_its_header() {
        // A PNG header that claims 60000 x 60000 pixels, with a correct checksum.
        let mut ihdr = b"IHDR".to_vec();
        ihdr.extend(60_000_u32.to_be_bytes());
        ihdr.extend(60_000_u32.to_be_bytes());
        ihdr.extend([8, 0, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&ihdr);
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        png.extend(&ihdr);
        png.extend(crc.sum().to_be_bytes());
        png.extend(b"\0\0\0\x01IDAT\0\x13\x3f\x56\x2b");
        assert!(Pixels::decode(&png).unwrap_err().contains("60000 x 60000"), "{:?}", Pixels::decode(&png));
    }

    #[test]
    fn colours_become_rgb_without_blending() {
        let rgba = Pixels::new(1, 1, 4, vec![10, 20, 30, 0]);
        assert_eq!(rgba.into_rgb().data, [10, 20, 30]);
        assert_eq!(Pixels::new(1, 1, 2, vec![7, 0]).into_rgb().data, [7, 7, 7]);
    }
}
