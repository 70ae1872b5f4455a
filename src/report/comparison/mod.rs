//! Two runs, or two stages, side by side: what differs, and whether a difference is larger than the spread.
//!
//! A `Side` holds what is compared of a run, wherever it was read; `Comparison` pairs two of them. `text`, `html` and
//! `json` show it.

mod curves;
mod html;
mod json;
mod pairs;
mod scores;
mod settings;
mod side;
mod text;
mod value;

use pairs::Pair;
use scores::ScorePair;
use settings::SettingPair;

pub use html::html;
pub use json::json;
pub use side::{ComparedStage, Identity, Picture, Side};
pub use text::text;

use crate::Result;

/// Two sides, with what belongs together in pairs.
#[derive(Debug)]
pub struct Comparison<'a> {
    a: &'a Side,
    b: &'a Side,
    pairs: Vec<Pair<'a>>,
    scores: Vec<ScorePair<'a>>,
    settings: Vec<SettingPair>,
}

impl<'a> Comparison<'a> {
    /// Pairs what has the same name; one stage with the same of a run, and two single stages with one another.
    ///
    /// # Errors
    /// `Usage` where a stage has no counterpart in a run.
    pub fn of(a: &'a Side, b: &'a Side) -> Result<Self> {
        let pairs = pairs::pairs(a, b)?;
        let scores = pairs.iter().flat_map(scores::of).collect();
        let mut settings = settings::of_seeds(a, b);
        settings.extend(pairs.iter().flat_map(settings::of));
        Ok(Self { a, b, pairs, scores, settings })
    }

    /// Whether settings, scores and pictures are the same.
    pub fn is_same(&self) -> bool {
        self.settings.is_empty()
            && self.pairs.iter().all(|pair| pair.both().is_some() && pair.same_picture() != Some(false))
            && self.scores.iter().all(ScorePair::is_same)
    }

    /// The stages that only one side has.
    fn only(&self, side: usize) -> impl Iterator<Item = (&'a str, &'a ComparedStage)> {
        let other = 1 - side;
        self.pairs.iter().filter(move |pair| pair.of[other].is_none()).filter_map(move |pair| pair.of[side])
    }

    /// The stages of both sides.
    fn shared(&self) -> impl Iterator<Item = (&Pair<'a>, [&'a ComparedStage; 2])> {
        self.pairs.iter().filter_map(|pair| Some((pair, pair.both()?)))
    }

    /// The wall times in seconds of each pair that was not one and the same stage, by name, and of all stages.
    fn wall_times(&self) -> Vec<(String, [Option<f64>; 2])> {
        let made_twice = self.shared().filter(|(_, [a, b])| a.key != b.key || a.key.is_empty());
        let mut times: Vec<_> =
            made_twice.map(|(pair, stages)| (pair.title(), stages.map(|stage| stage.seconds))).collect();
        if self.pairs.len() > 1 {
            // What takes no time says nothing of it.
            times.retain(|(_, times)| times.iter().flatten().any(|seconds| *seconds >= 1.0));
            let total = |side: &Side| {
                let seconds = side.stages.values().filter_map(|stage| stage.seconds);
                seconds.reduce(|sum, seconds| sum + seconds)
            };
            times.push(("all stages".to_owned(), [total(self.a), total(self.b)]));
        }
        times.retain(|(_, times)| times.iter().any(Option::is_some));
        times
    }
}

/// How the two sides are called.
const NAMES: [&str; 2] = ["A", "B"];
