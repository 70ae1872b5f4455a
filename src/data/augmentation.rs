//! `Augmentation`: all that was drawn for a batch, and its application: the CPU's images are warped on the host, one sample
//! per task, a GPU's where they are.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::{
    augment::Chosen,
    warp::{Affine, SYM6, Warp},
};
use crate::kernels::{self, Slots};

/// Augmented images and what was done to each.
#[derive(Clone, Debug)]
pub struct Augmented {
    /// `[n, c, h, w]`, on the device of the input.
    pub images: Tensor<4>,
    /// `[n, label_dim]`, on the device of the input.
    pub labels: Tensor<2>,
}

/// An augmentation of images of one shape, with all that was drawn.
#[derive(Clone, Debug)]
pub struct Augmentation {
    /// What happens to each image, with its map from output to input pixels.
    pub(super) chosen: Vec<(Chosen, Affine)>,
    /// What moves pixels by fractions, where anything does; and the same for a device.
    pub(super) warp: Option<Warp>,
    pub(super) poses: Option<Tensor<2>>,
    /// `[n, label_dim]`
    pub(super) labels: Tensor<2>,
}

impl Augmentation {
    /// The augmented images, and what was done to each; on the GPU where the images are. Off the autodiff tape.
    ///
    /// # Panics
    /// If there is not one draw per sample.
    pub fn apply(&self, images: Tensor<4>) -> Augmented {
        let [n, c, h, w] = images.dims();
        assert_eq!(self.chosen.len(), n, "one draw per sample");
        let device = images.device();
        let warped = match &self.poses {
            Some(poses) => kernels::warp(images.detach(), poses, &SYM6),
            None => Err(images.detach()),
        };
        let images = warped.unwrap_or_else(|images| {
            let data = images.into_data().convert::<f32>();
            let mut pixels = data.try_into_vec::<f32>().expect("f32 after conversion");
            self.apply_host(&mut pixels, [c, h, w]);
            Tensor::from_data(TensorData::new(pixels, [n, c, h, w]), &device)
        });
        Augmented { images, labels: self.labels.clone() }
    }

    /// Shows what a device reads of it.
    pub fn each(&mut self, slots: &mut Slots) {
        // What was chosen is the host's.
        let Self { chosen: _, warp: _, poses, labels } = self;
        slots.tensor(labels);
        poses.iter_mut().for_each(|poses| slots.tensor(poses));
    }

    /// In place on host memory.
    fn apply_host(&self, images: &mut [f32], [c, h, w]: [usize; 3]) {
        if images.is_empty() {
            return;
        }
        images.par_chunks_mut(c * h * w).zip(&self.chosen).for_each(|(image, (chosen, map))| {
            // A plane turned by half is one flipped both ways.
            if chosen.yflip {
                image.chunks_mut(h * w).for_each(<[f32]>::reverse);
            }
            if chosen.xflip != chosen.yflip {
                image.chunks_mut(w).for_each(<[f32]>::reverse);
            }
            if let Some(warp) = &self.warp {
                warp.apply(image, map);
            }
        });
    }
}
