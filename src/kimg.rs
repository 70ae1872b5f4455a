//! `Kimg`: thousands of images, the field's clock.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number of images in thousands, as pipeline files write it; inside the program images are counted
/// one by one (`nimg: u64`).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Kimg(#[schemars(range(min = 0.0, max = 1000000000.0))] pub f64);

impl Kimg {
    /// The count in images, rounded to the nearest.
    pub fn nimg(self) -> u64 {
        (self.0 * 1000.0).round() as u64
    }

    /// From a count of images.
    pub fn from_nimg(nimg: u64) -> Self {
        Self(nimg as f64 / 1000.0)
    }
}

impl fmt::Display for Kimg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kimg", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_image_rounds_to_a_whole_one() {
        assert_eq!(Kimg(0.0645).nimg(), 65);
        assert_eq!(Kimg::from_nimg(1500), Kimg(1.5));
    }
}
