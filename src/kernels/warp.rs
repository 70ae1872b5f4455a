//! Affine warping of images where they are on a GPU.

use burn::tensor::{Device, Tensor, TensorData};

/// How one image is warped; `data::warp` says what the steps are.
#[derive(Clone, Copy, Debug)]
pub struct Pose {
    /// From pixels of the sampled image, whose rim is a quarter of the filter's length, to those of the continued and
    /// upsampled one: the upper two rows of a matrix, row by row.
    pub map: [f32; 6],
    /// Whether it is flipped along x, along y before that.
    pub flips: [bool; 2],
    /// Pixels by which it is continued: left, top, right, bottom.
    pub margin: [usize; 4],
}

/// Numbers of a pose on a device.
const POSE: usize = 12;

/// Poses on a device. `[n, 12]`
pub fn poses(poses: &[Pose], device: &Device) -> Tensor<2> {
    let numbers = |Pose { map: [a, b, c, d, e, f], flips, margin }: &Pose| {
        let [x, y] = flips.map(|flip| f32::from(u8::from(flip)));
        let [left, top, right, bottom] = margin.map(|pixels| pixels as f32);
        [*a, *b, *c, *d, *e, *f, x, y, left, top, right, bottom]
    };
    let numbers: Vec<f32> = poses.iter().flat_map(numbers).collect();
    Tensor::from_data(TensorData::new(numbers, [poses.len(), POSE]), device)
}

/// Warps f32 images that are on a GPU, off the tape; gives others back, which the host has at hand. Both resamplings have
/// the low-pass `filter`; kernels are compiled for it. `[n, c, h, w]`, poses `[n, 12]`
///
/// # Errors
/// No failure: the images of the CPU.
#[allow(clippy::result_large_err, reason = "a tensor given back is not an error but the other path")]
pub fn warp(images: Tensor<4>, poses: &Tensor<2>, filter: &[f32]) -> Result<Tensor<4>, Tensor<4>> {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    return gpu::warp(images, poses.clone(), filter);
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    {
        let _ = (poses, filter);
        Err(images)
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu {
    use burn::tensor::{DType, Tensor};

    use super::super::{engine::Cube, gpu::warp as gpu, tape::Operand};

    #[allow(clippy::result_large_err, reason = "as above")]
    pub(super) fn warp(images: Tensor<4>, poses: Tensor<2>, filter: &[f32]) -> Result<Tensor<4>, Tensor<4>> {
        if images.dtype() != DType::F32 {
            return Err(images);
        }
        let (context, images) = Operand::<Cube>::try_from(images)?.into_parts();
        let poses = Operand::<Cube>::of(poses).into_array();
        Ok(context.constant::<Cube, 4>(gpu::warp(images, poses, filter)))
    }
}
