//! Crops and sizes of dataset preparation, as EDM's and EDM2's tools define them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    data::{
        decode::{Decoded, check_size},
        pixels::Pixels,
        resize::{Filter, resize},
    },
};

/// Whose rules of order and colour a prepared dataset follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rules {
    /// EDM: folders are sorted part by part, gray stays gray unless cropped, transparency is refused.
    #[default]
    Edm,
    /// EDM2: paths are sorted as text, everything becomes RGB.
    Edm2,
}

/// How an image becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// The largest square around the centre, then Lanczos.
    CenterCrop,
    /// The middle rows in the proportion of the resolution, then Lanczos, on a black square; images that are too small
    /// are left out.
    CenterCropWide,
    /// Dhariwal and Nichol's way for `ImageNet`: halve while possible, then bicubic, then the middle (`edm2` rules only).
    CenterCropDhariwal,
}

/// What becomes of each image.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) struct Shaping {
    rules: Rules,
    transform: Option<Transform>,
    resolution: Option<[usize; 2]>,
    background: Option<[u8; 3]>,
}

impl Shaping {
    /// Checks that the settings go together.
    pub(in crate::data) fn new(
        rules: Rules,
        transform: Option<Transform>,
        resolution: Option<[usize; 2]>,
    ) -> Result<Self> {
        let unusable = |words: &str| Err(Error::Unusable(words.to_owned()));
        match (transform, resolution) {
            (_, Some([0, _] | [_, 0])) => return unusable("a `resolution` of 0 pixels makes no images"),
            (Some(_), None) => return unusable("a crop needs a `resolution` to crop to"),
            (Some(Transform::CenterCropWide), Some([width, height])) if height > width => {
                return unusable("`center_crop_wide` needs a `resolution` that is at least as wide as high");
            }
            (Some(Transform::CenterCropDhariwal), _) if rules == Rules::Edm => {
                return unusable("`center_crop_dhariwal` is a transform of the `edm2` rules");
            }
            (Some(Transform::CenterCropDhariwal), Some([width, height])) if width != height => {
                return unusable("`center_crop_dhariwal` needs a square `resolution`");
            }
            _ => {}
        }
        Ok(Self { rules, transform, resolution, background: None })
    }

    /// What images that say what is transparent are laid over, before anything else.
    pub(in crate::data) fn over(self, background: Option<[u8; 3]>) -> Self {
        Self { background, ..self }
    }

    /// The finished image; `None` where the transform leaves it out.
    ///
    /// # Errors
    /// A fragment that says what is wrong, for the caller to put behind the file's name.
    pub(in crate::data) fn apply(&self, decoded: Decoded) -> Result<Option<Pixels>, String> {
        let decoded = match self.background {
            Some(background) => decoded.over(background),
            None => decoded,
        };
        let image = match self.rules {
            Rules::Edm2 => decoded.pixels.into_rgb(),
            Rules::Edm => decoded.into_edm()?,
        };
        let Some([width, height]) = self.resolution else { return Ok(Some(image)) };
        let shaped = match self.transform {
            None => Some(resize(&image, width, height, Filter::Lanczos)),
            Some(Transform::CenterCrop) => Some(center_crop(&image.into_rgb(), width, height)),
            Some(Transform::CenterCropWide) => center_crop_wide(&image.into_rgb(), width, height),
            Some(Transform::CenterCropDhariwal) => Some(dhariwal(image, width)?),
        };
        Ok(shaped)
    }
}

fn center_crop(image: &Pixels, width: usize, height: usize) -> Pixels {
    let side = image.width.min(image.height);
    let square = crop(image, (image.width - side) / 2, (image.height - side) / 2, side, side);
    resize(&square, width, height, Filter::Lanczos)
}

fn center_crop_wide(image: &Pixels, width: usize, height: usize) -> Option<Pixels> {
    let rows = ((width * image.height) as f64 / image.width as f64).round_ties_even() as usize;
    if image.width < width || rows < height {
        return None;
    }
    let strip = crop(image, 0, (image.height - rows) / 2, image.width, rows);
    let strip = resize(&strip, width, height, Filter::Lanczos);
    let mut canvas = vec![0; width * width * image.channels];
    canvas[(width - height) / 2 * width * image.channels..][..strip.data.len()].copy_from_slice(&strip.data);
    Some(Pixels::new(width, width, image.channels, canvas))
}

