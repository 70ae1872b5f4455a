//! `Seeds` and `Rng`: which noise becomes an image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Seeds of images, one each: `0-63`, or `1,2,5-10`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Seeds(
    #[schemars(regex(pattern = r"^[0-9]{1,10}(-[0-9]{1,10})?(,[0-9]{1,10}(-[0-9]{1,10})?)*$"))] String,
);

impl Seeds {
    /// The first `count` seeds.
    pub fn first(count: u32) -> Self {
        Self(if count <= 1 { "0".into() } else { format!("0-{}", count - 1) })
    }

    /// The seeds, in the order written.
    ///
    /// # Errors
    /// `Unusable` for text that is no list of numbers and ranges, a range that runs backwards, or more than 100 million seeds.
    pub fn list(&self) -> Result<Vec<u64>> {
        let bad = |what: &str| {
            Error::Unusable(format!(
                "`{}` is not a list of seeds such as `0-63` or `1,2,5-10`: {what}",
                self.0
            ))
        };
        let mut seeds = Vec::new();
        for part in self.0.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse::<u64>().map_err(|_| bad(&format!("`{text}` is no number")));
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(bad(&format!("`{part}` runs backwards")));
            }
            if last - first >= 100_000_000 || seeds.len() as u64 + (last - first) >= 100_000_000 {
                return Err(bad("more than 100 million seeds"));
            }
            seeds.extend(first..=last);
        }
        Ok(seeds)
    }
}

/// The generator of random numbers behind the seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rng {
    /// This program's own: the same numbers on every device.
    #[default]
    Native,
    /// What PyTorch draws on a CPU: the images that the reference gives there.
    TorchCpu,
    /// What PyTorch draws on a GPU: the images that the reference gives there.
    TorchCuda,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        let list = |written: &str| Seeds(written.to_owned()).list();
        assert_eq!(list("1,2,5-7").unwrap(), [1, 2, 5, 6, 7]);
        assert_eq!(Seeds::first(3).list().unwrap(), [0, 1, 2]);
        assert!(["7-5", "0-99999999999", "a"].into_iter().all(|bad| list(bad).is_err()));
    }
}
