//! `Denoiser`: what every network of the field does, and the values that go in and out.

use burn::{module::Module, tensor::Tensor};

use super::{encoded::logits, masks::Masks};
use crate::kernels::Slots;

/// What a network says about noisy images.
#[derive(Clone, Debug)]
pub struct Denoised {
    /// D(x; sigma). `[n, c, h, w]`
    pub images: Tensor<4>,
    /// The last encoder activation. `[n, h', w', c']`
    pub encoding: Tensor<4>,
    /// u(sigma), where the network has that head (EDM2). `[n, 1, 1, 1]`
    pub logvar: Option<Tensor<4>>,
}

impl Denoised {
    /// SiDA's discriminator: the last encoder activation averaged over its channels. `[n, 1, h', w']`
    pub fn logits(&self) -> Tensor<4> {
        logits(self.encoding.clone())
    }
}

/// What a network is told besides the noise level.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// One-hot classes; `None` or a row of zeros means unconditional. `[n, classes]`
    pub class_labels: Option<Tensor<2>>,
    /// Augmentation parameters; `None` means not augmented. `[n, 9]`
    pub augment_labels: Option<Tensor<2>>,
}

/// Whether a pass drops activations.
#[derive(Clone, Debug)]
pub enum Dropout {
    /// Evaluation mode.
    Off,
    /// Training mode.
    On(Box<Masks>),
}

impl Dropout {
    /// Shows what a pass reads of it.
    pub fn each(&mut self, slots: &mut Slots) {
        if let Self::On(masks) = self {
            masks.each(slots);
        }
    }
}

/// A preconditioned network: the teacher, the fake score network and the generator are all one.
///
/// Passes never change weights: forced normalisation is a step of its own.
pub trait Denoiser: Module {
    /// The denoised images with all that the pass yields on the way. noisy `[n, c, h, w]`, sigma `[n, 1, 1, 1]`
    fn denoise(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
    ) -> Denoised;

    /// The encoder alone, which is enough to judge real images. => logits `[n, 1, h', w']`
    fn encode(
        &self,
        noisy: Tensor<4>,
        sigma: Tensor<4>,
        condition: &Condition,
        dropout: Dropout,
    ) -> Tensor<4>;

    /// The reference's names of all parameters, in the order in which `Module::visit` meets them, which is the
    /// order of registration in the reference. Buffers are not among them.
    fn parameter_names(&self) -> Vec<String>;

    /// EDM2's forced normalisation (a step of training, never of a pass): the network with every weight replaced
    /// by its normalised self. Networks that know none stay as they are.
    #[must_use]
    fn force_weight_normalization(self) -> Self {
        self
    }
}
