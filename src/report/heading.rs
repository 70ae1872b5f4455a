//! `Heading`: the words over a column.

use super::number::thousands;
use crate::metrics::{Better, Metric};

/// How a column is headed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    /// `nfe`, `fd_pixels_2000`.
    pub(super) name: String,
    /// `FID`, `FD, pixels`.
    pub(super) title: String,
    /// `2,000 images`; may be empty.
    pub(super) note: String,
    /// Which end is good; `None` where neither is.
    pub(super) better: Option<Better>,
}

impl Heading {
    /// Of a column: `nfe` or a metric. A name that is not known is its own title.
    pub(super) fn of(name: &str) -> Self {
        let (title, note, better) = match Metric::column(name) {
            _ if name == "nfe" => ("NFE".to_owned(), "evaluations per image".to_owned(), None),
            Some(known) => (known.title, format!("{} images", thousands(known.images as u64)), known.better),
            None => (name.to_owned(), String::new(), None),
        };
        Self { name: name.to_owned(), title, note, better }
    }

    /// The one of two signs that says which end is good; empty where neither is.
    pub(super) fn sign<'a>(&self, [lower, higher]: [&'a str; 2]) -> &'a str {
        match self.better {
            Some(Better::Lower) => lower,
            Some(Better::Higher) => higher,
            None => "",
        }
    }

    /// The same as an arrow after a space.
    pub(super) fn arrow(&self) -> &'static str {
        self.sign([" ↓", " ↑"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_says_detector_and_images() {
        let heading = Heading::of("fd_random_conv_2000");
        assert_eq!((heading.title.as_str(), heading.note.as_str()), ("FD, random conv", "2,000 images"));
        assert_eq!(heading.better, Some(Better::Lower));
        assert_eq!(Heading::of("something_else").title, "something_else");
        assert_eq!(Heading::of("fd_pixels_many").title, "fd_pixels_many");
    }
}
