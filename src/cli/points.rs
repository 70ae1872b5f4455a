//! Which points of a sweep to run: schedulers start many processes, each for its own.

use clap::Args;

use super::complete;
use crate::{Error, Result, pipeline::Point, suggestion::advice};

/// All points, one, or a share of them.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct PointArgs {
    /// Run one point of a sweep: its number, from 1, or its label such as `alpha=0.5`.
    #[arg(long, value_name = "POINT", conflicts_with = "points", add = complete::points())]
    point: Option<String>,
    /// Run a share of a sweep's points, such as `2/8`: the second of eight.
    #[arg(long, value_name = "I/N")]
    points: Option<String>,
}

impl PointArgs {
    /// Whether no point is left out.
    pub(super) fn are_all(&self) -> bool {
        self.point.is_none() && self.points.is_none()
    }

    /// The chosen points, by their places.
    ///
    /// # Errors
    /// `Usage` for a point that there is not, and for a share that cannot be read.
    pub(super) fn chosen(&self, points: &[Point]) -> Result<Vec<usize>> {
        if let Some(wanted) = &self.point {
            return one(wanted, points).map(|point| vec![point]);
        }
        let Some(share) = &self.points else { return Ok((0..points.len()).collect()) };
        let numbers = share.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((i, n)) if (1..=n).contains(&i) => Ok((i - 1..points.len()).step_by(n).collect()),
            _ => Err(Error::Usage(format!("`--points {share}`: write `2/8` for the second of eight shares"))),
        }
    }
}

fn one(wanted: &str, points: &[Point]) -> Result<usize> {
    let by_number = wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let found = by_number.filter(|place| *place < points.len());
    found.or_else(|| points.iter().position(|point| point.is_named(wanted))).ok_or_else(|| {
        let known: Vec<&str> = points.iter().map(|point| point.label.as_str()).collect();
        let help = advice(wanted, &known).unwrap_or_default();
        Error::Usage(format!(
            "`--point {wanted}`: this sweep has {} points and not that one; {help}",
            points.len()
        ))
    })
}
