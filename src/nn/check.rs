//! `Problem`: a sentence about a network setting that makes no sense.

use super::{
    preconditioning::Preconditioning,
    skeleton::{Layer, Skeleton},
};

/// Taps of a filter, of which a network keeps the square; the reference's have two and four.
const MOST_TAPS: usize = 64;

/// What is wrong with one setting of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field.
    pub field: &'static str,
    /// A lowercase sentence about it.
    pub problem: String,
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn finish(self) -> Vec<Problem> {
        self.0
    }

    pub(crate) fn demand(&mut self, holds: bool, field: &'static str, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Problem { field, problem: problem() });
        }
    }

    pub(crate) fn positive(&mut self, field: &'static str, value: usize) {
        self.demand(value > 0, field, || "must be at least 1".to_owned());
    }

    pub(crate) fn share(&mut self, field: &'static str, value: f64) {
        self.demand((0.0..=1.0).contains(&value), field, || format!("{value} is not between 0 and 1"));
    }

    /// Not everything can be dropped: what is left is scaled up.
    pub(crate) fn dropout(&mut self, value: f64) {
        self.demand((0.0..1.0).contains(&value), "dropout", || format!("{value} is not between 0 and 1"));
    }

    pub(crate) fn images(&mut self, resolution: usize, channels: usize, levels: usize) {
        self.positive("img_channels", channels);
        self.positive("img_resolution", resolution);
        let halvings = levels.saturating_sub(1).min(60);
        self.demand(resolution.is_multiple_of(1 << halvings), "img_resolution", || {
            format!("{resolution} cannot be halved {halvings} times, as {levels} levels need it")
        });
    }

    pub(crate) fn widths(&mut self, model_channels: usize, channel_mult: &[usize], num_blocks: usize) {
        self.positive("model_channels", model_channels);
        self.demand(!channel_mult.is_empty(), "channel_mult", || "needs at least one level".to_owned());
        self.demand(!channel_mult.contains(&0), "channel_mult", || "every level needs channels".to_owned());
        self.positive("num_blocks", num_blocks);
    }

    pub(crate) fn filter(&mut self, filter: &[f32]) {
        self.demand(!filter.is_empty() && filter.len().is_multiple_of(2), "resample_filter", || {
            format!("has {} taps, but halving and doubling need an even number", filter.len())
        });
        self.demand(filter.len() <= MOST_TAPS, "resample_filter", || {
            format!("has {} taps, and {MOST_TAPS} is the limit", filter.len())
        });
        // It is divided by the sum.
        let (sum, most) =
            (filter.iter().sum::<f32>(), filter.iter().fold(0f32, |most, tap| most.max(tap.abs())));
        self.demand(sum.is_normal() && sum.abs() >= 1e-3 * most, "resample_filter", || {
            format!("its taps sum to {sum}, by which they are divided")
        });
    }

    pub(crate) fn sigma_data(&mut self, sigma_data: f64) {
        self.demand(sigma_data > 0.0 && sigma_data.is_finite(), "sigma_data", || {
            format!("{sigma_data} is not a positive number")
        });
    }

    pub(crate) fn sigma_range(&mut self, sigma_min: Option<f64>, sigma_max: Option<f64>) {
        let low = sigma_min.unwrap_or(0.0);
        self.demand(low >= 0.0 && low.is_finite(), "sigma_min", || format!("{low} is not a noise level"));
        self.demand(sigma_max.is_none_or(|high| high > low), "sigma_max", || {
            "must be above sigma_min".to_owned()
        });
    }

    pub(crate) fn preconditioning(&mut self, preconditioning: &Preconditioning) {
        self.0.extend(preconditioning.problem().map(|problem| Problem { field: "preconditioning", problem }));
    }

    /// Every normalised width must fall into min(32, width / 4) equal groups.
    pub(crate) fn groups(&mut self, skeleton: &Skeleton) {
        let uneven =
            skeleton.layers().flat_map(|l| [(l, l.c_in), (l, l.c_out)]).find(|&(_, c)| !even_groups(c));
        if let Some((Layer { name, .. }, channels)) = uneven {
            let has = format!("block `{name}` has {channels} channels, which cannot be normalised in groups");
            let problem = format!("{has}: use a multiple of 4, from 128 on of 32");
            self.0.push(Problem { field: "model_channels", problem });
        }
    }

    /// Attention needs widths that are multiples of its heads.
    pub(crate) fn heads(&mut self, skeleton: &Skeleton, channels_per_head: usize) {
        let uneven = skeleton.layers().filter(|l| l.attention).find(|l| {
            let heads = l.c_out / channels_per_head;
            heads > 0 && !l.c_out.is_multiple_of(heads)
        });
        if let Some(Layer { name, c_out, .. }) = uneven {
            let heads = c_out / channels_per_head;
            let has = format!("block `{name}` has {c_out} channels");
            let problem = format!("{has}, which do not divide into {heads} attention heads");
            self.0.push(Problem { field: "model_channels", problem });
        }
    }
}

fn even_groups(channels: usize) -> bool {
    let groups = 32.min(channels / 4);
    groups > 0 && channels.is_multiple_of(groups)
}
