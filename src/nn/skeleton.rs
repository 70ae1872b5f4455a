//! `Skeleton`: the order, names and widths of the layers that all three UNets share.

use super::registry::Registry;
use crate::Result;

/// Where a block stands and what it does to the resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block that halves the resolution.
    Down,
    /// A block that doubles the resolution.
    Up,
    /// A block on what came before.
    Plain,
    /// A decoder block on what came before, concatenated with an activation of the encoder.
    Merge,
}

/// One residual block.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The reference's name within `enc` or `dec`, such as `8x8_block0`.
    pub name: String,
    /// Where it stands.
    pub kind: Kind,
    /// Level, from 0 at full resolution.
    pub level: usize,
    /// Resolution of the output.
    pub resolution: usize,
    /// Channels that go in.
    pub c_in: usize,
    /// Channels that come out.
    pub c_out: usize,
    /// Whether self-attention follows.
    pub attention: bool,
}

/// What skeletons differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// DDPM++ and NCSN++: the first convolution has `model_channels`; of the decoder's blocks, the last one of an
    /// attention level has attention.
    Song,
    /// ADM and EDM2: the first convolution is as wide as the first level; all blocks of an attention level have
    /// attention.
    Adm,
}

/// The layers of a UNet.
#[derive(Clone, Debug)]
pub(crate) struct Skeleton {
    /// The reference's name of the convolution that the encoder begins with.
    pub conv: String,
    /// Channels that come out of that convolution.
    pub conv_channels: usize,
    /// The blocks of the encoder, from full resolution down.
    pub encoder: Vec<Layer>,
    /// The blocks of the decoder, from the lowest resolution up.
    pub decoder: Vec<Layer>,
    /// Channels that come out of the decoder.
    pub out_channels: usize,
}

impl Skeleton {
    /// The levels are `channel_mult` times `model_channels` wide, and there is at least one.
    pub(crate) fn new(
        img_resolution: usize,
        model_channels: usize,
        channel_mult: &[usize],
        num_blocks: usize,
        attn_resolutions: &[usize],
        plan: Plan,
    ) -> Self {
        let widths: Vec<usize> = channel_mult.iter().map(|m| m * model_channels).collect();
        let conv_channels = if plan == Plan::Song { model_channels } else { widths[0] };
        let layer = |level: usize, name: &str, kind, c_in, c_out, attention| {
            let resolution = img_resolution >> level;
            Layer {
                name: format!("{resolution}x{resolution}_{name}"),
                kind,
                level,
                resolution,
                c_in,
                c_out,
                attention,
            }
        };
        let attends = |level: usize| attn_resolutions.contains(&(img_resolution >> level));
        let mut encoder = Vec::new();
        let mut channels = conv_channels;
        for (level, &width) in widths.iter().enumerate() {
            if level > 0 {
                encoder.push(layer(level, "down", Kind::Down, channels, channels, false));
            }
            for i in 0..num_blocks {
                let name = format!("block{i}");
                encoder.push(layer(level, &name, Kind::Plain, channels, width, attends(level)));
                channels = width;
            }
        }
        let mut skips = vec![conv_channels];
        skips.extend(encoder.iter().map(|layer: &Layer| layer.c_out));
        let mut decoder = Vec::new();
        for (level, &width) in widths.iter().enumerate().rev() {
            if level + 1 == widths.len() {
                decoder.push(layer(level, "in0", Kind::Plain, channels, channels, true));
                decoder.push(layer(level, "in1", Kind::Plain, channels, channels, false));
            } else {
                decoder.push(layer(level, "up", Kind::Up, channels, channels, false));
            }
            for i in 0..=num_blocks {
                let skip = skips.pop().expect("the decoder has as many blocks as the encoder has outputs");
                let attention = attends(level) && (plan == Plan::Adm || i == num_blocks);
                let name = format!("block{i}");
                decoder.push(layer(level, &name, Kind::Merge, channels + skip, width, attention));
                channels = width;
            }
        }
        let conv = format!("{img_resolution}x{img_resolution}_conv");
        Self { conv, conv_channels, encoder, decoder, out_channels: channels }
    }

    /// All blocks.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.encoder.iter().chain(&self.decoder)
    }
}

/// Builds every block under its name.
pub(crate) fn blocks<B>(
    registry: &mut Registry,
    layers: &[Layer],
    mut build: impl FnMut(&mut Registry, &Layer) -> Result<B>,
) -> Result<Vec<B>> {
    layers.iter().map(|layer| registry.within(&layer.name, |r| build(r, layer))).collect()
}
