//! Many small images in one picture; single PNG files.

use std::{io::Write, path::Path};

use crate::{
    Error, Result,
    data::pixels::Pixels,
    formats::{AtomicFile, read_at_most},
};

/// More than any picture of ours, in bytes.
pub const LARGEST_PICTURE: u64 = 256 << 20;

/// The grey between images.
const GROUND: u8 = 96;

/// The pixels of a side at least, of small images that can be seen.
const VISIBLE: usize = 64;

/// Pixels of a side of what is cut out of a picture to stand beside others.
const CORNER: usize = 600;

/// Lays out 8-bit images `[n, c, h, w]` with 1 or 3 channels, row by row, on a grey ground. Every pixel becomes a
/// square, so that small images can be seen, and a line of such squares keeps them apart.
///
/// # Panics
/// If the images do not fill their shape, or a size is 0.
pub fn image_grid(images: &[u8], shape: [usize; 4], columns: usize) -> Pixels {
    laid_out(images, shape, columns, (VISIBLE / shape[3].max(1)).max(1))
}

fn laid_out(images: &[u8], [n, c, h, w]: [usize; 4], columns: usize, scale: usize) -> Pixels {
    assert_eq!(images.len(), n * c * h * w, "images fill their shape");
    assert!(columns > 0 && scale > 0 && n * c * h * w > 0, "a grid has cells");
    let rows = n.div_ceil(columns);
    let (cell_width, cell_height) = ((w + 1) * scale, (h + 1) * scale);
    let (width, height) = (columns * cell_width - scale, rows * cell_height - scale);
    let mut data = vec![GROUND; width * height * c];
    for (i, image) in images.chunks(c * h * w).enumerate() {
        let (left, top) = (i % columns * cell_width, i / columns * cell_height);
        for y in 0..h * scale {
            let row = &mut data[((top + y) * width + left) * c..][..w * scale * c];
            for (x, pixel) in row.chunks_mut(c).enumerate() {
                let at = y / scale * w + x / scale;
                pixel.iter_mut().enumerate().for_each(|(k, v)| *v = image[k * h * w + at]);
            }
        }
    }
    Pixels::new(width, height, c, data)
}

/// The first images of a picture that `image_grid` made of images of `side` pixels: at most four rows and columns, fewer
/// of large ones. `None` where there is no such picture.
pub fn corner(picture: &Path, side: usize) -> Option<Pixels> {
    let Pixels { width, height, channels, data } =
        Pixels::decode(&read_at_most(picture, LARGEST_PICTURE).ok()?).ok()?;
    let scale = (VISIBLE / side.max(1)).max(1);
    let cell = (side + 1) * scale;
    let cut = (CORNER / cell).clamp(1, 4) * cell - scale;
    let (cut_width, cut_height) = (cut.min(width), cut.min(height));
    let rows = data.chunks(width * channels).take(cut_height);
    let data = rows.flat_map(|row| &row[..cut_width * channels]).copied().collect();
    Some(Pixels::new(cut_width, cut_height, channels, data))
}

/// Writes one PNG, under another name first: a stopped process leaves no half picture.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_png(path: &Path, pixels: &Pixels) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(&pixels.to_png()).map_err(Error::io("write", path))?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_image_is_found_in_the_grid(n in 1_usize..7, c in prop::sample::select(vec![1_usize, 3]), columns in 1_usize..4, scale in 1_usize..4) {
            let (h, w) = (3, 2);
            let images: Vec<u8> = (0..n * c * h * w).map(|i| i as u8).collect();
            let pixels = laid_out(&images, [n, c, h, w], columns, scale);
            let size = (columns * (w + 1) * scale - scale, n.div_ceil(columns) * (h + 1) * scale - scale);
            prop_assert_eq!((pixels.width, pixels.height), size);
            for i in 0..n {
                for y in 0..h * scale {
                    for x in 0..w * scale {
                        let (left, top) = (i % columns * (w + 1) * scale, i / columns * (h + 1) * scale);
                        let at = (top + y) * pixels.width + left + x;
                        for k in 0..c {
                            let expected = images[((i * c + k) * h + y / scale) * w + x / scale];
                            prop_assert_eq!(pixels.data[at * c + k], expected);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_picture_is_written_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grid.png");
        let grid = image_grid(&[1, 2, 3, 4], [1, 1, 2, 2], 1);
        assert_eq!(grid.width, 64);
        write_png(&path, &grid).unwrap();
        assert_eq!(Pixels::decode(&fs::read(&path).unwrap()).unwrap(), grid);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let missing = write_png(&dir.path().join("no/a.png"), &Pixels::new(1, 1, 1, vec![0])).unwrap_err();
        assert!(missing.to_string().starts_with("cannot write "), "{missing}");
    }

    #[test]
    fn the_corner_of_a_picture_holds_whole_images() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.png");
        let images: Vec<u8> = (0..60 * 64).map(|i| (i / 64) as u8).collect();
        write_png(&path, &image_grid(&images, [60, 1, 8, 8], 12)).unwrap();
        let corner = corner(&path, 8).unwrap();
        assert_eq!((corner.width, corner.height), (4 * 72 - 8, 4 * 72 - 8));
        assert_eq!((corner.data[0], corner.data[72], corner.data[72 * corner.width]), (0, 1, 12));
        assert!(super::corner(dir.path(), 8).is_none());
    }
}
