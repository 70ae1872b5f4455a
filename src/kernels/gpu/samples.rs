//! Samples, each with numbers of its own. A unit takes a value: these are images, not activations.

use burn_backend::DType;
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{UNITS, cubes, cubes_for, element, empty_like, empty_of},
    sum::row_sum,
};

#[cube(launch)]
fn scale_kernel<F: Float>(
    x: &[F],
    weights: &[f32],
    y: &mut [F],
    width: usize,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        y[ABSOLUTE_POS] = F::cast_from(f32::cast_from(x[ABSOLUTE_POS]) * weights[ABSOLUTE_POS / width]);
    }
}

/// Every sample times its weight. `[n, ..]`, f32 `[n, 1, 1, 1]`
pub fn scale(x: CubeTensor, weights: CubeTensor) -> CubeTensor {
    let [x, weights] = [x, weights].map(into_contiguous);
    let (y, client, dtype) = (empty_like(&x), x.client.clone(), element(&x));
    let (elements, width) = extents(&x, &weights);
    let (cubes, dim) = cubes_for(elements);
    scale_kernel::launch(
        &client,
        cubes,
        dim,
        x.into_buffer_arg(),
        weights.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        width,
        elements,
        dtype,
    );
    y
}

#[cube(launch)]
fn blend_kernel<F: Float>(
    a: &[F],
    weights_a: ComptimeOption<&[f32]>,
    b: &[F],
    weights_b: &[f32],
    sum: &mut [F],
    width: usize,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let sample = ABSOLUTE_POS / width;
        let mut total = f32::cast_from(a[ABSOLUTE_POS]);
        #[comptime]
        match weights_a {
            ComptimeOption::Some(weights) => {
                total *= weights[sample];
            }
            ComptimeOption::None => {}
        }
        sum[ABSOLUTE_POS] = F::cast_from(total + f32::cast_from(b[ABSOLUTE_POS]) * weights_b[sample]);
    }
}

/// `a * weights_a + b * weights_b`, sample by sample; without `weights_a` they are 1. `[n, ..]`, f32 `[n, 1, 1, 1]`
pub fn blend(
    a: CubeTensor,
    weights_a: Option<CubeTensor>,
    b: CubeTensor,
    weights_b: CubeTensor,
) -> CubeTensor {
    let [a, b, weights_b] = [a, b, weights_b].map(into_contiguous);
    let (sum, client, dtype) = (empty_like(&a), a.client.clone(), element(&a));
    let (elements, width) = extents(&a, &weights_b);
    let (cubes, dim) = cubes_for(elements);
    blend_kernel::launch(
        &client,
        cubes,
        dim,
        a.into_buffer_arg(),
        weights_a.map(|weights| into_contiguous(weights).into_buffer_arg()).into(),
        b.into_buffer_arg(),
        weights_b.into_buffer_arg(),
        sum.clone().into_buffer_arg(),
        width,
        elements,
        dtype,
    );
    sum
}

/// A cube for each sample. The first tensor's marks are written, others' added.
#[cube(launch)]
fn have_nan_kernel<F: Float>(
    x: &[F],
    marks: &mut [f32],
    width: usize,
    #[comptime] first: bool,
    #[define(F)] _dtype: ElemType,
) {
    let sample = CUBE_POS;
    let mut found = 0.0f32;
    let mut i = UNIT_POS_X as usize;
    while i < width {
        // By its bits: compilers may take it that there is no NaN.
        let bits = u32::reinterpret(f32::cast_from(x[sample * width + i]));
        if bits & 0x7fff_ffffu32 > 0x7f80_0000u32 {
            found = 1.0f32;
        }
        i += CUBE_DIM_X as usize;
    }
    let found = row_sum(found, UNITS, 1u32);
    if UNIT_POS_X == 0 {
        if found > 0.0f32 {
            marks[sample] = 1.0f32;
        } else if comptime!(first) {
            marks[sample] = 0.0f32;
        }
    }
}

/// 1 for every sample with a NaN in any of the tensors, 0 for the others. `[n, ..]` => f32 `[n, 1, 1, 1]`
pub fn have_nan(tensors: &[CubeTensor]) -> CubeTensor {
    let n = tensors[0].meta.shape()[0];
    let marks = empty_of(&tensors[0], [n, 1, 1, 1], DType::F32);
    for (i, x) in tensors.iter().enumerate() {
        let x = into_contiguous(x.clone());
        let (width, client, dtype) = (x.meta.num_elements() / n, x.client.clone(), element(&x));
        have_nan_kernel::launch(
            &client,
            cubes(n),
            CubeDim::new_1d(UNITS),
            x.into_buffer_arg(),
            marks.clone().into_buffer_arg(),
            width,
            i == 0,
            dtype,
        );
    }
    marks
}

#[cube(launch)]
fn only_kernel<F: Float>(
    x: &[F],
    marks: &[f32],
    y: &mut [F],
    width: usize,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let mut value = x[ABSOLUTE_POS];
        if marks[ABSOLUTE_POS / width] != 0.0f32 {
            value = F::cast_from(0.0f32);
        }
        y[ABSOLUTE_POS] = value;
    }
}

/// Unmarked samples as they are, marked ones as zeros. `[n, ..]`, f32 `[n, 1, 1, 1]`
pub fn only(x: CubeTensor, marks: CubeTensor) -> CubeTensor {
    let [x, marks] = [x, marks].map(into_contiguous);
    let (y, client, dtype) = (empty_like(&x), x.client.clone(), element(&x));
    let (elements, width) = extents(&x, &marks);
    let (cubes, dim) = cubes_for(elements);
    only_kernel::launch(
        &client,
        cubes,
        dim,
        x.into_buffer_arg(),
        marks.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        width,
        elements,
        dtype,
    );
    y
}

/// How many values there are, and how many a sample has.
pub(crate) fn extents(x: &CubeTensor, numbers: &CubeTensor) -> (usize, usize) {
    let elements = x.meta.num_elements();
    (elements, elements / numbers.meta.num_elements())
}