fn dhariwal(mut image: Pixels, side: usize) -> Result<Pixels, String> {
    while image.width.min(image.height) >= 2 * side {
        image = resize(&image, image.width / 2, image.height / 2, Filter::Box);
    }
    let scale = side as f64 / image.width.min(image.height) as f64;
    let scaled = |size: usize| (size as f64 * scale).round_ties_even() as usize;
    let (width, height) = (scaled(image.width), scaled(image.height));
    // What is narrow is enlarged as a whole before it is cropped.
    check_size(width, height).map_err(|_| {
        let of = format!("{} x {} pixels", image.width, image.height);
        format!("is {of}, which `center_crop_dhariwal` enlarges to {width} x {height}: use `center_crop`")
    })?;
    let image = resize(&image, width, height, Filter::Bicubic);
    Ok(crop(&image, (image.width - side) / 2, (image.height - side) / 2, side, side))
}

fn crop(image: &Pixels, left: usize, top: usize, width: usize, height: usize) -> Pixels {
    let bytes = image.channels;
    let rows = image.data.chunks_exact(image.width * bytes).skip(top).take(height);
    let data = rows.flat_map(|row| &row[left * bytes..][..width * bytes]).copied().collect();
    Pixels::new(width, height, bytes, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::decode::Mode;

    fn decoded(pixels: Pixels) -> Decoded {
        let mode = [Mode::Gray, Mode::GrayAlpha, Mode::Rgb, Mode::Rgba][pixels.channels - 1];
        Decoded { pixels, mode }
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        use Transform::{CenterCrop, CenterCropDhariwal, CenterCropWide};
        let problem = |rules, transform, resolution| {
            Shaping::new(rules, transform, resolution).unwrap_err().to_string()
        };
        assert!(problem(Rules::Edm, Some(CenterCrop), None).contains("needs a `resolution`"));
        assert!(problem(Rules::Edm, Some(CenterCropWide), Some([16, 32])).contains("as wide as high"));
        assert!(problem(Rules::Edm, Some(CenterCropDhariwal), Some([16, 16])).contains("`edm2` rules"));
        assert!(problem(Rules::Edm2, Some(CenterCropDhariwal), Some([16, 8])).contains("square"));
        assert!(problem(Rules::Edm, None, Some([0, 8])).contains("0 pixels"));
    }

    #[test]
    fn edm_refuses_what_it_would_misread() {
        let shaping = Shaping::new(Rules::Edm, None, None).unwrap();
        let rgba = Pixels::new(2, 2, 4, vec![0; 16]);
        assert!(shaping.apply(decoded(rgba.clone())).unwrap_err().contains("alpha channel"));
        let palette = Decoded { mode: Mode::Palette, ..decoded(Pixels::new(2, 2, 3, vec![0; 12])) };
        assert!(shaping.apply(palette.clone()).unwrap_err().contains("palette indices"));
        let edm2 = Shaping::new(Rules::Edm2, None, None).unwrap();
        assert_eq!(edm2.apply(decoded(rgba)).unwrap().unwrap().channels, 3);
        assert_eq!(edm2.apply(palette).unwrap().unwrap().channels, 3);
    }

    #[test]
    fn a_crop_to_its_own_size_is_the_middle() {
        let image = Pixels::new(6, 2, 3, (0..36).collect());
        let shaping = Shaping::new(Rules::Edm, Some(Transform::CenterCrop), Some([2, 2])).unwrap();
        let cropped = shaping.apply(decoded(image.clone())).unwrap().unwrap();
        assert_eq!(cropped.data, [&image.data[6..12], &image.data[24..30]].concat());
    }

    #[test]
    fn what_would_be_enlarged_without_end_is_refused() {
        let dhariwal = Some(Transform::CenterCropDhariwal);
        let shaping = Shaping::new(Rules::Edm2, dhariwal, Some([512, 512])).unwrap();
        let apply = |w, h| shaping.apply(decoded(Pixels::new(w, h, 1, vec![9; w * h])));
        assert!(apply(1, 20_000).unwrap_err().contains("enlarges to 512 x 10240000"));
        assert!(apply(300, 400).unwrap().is_some());
    }

    #[test]
    fn a_wide_crop_leaves_out_what_is_too_small() {
        let shaping = Shaping::new(Rules::Edm2, Some(Transform::CenterCropWide), Some([8, 4])).unwrap();
        let apply = |w, h| shaping.apply(decoded(Pixels::new(w, h, 1, vec![9; w * h]))).unwrap();
        assert_eq!(apply(7, 7), None);
        assert_eq!(apply(20, 8), None);
        let square = apply(16, 12).unwrap();
        assert_eq!((square.width, square.height, square.channels), (8, 8, 3));
        let bands: Vec<u8> = square.data.chunks(24).map(|row| row[0]).collect();
        assert_eq!(bands, [0, 0, 9, 9, 9, 9, 0, 0]);
    }
}
