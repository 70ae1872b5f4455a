//! `Mode`: how a file holds its colours, which decides what EDM's and EDM2's tools make of it.

use crate::data::pixels::Pixels;

/// What Python's imaging library calls the mode of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Mode {
    /// One bit per pixel ("1").
    Bits,
    /// "L".
    Gray,
    /// "LA".
    GrayAlpha,
    /// Indices into a palette ("P").
    Palette,
    /// "RGB".
    Rgb,
    /// "RGBA".
    Rgba,
    /// Four inks ("CMYK").
    Cmyk,
}

impl Mode {
    /// The channels of an image as EDM opens it; a fragment where EDM refuses it, or takes it for something else.
    pub(in crate::data) fn edm_channels(self) -> Result<usize, String> {
        let (what, advice) = match self {
            Self::Gray => return Ok(1),
            Self::Rgb => return Ok(3),
            Self::Bits => ("holds single bits, which EDM would take for grays of 0 and 1", "convert it with"),
            Self::Palette => ("holds palette indices, which EDM would take for grays", "convert it with"),
            Self::Cmyk => ("has four inks (CMYK), which EDM refuses", "convert it with"),
            Self::GrayAlpha | Self::Rgba => (
                "has an alpha channel, which EDM refuses",
                "convert it with a `background` to lay it over, or to drop it with",
            ),
        };
        Err(format!("{what}: {advice} `rules: edm2`"))
    }
}

/// A decoded file.
#[derive(Clone, Debug)]
pub(in crate::data) struct Decoded {
    /// Its colours: gray, or RGB for palettes and inks. They have an alpha channel wherever the file says what is transparent,
    /// also by a key or in its palette, which Python's imaging library does not count as a channel.
    pub(in crate::data) pixels: Pixels,
    pub(in crate::data) mode: Mode,
}

impl Decoded {
    /// The image laid over a colour: one that says what is transparent has no alpha any more.
    #[must_use]
    pub(in crate::data) fn over(self, background: [u8; 3]) -> Self {
        let mode = match self.mode {
            Mode::GrayAlpha => Mode::Gray,
            Mode::Rgba => Mode::Rgb,
            mode => mode,
        };
        let pixels = self.pixels.over(background);
        let mode = if mode == Mode::Gray && pixels.channels == 3 { Mode::Rgb } else { mode };
        Self { pixels, mode }
    }

    /// Gray or RGB, as EDM opens it.
    ///
    /// # Errors
    /// A fragment where EDM refuses it, or takes it for something else.
    pub(in crate::data) fn into_edm(self) -> Result<Pixels, String> {
        self.mode.edm_channels()?;
        Ok(self.pixels.without_alpha())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_background_shows_where_an_image_is_transparent() {
        let gray = |data: Vec<u8>| Decoded { pixels: Pixels::new(3, 1, 2, data), mode: Mode::GrayAlpha };
        let white = gray(vec![10, 255, 10, 0, 10, 128]).over([255; 3]);
        assert_eq!(
            (white.mode, white.pixels.channels, &white.pixels.data[..]),
            (Mode::Gray, 1, &[10, 255, 132][..])
        );
        let red = gray(vec![10, 255, 10, 0, 10, 128]).over([255, 0, 0]);
        assert_eq!((red.mode, &red.pixels.data[..]), (Mode::Rgb, &[10, 10, 10, 255, 0, 0, 132, 5, 5][..]));
        let opaque = Decoded { pixels: Pixels::new(1, 1, 3, vec![1, 2, 3]), mode: Mode::Rgb };
        assert_eq!(opaque.over([9; 3]).pixels.data, [1, 2, 3]);
    }

    #[test]
    fn what_edm_refuses_or_misreads_is_refused() {
        for mode in [Mode::Bits, Mode::GrayAlpha, Mode::Palette, Mode::Rgba, Mode::Cmyk] {
            assert!(mode.edm_channels().unwrap_err().contains("EDM"), "{mode:?}");
        }
        // A key that says which colour is transparent is no channel.
        let keyed = Decoded { pixels: Pixels::new(1, 1, 4, vec![1, 2, 3, 0]), mode: Mode::Rgb };
        assert_eq!(keyed.into_edm().unwrap().data, [1, 2, 3]);
    }
}
