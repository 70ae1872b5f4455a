//! The words for a metric: from its name to a heading.

use super::number::thousands;

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

/// Which end of a scale is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Lower,
    Higher,
}

impl Words {
    /// The words for a column: `nfe` or a metric. A name that is not known is its own title.
    pub(super) fn of(column: &str) -> Self {
        let words = |title: &str, note: &str, better| Self { title: title.into(), note: note.into(), better };
        match column {
            "nfe" => words("NFE", "evaluations per image", None),
            "fid50k_full" => words("FID", "50,000 images", Some(Better::Lower)),
            "is50k" => words("IS", "50,000 images", Some(Better::Higher)),
            "is50k_std" => words("IS, spread", "50,000 images", None),
            "kid50k_full" => words("KID", "50,000 images", Some(Better::Lower)),
            "pr50k3_full_precision" => words("Precision", "50,000 images", Some(Better::Higher)),
            "pr50k3_full_recall" => words("Recall", "50,000 images", Some(Better::Higher)),
            _ => Self::frechet(column).unwrap_or_else(|| words(column, "", None)),
        }
    }

    /// `fd_<detector>_<images>`
    fn frechet(column: &str) -> Option<Self> {
        let (detector, images) = column.strip_prefix("fd_")?.rsplit_once('_')?;
        let images: u64 = images.parse().ok()?;
        Some(Self {
            title: format!("FD, {}", detector.replace('_', " ")),
            note: format!("{} images", thousands(images)),
            better: Some(Better::Lower),
        })
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
