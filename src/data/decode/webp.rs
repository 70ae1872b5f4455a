//! WebP, with and without loss; of an animation, the first frame.
//!
//! The crate `image-webp` decodes still images to the same bytes as libwebp. The container is read here, as libwebp does it: the
//! crate asks the extended header whether there is alpha, and blends the first frame of an animation.

use std::io::Cursor;

use image_webp::WebPDecoder;

use super::{
    Decoded, Header, Mode, check_size, damaged,
    limits::check_scratch,
    riff::{Container, Still},
};
use crate::data::pixels::Pixels;

pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    Container::parse(bytes).map(|container| container.header)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let Container { header, corner: [left, top], still } = Container::parse(bytes)?;
    let Header { width, height, mode } = header;
    check_size(width, height)?;
    let channels = if mode == Mode::Rgba { 4 } else { 3 };
    let is_alone = [still.width, still.height] == [width, height] && still.has_alpha() == (channels == 4);
    check_scratch([width, height], scratch(&still, is_alone), "a WebP image of this kind")?;
    let frame = decode_still(&still)?;
    if is_alone {
        return Ok(Decoded { pixels: frame, mode });
    }
    // Beside the frame, and under what it does not cover, an animation is transparent black.
    let mut data = vec![0; width * height * channels];
    for (y, row) in frame.data.chunks_exact(still.width * frame.channels).enumerate() {
        let place = ((top + y) * width + left) * channels;
        let out = data.get_mut(place..place + still.width * channels);
        let out = out
            .filter(|_| left + still.width <= width)
            .ok_or_else(|| damaged("its first frame is too large"))?;
        for (out, pixel) in out.chunks_exact_mut(channels).zip(row.chunks_exact(frame.channels)) {
            out[..3].copy_from_slice(&pixel[..3]);
            if let Some(alpha) = out.get_mut(3) {
                *alpha = pixel.get(3).copied().unwrap_or(255);
            }
        }
    }
    Ok(Decoded { pixels: Pixels::new(width, height, channels, data), mode })
}

/// Bytes of work per pixel: planes of luma and colours, a copy with alpha, alpha alone with what it is unpacked from, and the
/// frame where it is not the result.
fn scratch(still: &Still, is_alone: bool) -> usize {
    let work = match (still.is_lossy, still.has_alpha()) {
        (true, false) => 2,
        (true, true) => 7,
        (false, false) => 4,
        (false, true) => 1,
    };
    work + if is_alone { 0 } else { 4 }
}

fn decode_still(still: &Still) -> Result<Pixels, String> {
    let mut decoder = WebPDecoder::new(Cursor::new(still.to_file())).map_err(damaged)?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut data = vec![0; still.width * still.height * channels];
    decoder.read_image(&mut data).map_err(damaged)?;
    Ok(Pixels::new(still.width, still.height, channels, data))
}
