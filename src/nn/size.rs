//! How large a network is, by a formula: whatever its settings are, in no time.

use super::{check::Problems, config::NetworkConfig};

/// More parameters than any machine trains or loads: 400 GB in fp32.
const MOST_PARAMETERS: f64 = 1e11;
/// More blocks than any network has: even the smallest take seconds to build.
const MOST_BLOCKS: f64 = 16384.0;

/// The settings that decide on a network's size, each with what is usual.
#[derive(Debug)]
pub(super) struct Sizes<'a> {
    /// What a channel of a block is told: a shift, or a scale and a shift.
    pub(super) conditions: f64,
    pub(super) img_channels: usize,
    pub(super) label_dim: usize,
    pub(super) augment_dim: usize,
    pub(super) model_channels: usize,
    pub(super) channel_mult: &'a [usize],
    /// Width of the noise embedding, in multiples of `model_channels`.
    pub(super) noise: usize,
    /// Width of the conditioning vector, in multiples of `model_channels`.
    pub(super) embedding: usize,
    pub(super) num_blocks: usize,
}

impl Sizes<'_> {
    /// Blocks of encoder and decoder.
    fn blocks(&self) -> f64 {
        self.channel_mult.len() as f64 * (2.0 * self.num_blocks as f64 + 2.0) + 1.0
    }

    /// About how many parameters there are: those of convolutions and of conditioning.
    fn parameters(&self) -> f64 {
        let [model, blocks] = [self.model_channels, self.num_blocks].map(|n| n as f64);
        let (noise, embedding) = (model * self.noise as f64, model * self.embedding as f64);
        let of_level = |mult: &usize| {
            let width = model * *mult as f64;
            // Two 3x3 convolutions a block; the decoder's begin with twice the channels.
            let convolutions = 9.0 * width * width * (2.0 * blocks + 3.0 * (blocks + 1.0));
            convolutions + self.conditions * embedding * width * (2.0 * blocks + 1.0)
        };
        let inputs = (self.label_dim + self.augment_dim) as f64 * noise;
        let ends = 2.0 * 9.0 * self.img_channels as f64 * model;
        self.channel_mult.iter().map(of_level).sum::<f64>()
            + noise * embedding
            + embedding * embedding
            + inputs
            + ends
    }

    /// The setting that is furthest above what is usual.
    fn largest(&self) -> &'static str {
        let mult = self.channel_mult.iter().max().copied().unwrap_or(1);
        let shares = [
            ("num_blocks", self.num_blocks, 4),
            ("model_channels", self.model_channels, 192),
            ("channel_mult", mult, 4),
            ("channel_mult", self.channel_mult.len(), 4),
            ("label_dim", self.label_dim, 1000),
            ("augment_dim", self.augment_dim, 9),
            ("channel_mult_emb", self.embedding, 4),
            ("channel_mult_noise", self.noise, 2),
            ("img_channels", self.img_channels, 4),
        ];
        let share = |(_, n, usual): &(&str, usize, usize)| *n as f64 / *usual as f64;
        shares.iter().max_by(|a, b| share(a).total_cmp(&share(b))).map_or("num_blocks", |(name, ..)| name)
    }
}

/// Values that the operations of a block keep of an image, in multiples of those of its result: more than any does.
const KEPT_OF_A_BLOCK: f64 = 64.0;

impl NetworkConfig {
    /// More values than a pass keeps of an image, in no time: who has room for so many need not count.
    pub fn most_activations(&self) -> f64 {
        let sizes = self.sizes();
        let widest =
            sizes.channel_mult.iter().max().copied().unwrap_or(1) as f64 * sizes.model_channels as f64;
        let area = (self.img_resolution() as f64).powi(2);
        KEPT_OF_A_BLOCK * sizes.blocks() * area * widest
    }

    /// Adds that a network is too large for any machine, so that nothing of its size is tried.
    pub(super) fn check_size(&self, problems: &mut Problems) {
        let sizes = self.sizes();
        let (parameters, blocks) = (sizes.parameters(), sizes.blocks());
        let fits = parameters <= MOST_PARAMETERS && blocks <= MOST_BLOCKS;
        problems.demand(fits, sizes.largest(), || {
            let gigabytes = parameters * 4.0 / 1e9;
            format!(
                "the network would have about {parameters:.1e} parameters in {blocks:.0} blocks, {gigabytes:.0} GB in fp32: more than any machine holds, {MOST_PARAMETERS:.0e} parameters and {MOST_BLOCKS} blocks"
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(kind: &str, settings: &Value) -> NetworkConfig {
        serde_json::from_value(json!({ kind: settings })).unwrap()
    }

    /// The networks of the papers, whose parameters are listed one by one.
    #[test]
    fn the_formula_is_near_the_sum() {
        for (kind, settings) in [
            ("ddpmpp", json!({ "img_resolution": 32, "channel_mult": [2, 2, 2], "augment_dim": 9 })),
            ("ncsnpp", json!({ "img_resolution": 64, "label_dim": 10 })),
            ("adm", json!({ "img_resolution": 64, "label_dim": 1000 })),
            ("edm2", json!({ "img_resolution": 64, "label_dim": 1000 })),
        ] {
            let config = config(kind, &settings);
            let size = |entry: &crate::nn::registry::Entry| entry.shape.iter().product::<usize>();
            let sum: usize = config.shapes().unwrap().iter().filter(|e| e.is_parameter()).map(size).sum();
            let share = config.sizes().parameters() / sum as f64;
            assert!((0.5..2.0).contains(&share), "{kind}: {share}");
            let kept = config.kept(crate::nn::activations::Wanted::Weights, false);
            assert!(
                config.most_activations() > (kept.all() + kept.again + 4 * kept.largest) as f64,
                "{kind}"
            );
        }
    }

    #[test]
    fn what_no_machine_holds_is_refused_at_once_with_its_size() {
        for (field, value) in [
            ("num_blocks", json!(1_000_000)),
            ("num_blocks", json!(1 << 30)),
            ("model_channels", json!(1_000_000_000)),
            ("channel_mult", json!([1, 65536])),
            ("channel_mult", json!(vec![1; 13])),
            ("label_dim", json!(16_777_216)),
            ("channel_mult_emb", json!(65536)),
            ("channel_mult_noise", json!(65536)),
        ] {
            for kind in ["ddpmpp", "ncsnpp", "adm", "edm2"] {
                if kind == "adm" && field == "channel_mult_noise" {
                    continue;
                }
                let mut settings = json!({ "img_resolution": 4096, "model_channels": 16384 });
                settings[field] = value.clone();
                let started = std::time::Instant::now();
                let problems = config(kind, &settings).check();
                assert!(started.elapsed().as_millis() < 100, "{kind} {field}");
                let said: Vec<_> = problems.iter().filter(|p| p.problem.contains("parameters in")).collect();
                assert_eq!(said.len(), 1, "{kind} {field}: {problems:?}");
            }
        }
    }
}
