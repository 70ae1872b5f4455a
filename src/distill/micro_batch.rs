//! `MicroBatch`: everything random, and everything from the dataset, that one round of a distillation needs.

use std::ops::Range;

use burn::tensor::Tensor;

use super::recipe::Distill;
use crate::{
    Result,
    data::Augmentation,
    diffusion::LogNormal,
    kernels::Slots,
    nn::Dropout,
    seed::Phase,
    training::{Batch, Draws, Inputs, Pass, Real, Request, Supply},
};

/// One micro-batch of either phase.
#[derive(Clone, Debug)]
pub struct MicroBatch {
    /// Standard normals that the generator turns into images. `[n, c, h, w]`
    pub latents: Tensor<4>,
    /// Standard normals between the steps of a generator with several. Each `[n, c, h, w]`
    pub step_noise: Vec<Tensor<4>>,
    /// The noise under which images are judged, generated and real ones alike; classes, dropout.
    pub pass: Pass,
    /// What happens to the generated images before the fake score network sees them.
    pub augmentation: Option<Augmentation>,
    /// Real images, augmented independently of the generated ones; in the fake score phase with an adversarial term.
    pub real: Option<Real>,
    /// What the pass over real images drops.
    pub real_dropout: Dropout,
}

impl Inputs for MicroBatch {
    fn each(&mut self, slots: &mut Slots) {
        let Self { latents, step_noise, pass, augmentation, real, real_dropout } = self;
        slots.tensor(latents);
        step_noise.iter_mut().for_each(|noise| slots.tensor(noise));
        pass.each(slots);
        augmentation.iter_mut().for_each(|augmentation| augmentation.each(slots));
        real.iter_mut().for_each(|real| real.each(slots));
        real_dropout.each(slots);
    }
}

/// The micro-batches of a distillation.
#[derive(Debug)]
pub struct DistillSupply<'a, B> {
    /// Where noise levels and steps are written.
    pub recipe: &'a Distill,
    /// Shape of one image. `[c, h, w]`
    pub image_shape: [usize; 3],
    /// Seed and dataset.
    pub draws: Draws<B>,
}

impl<B: FnMut(Request) -> Result<Batch>> Supply for DistillSupply<'_, B> {
    type MicroBatch = MicroBatch;

    fn micro_batch(&mut self, phase: Phase, nimg: u64, samples: Range<u64>) -> Result<MicroBatch> {
        let (recipe, shape) = (self.recipe, self.image_shape);
        let levels = LogNormal { p_mean: recipe.fake_score.p_mean, p_std: recipe.fake_score.p_std };
        let terms = recipe.method.terms();
        let learns_score = phase == Phase::FakeScore;
        let images = learns_score && terms.adversarial.is_some();
        let (batch, draws) = self.draws.round(phase, nimg, samples, images)?;
        let sigma = if learns_score { draws.levels(levels) } else { draws.judged_levels(terms.tmax) };
        let augmentation = |purpose| if learns_score { draws.augmentation(purpose, shape) } else { None };
        let dropout = draws.dropout(Some(if learns_score { "fake" } else { "generator" }));
        let real_dropout = if images { draws.dropout(Some("real")) } else { Dropout::Off };
        let steps = 1..recipe.generator.num_steps;
        Ok(MicroBatch {
            latents: draws.normals("z", shape),
            step_noise: steps.map(|k| draws.normals(&format!("z{k}"), shape)).collect(),
            pass: draws.pass(sigma, shape, batch.class_labels, dropout),
            augmentation: augmentation("augment_fake"),
            real: batch.images.map(|images| Real::new(images, augmentation("augment_real"))),
            real_dropout,
        })
    }
}
