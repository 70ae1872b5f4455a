//! `Skeleton`: the order, names and widths of the layers that all three UNets share.

/// Where a layer stands and what it does to the resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first convolution of the encoder.
    Conv,
    /// A block that halves the resolution.
    Down,
    /// A block that doubles the resolution.
    Up,
    /// A block on what came before.
    Plain,
    /// A decoder block on what came before, concatenated with an activation of the encoder.
    Merge,
}

/// One convolution or residual block.
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
    /// Channels that go in; of a `Conv`, the image's are not known here and 0 stands for them.
    pub c_in: usize,
    /// Channels that come out.
    pub c_out: usize,
    /// Whether self-attention follows.
    pub attention: bool,
}

/// Which decoder blocks of an attention level have attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attention {
    /// All of them.
    AllBlocks,
    /// Only the last one (DDPM++, NCSN++).
    LastBlockOfDecoderLevels,
}

/// The layers of a UNet.
#[derive(Clone, Debug)]
pub(crate) struct Skeleton {
    /// From full resolution down.
    pub encoder: Vec<Layer>,
    /// From the lowest resolution up.
    pub decoder: Vec<Layer>,
}

impl Skeleton {
    /// `first` are the channels of the first convolution, `widths` those of the levels.
    pub(crate) fn new(
        img_resolution: usize,
        first: usize,
        widths: &[usize],
        num_blocks: usize,
        attn_resolutions: &[usize],
        attention: Attention,
    ) -> Self {
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
        let mut channels = first;
        for (level, &width) in widths.iter().enumerate() {
            encoder.push(if level == 0 {
                layer(level, "conv", Kind::Conv, 0, first, false)
            } else {
                layer(level, "down", Kind::Down, channels, channels, false)
            });
            for i in 0..num_blocks {
                encoder.push(layer(
                    level,
                    &format!("block{i}"),
                    Kind::Plain,
                    channels,
                    width,
                    attends(level),
                ));
                channels = width;
            }
        }
        let mut skips: Vec<usize> = encoder.iter().map(|l| l.c_out).collect();
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
                let attention = attends(level) && (attention == Attention::AllBlocks || i == num_blocks);
                decoder.push(layer(
                    level,
                    &format!("block{i}"),
                    Kind::Merge,
                    channels + skip,
                    width,
                    attention,
                ));
                channels = width;
            }
        }
        Self { encoder, decoder }
    }

    /// All layers.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.encoder.iter().chain(&self.decoder)
    }
}
