//! Inception v3 as the graph of 2015-12-05 has it: the detector of FID and of the Inception Score.

use std::borrow::Cow;

use burn::tensor::{Device, Tensor, activation::softmax};

use super::{
    inception_blocks::{Layout, MIXED_5_AND_6, MIXED_7, Mixed},
    inception_names,
    inception_resize::InceptionInput,
    inception_unit::{Unit, global_average},
    registry::{Init, Registry},
};
use crate::{Result, kernels, state_dict::StateDict};

/// The FID network. Differs from a torchvision Inception: average pools leave padding out of the count, the last
/// block has a maximum pool, and there are 1008 classes.
#[derive(Clone, Debug)]
pub struct InceptionV3 {
    conv2d_1a: Unit,
    conv2d_2a: Unit,
    conv2d_2b: Unit,
    conv2d_3b: Unit,
    conv2d_4a: Unit,
    mixed_5_and_6: Vec<Mixed>,
    mixed_7: Vec<Mixed>,
    /// `[classes, features]`
    fc_weight: Tensor<2>,
    /// `[classes]`
    fc_bias: Tensor<1>,
}

/// Everything that metrics may want to read from one pass. Widths are those of the public weights.
#[derive(Clone, Debug)]
pub struct InceptionOutputs {
    /// Average over positions behind the first maximum pool. `[n, 64]`
    pub features_64: Tensor<2>,
    /// The same behind the second maximum pool. `[n, 192]`
    pub features_192: Tensor<2>,
    /// The same behind `Mixed_6e`. `[n, 768]`
    pub features_768: Tensor<2>,
    /// The features of FID. `[n, 2048]`
    pub features_2048: Tensor<2>,
    /// `[n, 1008]`
    pub logits: Tensor<2>,
    /// Without the last layer's bias. `[n, 1008]`
    pub logits_unbiased: Tensor<2>,
    /// The probabilities of the Inception Score: softmax of the unbiased logits. `[n, 1008]`
    pub probs_no_bias: Tensor<2>,
}

impl InceptionV3 {
    /// Loads the public weights (`pt_inception-2015-12-05`, or NVIDIA's `inception-2015-12-05` with its own names),
    /// every batch normalisation folded into its convolution. Counters of seen batches are passed over.
    ///
    /// # Errors
    ///
    /// Tensors that are missing, unexpected or of another shape; names of another kind of file.
    pub fn load(dict: &StateDict, origin: &str, device: &Device) -> Result<Self> {
        let dict = inception_names::public(dict, origin)?;
        let renamed = matches!(dict, Cow::Owned(_)).then_some(" (its tensors under pytorch-fid's names)");
        let origin = format!("{origin}{}", renamed.unwrap_or_default());
        let mut registry = Registry::weights(&dict, &origin, device);
        let r = &mut registry;
        let mut unit = |name: &str, inputs: usize, side: usize| Unit::load(r, name, inputs, [side; 2]);
        let conv2d_1a = unit("Conv2d_1a_3x3", 3, 3)?.halving();
        let conv2d_2a = unit("Conv2d_2a_3x3", conv2d_1a.outputs(), 3)?.valid();
        let conv2d_2b = unit("Conv2d_2b_3x3", conv2d_2a.outputs(), 3)?;
        let conv2d_3b = unit("Conv2d_3b_1x1", conv2d_2b.outputs(), 1)?;
        let conv2d_4a = unit("Conv2d_4a_3x3", conv2d_3b.outputs(), 3)?.valid();

        let mut channels = conv2d_4a.outputs();
        let mut mixed = |blocks: &[(&str, Layout)]| -> Result<Vec<Mixed>> {
            let block = |(name, layout): &(&str, Layout)| {
                let block = r.within(name, |r| Mixed::load(r, layout, channels))?;
                channels = block.outputs();
                Ok(block)
            };
            blocks.iter().map(block).collect()
        };
        let (mixed_5_and_6, mixed_7) = (mixed(&MIXED_5_AND_6)?, mixed(&MIXED_7)?);

        let classes = r.width("fc.bias")?;
        let network = Self {
            fc_weight: r.parameter("fc.weight", [classes, channels], Init::ZERO)?.into_value(),
            fc_bias: r.parameter("fc.bias", [classes], Init::ZERO)?.into_value(),
            conv2d_1a,
            conv2d_2a,
            conv2d_2b,
            conv2d_3b,
            conv2d_4a,
            mixed_5_and_6,
            mixed_7,
        };
        registry.finish_without(|name| name.ends_with(".bn.num_batches_tracked"))?;
        Ok(network)
    }

    /// All outputs of one pass. images in 0..=255, any size, `[n, 3, h, w]`
    pub fn outputs(&self, images: Tensor<4>, input: InceptionInput) -> InceptionOutputs {
        let through = |x, blocks: &[Mixed]| blocks.iter().fold(x, |x, block| block.forward(x));
        let x = kernels::to_nhwc(input.scale(input.resize(images)));
        let x = self.conv2d_2a.forward(self.conv2d_1a.forward(x));
        let pool_1 = kernels::max_pool(self.conv2d_2b.forward(x), 2, 0);
        let x = self.conv2d_3b.forward(pool_1.clone());
        let pool_2 = kernels::max_pool(self.conv2d_4a.forward(x), 2, 0);
        let mixed_6e = through(pool_2.clone(), &self.mixed_5_and_6);
        let features_2048 = global_average(through(mixed_6e.clone(), &self.mixed_7));
        let logits_unbiased = kernels::dense(features_2048.clone(), self.fc_weight.clone(), None);
        InceptionOutputs {
            features_64: global_average(pool_1),
            features_192: global_average(pool_2),
            features_768: global_average(mixed_6e),
            features_2048,
            logits: logits_unbiased.clone() + self.fc_bias.clone().unsqueeze(),
            probs_no_bias: softmax(logits_unbiased.clone(), 1),
            logits_unbiased,
        }
    }
}
