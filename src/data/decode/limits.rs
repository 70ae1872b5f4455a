//! How large an image may be: files are strangers', and a few bytes can claim any size.

/// The most pixels of an image: 8,000 x 8,000. `ImageNet`'s largest has 19 million, a camera's 20 to 61; Pillow warns at 89.
const MAX_PIXELS: usize = 64_000_000;

/// The most bytes that a decoder takes beyond the pixels that it returns.
pub(in crate::data) const SCRATCH: usize = 64 << 20;

/// Refuses an image that is too large, before memory is asked for.
pub(in crate::data) fn check_size(width: usize, height: usize) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("claims {width} x {height} pixels: replace or remove it"));
    }
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(too_large(width, height, MAX_PIXELS, "an image"));
    }
    Ok(())
}

/// A file of so many bytes is read whatever its header says.
pub(in crate::data) const EASY_FILE: u64 = 16 << 20;

/// The most bytes of a pixel, in the widest of formats.
const WIDEST: u64 = 8;

/// Refuses a file that is much longer than the image that its header speaks of, before it is read.
pub(in crate::data) fn check_file([width, height]: [usize; 2], bytes: u64) -> Result<(), String> {
    let most = (width as u64).saturating_mul(height as u64).saturating_mul(WIDEST).saturating_add(EASY_FILE);
    if bytes <= most {
        return Ok(());
    }
    Err(format!(
        "has {bytes} bytes, far more than an image of {width} x {height} pixels: replace or remove it"
    ))
}

/// Refuses an image whose decoder would take more than `SCRATCH` for its work. `kind` says what it is, with its article.
pub(in crate::data) fn check_scratch(
    [width, height]: [usize; 2],
    bytes_per_pixel: usize,
    kind: &str,
) -> Result<(), String> {
    let most = SCRATCH / bytes_per_pixel;
    if width.saturating_mul(height) > most { Err(too_large(width, height, most, kind)) } else { Ok(()) }
}

fn too_large(width: usize, height: usize, most: usize, kind: &str) -> String {
    let millions = most / 1_000_000;
    format!("claims {width} x {height} pixels, but {kind} may have {millions} million: make it smaller")
}
