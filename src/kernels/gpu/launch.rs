//! What every launch needs: extents of the grid, and memory for what comes out.

use burn_backend::DType;
use burn_cubecl::{ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

/// Units of a cube, unless a kernel has a reason for others.
pub(crate) const UNITS: u32 = 256;

/// An unwritten tensor of this shape, of the type and on the device of `like`.
pub(crate) fn empty<const D: usize>(like: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    empty_of(like, shape, like.dtype)
}

/// The same, of another type.
pub(crate) fn empty_of<const D: usize>(like: &CubeTensor, shape: [usize; D], dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), dtype)
}

/// The type of a tensor's values, as kernels are told.
pub(crate) fn element(tensor: &CubeTensor) -> ElemType {
    burn_backend::cubecl::dtype_to_elem_type(tensor.dtype)
}

/// How many values a unit moves at once: the most that divide `row`, a tensor's last extent, for all of these types.
pub(crate) fn vector(tensors: &[&CubeTensor], row: usize) -> usize {
    let widest = |tensor: &&CubeTensor| {
        let sizes = tensor.client.io_optimized_vector_sizes(tensor.dtype.size());
        sizes.filter(|n| row.is_multiple_of(*n)).max()
    };
    tensors.iter().filter_map(widest).min().unwrap_or(1)
}

/// The extents, of a known rank.
pub(crate) fn dims<const D: usize>(tensor: &CubeTensor) -> [usize; D] {
    tensor.meta.shape().dims()
}

/// So many cubes, along two axes where they are too many for one.
pub(crate) fn cubes(count: usize) -> CubeCount {
    const ALONG_X: usize = 65535;
    if count <= ALONG_X {
        CubeCount::new_1d(count as u32)
    } else {
        let y = count.div_ceil(ALONG_X);
        CubeCount::new_2d(count.div_ceil(y) as u32, y as u32)
    }
}

/// Cubes of `UNITS` for so many elements, one each.
pub(crate) fn cubes_for(elements: usize) -> (CubeCount, CubeDim) {
    (cubes(elements.div_ceil(UNITS as usize)), CubeDim::new_1d(UNITS))
}
