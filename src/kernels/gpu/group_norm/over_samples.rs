//! From what every sample adds to the gradients of weight and bias, these.

use burn_cubecl::tensor::CubeTensor;
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    column_sums::{HEIGHT, WIDTH},
    launch::{dims, element, empty_like, vector},
    silu::splat,
    sum::column_sum,
};

/// Sums over samples; parts `[2, samples, columns]` of vectors.
#[cube(launch)]
fn over_samples_kernel<P: Float, N: Size>(
    parts: &[Vector<f32, N>],
    dweight: &mut [Vector<P, N>],
    dbias: &mut [Vector<P, N>],
    samples: usize,
    columns: usize,
    #[define(P)] _dtype: ElemType,
) {
    let column = (CUBE_POS_X * WIDTH + UNIT_POS_X) as usize;
    let start = CUBE_POS_Y as usize * samples;
    let mut sum = splat::<N>(0.0f32);
    if column < columns {
        let mut sample = UNIT_POS_Y as usize;
        while sample < samples {
            sum += parts[(start + sample) * columns + column];
            sample += HEIGHT as usize;
        }
    }
    let sum = column_sum::<N>(sum, WIDTH, HEIGHT);
    if column < columns && UNIT_POS_Y == 0 {
        if CUBE_POS_Y == 0 {
            dweight[column] = Vector::cast_from(sum);
        } else {
            dbias[column] = Vector::cast_from(sum);
        }
    }
}

/// The gradients to weight and bias, of the weight's type. parts `[2, n, c]`
pub(super) fn over_samples(parts: CubeTensor, weight: &CubeTensor) -> (CubeTensor, CubeTensor) {
    let [_, samples, c] = dims(&parts);
    let [dweight, dbias] = [0, 1].map(|_| empty_like(weight));
    let (client, vector, dtype) = (parts.client.clone(), vector(&[&parts, weight], c), element(weight));
    over_samples_kernel::launch(
        &client,
        CubeCount::new_2d((c / vector).div_ceil(WIDTH as usize) as u32, 2),
        CubeDim::new_2d(WIDTH, HEIGHT),
        vector,
        parts.into_buffer_arg(),
        dweight.clone().into_buffer_arg(),
        dbias.clone().into_buffer_arg(),
        samples,
        c / vector,
        dtype,
    );
    (dweight, dbias)
}
