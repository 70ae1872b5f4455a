//! The words for a column: from its name to a heading.

use super::number::thousands;
use crate::metrics::{Better, Metric};

/// How a column is headed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// `FID`, `FD, pixels`.
    pub(super) title: String,
    /// `2,000 images`; may be empty.
    pub(super) note: String,
    /// Which end is good; `None` where neither is.
    pub(super) better: Option<Better>,
}

impl Words {
    /// The words for a column: `nfe` or a metric. A name that is not known is its own title.
    pub(super) fn of(column: &str) -> Self {
        let words = |title: &str, note: &str| Self { title: title.into(), note: note.into(), better: None };
        if column == "nfe" {
            return words("NFE", "evaluations per image");
        }
        Metric::column(column).map_or_else(
            || words(column, ""),
            |known| Self {
                better: known.better,
                ..words(&known.title, &format!("{} images", thousands(known.images as u64)))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_says_detector_and_images() {
        let words = Words::of("fd_random_conv_2000");
        assert_eq!((words.title.as_str(), words.note.as_str()), ("FD, random conv", "2,000 images"));
        assert_eq!(words.better, Some(Better::Lower));
        assert_eq!(Words::of("something_else").title, "something_else");
        assert_eq!(Words::of("fd_pixels_many").title, "fd_pixels_many");
    }
}
