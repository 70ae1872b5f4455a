//! Affine warping of images where they are on a GPU.

use burn::tensor::Tensor;

/// How images are warped, beside each one's pose; `data::warp` says what the steps are.
#[derive(Clone, Debug)]
pub struct Warping<'a> {
    /// The low-pass filter of both resamplings; a GPU's kernels are compiled for it.
    pub filter: &'a [f32],
    /// Pixels by which images are continued: left, top, right, bottom.
    pub margin: [usize; 4],
    /// One for each image.
    pub poses: &'a [Pose],
}

/// How one image is warped.
#[derive(Clone, Copy, Debug)]
pub struct Pose {
    /// From pixels of the sampled image, whose rim is a quarter of the filter's length, to those of the continued and
    /// upsampled one: the upper two rows of a matrix, row by row.
    pub map: [f32; 6],
    /// Whether it is flipped along x, along y before that.
    pub flips: [bool; 2],
}

/// Warps f32 images that are on a GPU, off the tape; gives others back, which the host has at hand. `[n, c, h, w]`
///
/// # Errors
/// No failure: the images of the CPU.
#[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
pub fn warp(images: Tensor<4>, warping: &Warping<'_>) -> Result<Tensor<4>, Tensor<4>> {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    return gpu::warp(images, warping);
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    {
        let _ = warping;
        Err(images)
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu {
    use burn::tensor::{DType, Tensor, TensorData};

    use super::{
        super::{engine::Cube, gpu::warp as gpu, tape::Operand},
        Pose, Warping,
    };

    #[allow(clippy::result_large_err, reason = "as above")]
    pub(super) fn warp(images: Tensor<4>, warping: &Warping<'_>) -> Result<Tensor<4>, Tensor<4>> {
        if images.dtype() != DType::F32 {
            return Err(images);
        }
        let device = images.device();
        let (context, images) = Operand::<Cube>::try_from(images)?.into_parts();
        let numbers = |Pose { map, flips }: &Pose| {
            let [x, y] = flips.map(|flip| f32::from(u8::from(flip)));
            [map[0], map[1], map[2], map[3], map[4], map[5], x, y]
        };
        let poses: Vec<f32> = warping.poses.iter().flat_map(numbers).collect();
        let poses = Tensor::<2>::from_data(TensorData::new(poses, [warping.poses.len(), gpu::POSE]), &device);
        let poses = Operand::<Cube>::of(poses).into_array();
        Ok(context.constant::<Cube, 4>(gpu::warp(images, poses, warping.filter, warping.margin)))
    }
}
