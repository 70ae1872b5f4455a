//! `TeacherBatch`: real images with everything random that a teacher's training needs of them.

use std::ops::Range;

use super::recipe::TrainTeacher;
use crate::{
    Error, Result,
    diffusion::LogNormal,
    kernels::Slots,
    seed::Phase,
    training::{Batch, Draws, Inputs, Pass, Real, Request, Supply},
};

/// One micro-batch of real images.
#[derive(Clone, Debug)]
pub struct TeacherBatch {
    /// The images.
    pub real: Real,
    /// Noise, classes, dropout.
    pub pass: Pass,
}

impl Inputs for TeacherBatch {
    fn each(&mut self, slots: &mut Slots) {
        let Self { real, pass } = self;
        real.each(slots);
        pass.each(slots);
    }
}

/// The micro-batches of a teacher's training.
#[derive(Debug)]
pub struct TeacherSupply<'a, B> {
    /// Where the noise levels are written.
    pub recipe: &'a TrainTeacher,
    /// Seed and dataset.
    pub draws: Draws<B>,
}

impl<B: FnMut(Request) -> Result<Batch>> Supply for TeacherSupply<'_, B> {
    type MicroBatch = TeacherBatch;

    fn micro_batch(&mut self, phase: Phase, nimg: u64, samples: Range<u64>) -> Result<TeacherBatch> {
        let levels = LogNormal { p_mean: self.recipe.p_mean, p_std: self.recipe.p_std };
        let (Batch { images, class_labels }, draws) = self.draws.round(phase, nimg, samples, true)?;
        let images = images.ok_or_else(|| {
            Error::Unusable("the dataset holds labels only: there is nothing to learn from".into())
        })?;
        let [_, c, h, w] = images.dims();
        let shape = [c, h, w];
        let pass = draws.pass(draws.levels(levels), shape, class_labels, draws.dropout(None));
        Ok(TeacherBatch { real: Real::new(images, draws.augmentation("augment", shape)), pass })
    }
}
