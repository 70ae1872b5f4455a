//! 3x3 convolutions of stride 1 by Winograd's minimal filtering, NHWC: F(2x2, 3x3) with tiles of 4x4
//! and F(4x4, 3x3) with tiles of 6x6 (Lavin and Gray, arXiv:1509.09308).
//!
//! Tiles and weights are transformed, one matrix product per element of the tile does the work, and the result
//! is transformed back. The larger tile needs 2.25 instead of 4 multiplications per output; its interpolation
//! points 0, +-5/8, +-3/2, infinity keep the error near 3e-6 of the largest value (0, +-1, +-2: 1e-5).

mod forward;
mod tiles;
mod transform;
mod weight_gradient;
mod weights;

pub use forward::forward;
pub use weight_gradient::weight_gradient;

/// One convolution and its extents.
#[derive(Clone, Copy, Debug)]
pub struct Convolution3x3 {
    /// Images.
    pub n: usize,
    /// Rows of an input image.
    pub h: usize,
    /// Columns of an input image.
    pub w: usize,
    /// Zeros around an input image, up to 2: with 1 the output is as large.
    pub padding: usize,
    /// Input channels.
    pub c: usize,
    /// Output channels.
    pub k: usize,
}

impl Convolution3x3 {
    /// Rows and columns of an output image.
    pub fn out(&self) -> [usize; 2] {
        [self.h, self.w].map(|len| len + 2 * self.padding - 2)
    }

    /// The extents of the convolution that takes output gradients to input gradients.
    #[must_use]
    pub fn turned(self) -> Self {
        let [h, w] = self.out();
        Self { h, w, padding: 2 - self.padding, c: self.k, k: self.c, ..self }
    }

    /// Floats of x, and of y.
    fn lens(&self) -> [usize; 2] {
        let [h, w] = self.out();
        [self.n * self.h * self.w * self.c, self.n * h * w * self.k]
    }

    /// Tiles of all images, for tiles that yield `m` x `m` outputs.
    fn all_tiles(&self, m: usize) -> usize {
        let [h, w] = self.out();
        self.n * h.div_ceil(m) * w.div_ceil(m)
    }

    /// Whether tiles of 6x6 need fewer multiplications than tiles of 4x4: not where the images are so small
    /// that most of a tile's outputs fall outside.
    fn prefers_large_tiles(&self) -> bool {
        36 * self.all_tiles(4) < 16 * self.all_tiles(2)
    }
}

/// The extra floats between the planes of transformed tiles: strides of powers of two would alias in the cache.
const SKEW: usize = 16;
