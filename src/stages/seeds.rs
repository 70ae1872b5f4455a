//! `Seeds` and `Rng`: which noise becomes an image.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Seeds of images, one each: `0-63`, or `1,2,5-10`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Seeds(
    #[schemars(regex(pattern = r"^[0-9]{1,10}(-[0-9]{1,10})?(,[0-9]{1,10}(-[0-9]{1,10})?)*$"))] String,
);

/// More images than anybody makes.
const MOST: u64 = 100_000_000;

/// Torch's generators take seeds modulo 2^32, as the reference's scripts do.
pub(super) const TORCH: u64 = 1 << 32;

impl Seeds {
    /// The first `count` seeds.
    pub fn first(count: u32) -> Self {
        Self(if count <= 1 { "0".into() } else { format!("0-{}", count - 1) })
    }

    /// The seeds, in the order written.
    ///
    /// # Errors
    /// `Unusable` for what `check` is against.
    pub fn list(&self) -> Result<Vec<u64>> {
        Ok(self.ranges().map_err(Error::Unusable)?.into_iter().flatten().collect())
    }

    /// How many there are; `None` where something is wrong with them.
    pub fn count(&self) -> Option<u64> {
        self.ranges().ok().map(|ranges| ranges.iter().map(size).sum())
    }

    /// Whether every seed makes another image.
    ///
    /// # Errors
    /// What is wrong: text that is no list of numbers and ranges, a range that runs backwards, a seed that stands twice, too
    /// many seeds, or one that torch does not have.
    pub(super) fn check(&self, rng: Rng) -> std::result::Result<(), String> {
        let most = self.ranges()?.iter().map(|range| *range.end()).max().unwrap_or(0);
        if rng.is_torch() && most >= TORCH {
            return Err(format!(
                "seed {most} gives the image of seed {}: torch's are below 2^32",
                most % TORCH
            ));
        }
        Ok(())
    }

    fn ranges(&self) -> std::result::Result<Vec<RangeInclusive<u64>>, String> {
        let bad =
            |what: &str| format!("`{}` is not a list of seeds such as `0-63` or `1,2,5-10`: {what}", self.0);
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        let mut count = 0u64;
        for part in self.0.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse::<u64>().map_err(|_| bad(&format!("`{text}` is no number")));
            let range = number(first)?..=number(last)?;
            if range.is_empty() {
                return Err(bad(&format!("`{part}` runs backwards")));
            }
            count = count.saturating_add(size(&range));
            if count > MOST {
                return Err(bad("more than 100 million seeds"));
            }
            ranges.push(range);
        }
        let mut sorted: Vec<_> = ranges.iter().collect();
        sorted.sort_by_key(|range| *range.start());
        // Two of them touch where neighbours do.
        let twice = sorted.windows(2).find(|two| two[1].start() <= two[0].end());
        match twice {
            Some(two) => {
                Err(format!("seed {} stands twice in `{}`, and would give one image", two[1].start(), self.0))
            }
            None => Ok(ranges),
        }
    }
}

fn size(range: &RangeInclusive<u64>) -> u64 {
    (range.end() - range.start()).saturating_add(1)
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

impl Rng {
    /// Whether it is one of PyTorch's.
    pub(super) fn is_torch(self) -> bool {
        self != Self::Native
    }
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
        assert_eq!(Seeds("9999999999".to_owned()).count(), Some(1));
    }

    #[test]
    fn no_image_is_made_twice() {
        let check = |written: &str, rng| Seeds(written.to_owned()).check(rng);
        for twice in ["1,1,1", "0-5,3", "3,0-5", "0-5,5-9", "7,1-3,0-9", "01,1", "0-0,0"] {
            let said = check(twice, Rng::Native).unwrap_err();
            assert!(said.contains("stands twice"), "{twice}: {said}");
        }
        for once in ["1,2,3", "3,1,2", "0-5,6-9", "6-9,0-5", "5,4,3-3"] {
            assert_eq!(check(once, Rng::TorchCpu), Ok(()), "{once}");
        }
        assert_eq!(check("0,4294967296", Rng::Native), Ok(()));
        let said = check("4294967295-4294967301", Rng::TorchCuda).unwrap_err();
        assert!(said.contains("gives the image of seed 5"), "{said}");
    }
}
