//! How much a pass keeps for its backward pass: what memory is needed for.

use super::{
    config::NetworkConfig,
    skeleton::{Kind, Layer},
};

/// What the gradients of a pass are wanted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Of the weights, and so of what they were multiplied with: a network that learns.
    Weights,
    /// Of the images alone: a network that judges.
    Images,
}

/// The values per image that a pass keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// By the encoder, up to the lowest resolution's first blocks.
    pub encoder: u64,
    /// By the decoder.
    pub decoder: u64,
    /// The largest activation: what the backward pass itself works on is a few of these.
    pub largest: u64,
}

impl Kept {
    /// By the whole network.
    pub fn all(self) -> u64 {
        self.encoder + self.decoder
    }
}

impl NetworkConfig {
    /// The values that a pass over one image keeps until its backward pass. Layers of one or three channels, embeddings
    /// and the sums of norms are left out: they are small.
    pub fn kept(&self, wanted: Wanted) -> Kept {
        let skeleton = self.skeleton();
        let per_layer = |layer: &Layer, encodes: bool| {
            if self.is_edm2() { edm2_block(layer, encodes, wanted) } else { block(layer, wanted) }
        };
        let sum = |layers: &[Layer], encodes: bool| -> u64 {
            layers.iter().map(|layer| per_layer(layer, encodes)).sum()
        };
        // Before the last convolution: a norm with its input, or nothing.
        let end = match (self.is_edm2(), wanted) {
            (true, Wanted::Weights) | (false, Wanted::Images) => 1,
            (true, Wanted::Images) => 0,
            (false, Wanted::Weights) => 2,
        };
        let pixels = (self.img_resolution() * self.img_resolution()) as u64;
        let largest = |layer: &Layer| area(layer.resolution) * layer.c_in.max(layer.c_out) as u64;
        Kept {
            encoder: sum(&skeleton.encoder, true),
            decoder: sum(&skeleton.decoder, false) + end * pixels * skeleton.out_channels as u64,
            largest: skeleton.layers().map(largest).max().unwrap_or(0),
        }
    }
}

fn area(resolution: usize) -> u64 {
    (resolution * resolution) as u64
}

/// A residual block of EDM's networks: two norms keep their inputs, two convolutions theirs.
fn block(layer: &Layer, wanted: Wanted) -> u64 {
    let (c_in, c_out, here) = (layer.c_in as u64, layer.c_out as u64, area(layer.resolution));
    let before = match layer.kind {
        Kind::Down => here * 4,
        Kind::Up => here / 4,
        Kind::Plain | Kind::Merge => here,
    };
    let norms = c_in * before + c_out * here;
    let convolutions = (c_in + c_out) * here;
    attention(layer, wanted, 2) + if wanted == Wanted::Weights { norms + convolutions } else { norms }
}

/// A residual block of EDM2: the encoder's begins with a pixel norm, the decoder's has its input for two paths.
fn edm2_block(layer: &Layer, encodes: bool, wanted: Wanted) -> u64 {
    let (c_in, c_out, here) = (layer.c_in as u64, layer.c_out as u64, area(layer.resolution));
    let activations = if encodes { 3 * c_out } else { c_in + c_out };
    let skip = if c_in != c_out && encodes { c_in } else { 0 };
    let convolutions = if encodes { 2 * c_out + skip } else { c_in + c_out };
    let kept = if wanted == Wanted::Weights { activations + convolutions } else { activations };
    attention(layer, wanted, 1) + kept * here
}

/// Self-attention: queries, keys, values, and what came out; around it convolutions, and before it perhaps a norm.
/// `inputs` are those of the norm, if there is one, and of the first convolution.
fn attention(layer: &Layer, wanted: Wanted, inputs: u64) -> u64 {
    let inputs = match wanted {
        Wanted::Weights => inputs,
        Wanted::Images => inputs - 1,
    };
    if layer.attention { (4 + inputs) * layer.c_out as u64 * area(layer.resolution) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(yaml: &serde_json::Value) -> NetworkConfig {
        serde_json::from_value(yaml.clone()).unwrap()
    }

    #[test]
    fn a_single_block_keeps_what_its_operations_need() {
        // One level, one block in the encoder, `in0` with attention, `in1` and two blocks in the decoder.
        let config = network(&serde_json::json!({ "ddpmpp": {
            "img_resolution": 4, "model_channels": 8, "channel_mult": [1], "num_blocks": 1, "attn_resolutions": [],
        } }));
        let kept = config.kept(Wanted::Weights);
        assert_eq!(kept.encoder, 16 * (8 + 8 + 8 + 8));
        // in0 with six more for attention, in1, two blocks from 16 to 8 channels; norm and convolution at the end.
        assert_eq!(kept.decoder, 16 * (32 + 48 + 32 + 2 * (16 + 8 + 16 + 8) + 16));
        let judged = config.kept(Wanted::Images);
        assert_eq!(judged.encoder, 16 * (8 + 8));
        assert_eq!(judged.decoder, 16 * (16 + 40 + 16 + 2 * (16 + 8) + 8));
    }
}
