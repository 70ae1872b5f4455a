//! The normalised values.

use burn_backend::DType;
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use super::{Parameters, Tiling, effective, or_zero};
use crate::{
    launch::{dims, element, empty_like, empty_of},
    silu::{silu, splat},
    sum::column_sum,
};

/// x and y `[n, hw, columns]` of vectors; stats `[n, groups, 2]`: mean and reciprocal deviation.
#[cube(launch)]
fn group_norm_kernel<F: Float, P: Float, S: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[Vector<P, N>],
    bias: &[Vector<P, N>],
    before: ComptimeOption<&[Vector<S, N>]>,
    scale_shift: ComptimeOption<&[Vector<S, N>]>,
    y: &mut [Vector<F, N>],
    stats: &mut [f32],
    hw: usize,
    columns: usize,
    group: usize,
    eps: f32,
    #[comptime] width: u32,
    #[comptime] height: u32,
    #[comptime] with_silu: bool,
    #[define(F, P, S)] _dtypes: [ElemType; 3],
) {
    let column = (CUBE_POS_X * width + UNIT_POS_X) as usize;
    let sample = CUBE_POS_Y as usize;
    let of_sample = sample * columns + column;
    let start = sample * hw * columns + column;
    let shift_before = or_zero::<S, N>(&before, of_sample);

    // Per channel, relative to the first position, so that nothing cancels.
    let pivot = Vector::<f32, N>::cast_from(x[start]);
    let mut sum = splat::<N>(0.0f32);
    let mut squares = splat::<N>(0.0f32);
    let mut position = UNIT_POS_Y as usize;
    while position < hw {
        let d = Vector::<f32, N>::cast_from(x[start + position * columns]) - pivot;
        sum += d;
        squares += d * d;
        position += height as usize;
    }
    let share = splat::<N>(1.0f32 / f32::cast_from(hw));
    let mean = column_sum::<N>(sum, width, height) * share;
    let square = column_sum::<N>(squares, width, height) * share - mean * mean;

    // Of the cube's channels.
    let lanes = N::value();
    let mut means = Shared::<[f32]>::new_slice(comptime!(width as usize * lanes));
    let mut variances = Shared::<[f32]>::new_slice(comptime!(width as usize * lanes));
    let channel = UNIT_POS_X as usize * lanes;
    if UNIT_POS_Y == 0 {
        let shifted = pivot + mean + shift_before;
        #[unroll]
        for i in 0..N::value() {
            means[channel + i] = shifted.extract(i);
            variances[channel + i] = max(square.extract(i), 0.0f32);
        }
    }
    sync_cube();

    let mut mu = splat::<N>(0.0f32);
    let mut r = splat::<N>(0.0f32);
    #[unroll]
    for i in 0..N::value() {
        let first = (channel + i) / group * group;
        let mut sum = 0.0f32;
        for j in 0..group {
            sum += means[first + j];
        }
        let of_group = sum / f32::cast_from(group);
        let mut variance = 0.0f32;
        for j in 0..group {
            let distance = means[first + j] - of_group;
            variance += variances[first + j] + distance * distance;
        }
        let deviation = 1.0f32 / (variance / f32::cast_from(group) + eps).sqrt();
        mu.insert(i, of_group);
        r.insert(i, deviation);
        if UNIT_POS_Y == 0 && first == channel + i {
            let at = (of_sample * lanes + i) / group * 2;
            stats[at] = of_group;
            stats[at + 1] = deviation;
        }
    }

    let (gain, constant) = effective::<P, S, N>(weight, bias, &scale_shift, column, columns, sample);
    let factor = gain * r;
    let offset = (shift_before - mu) * factor + constant;
    let mut position = UNIT_POS_Y as usize;
    while position < hw {
        let at = start + position * columns;
        let mut z = Vector::<f32, N>::cast_from(x[at]) * factor + offset;
        if with_silu {
            z = silu::<N>(z);
        }
        y[at] = Vector::cast_from(z);
        position += height as usize;
    }
}

/// The normalised x, and mean and reciprocal deviation of every sample's groups, `[n, groups, 2]` in f32.
/// x `[n, h, w, c]` => `[n, h, w, c]`
pub fn group_norm(
    x: CubeTensor,
    groups: usize,
    eps: f32,
    with_silu: bool,
    parameters: Parameters,
) -> (CubeTensor, CubeTensor) {
    let (x, p) = (into_contiguous(x), parameters.contiguous());
    let [n, h, w, c] = dims(&x);
    let tiling = Tiling::of(&x, groups, &p);
    let (y, stats) = (empty_like(&x), empty_of(&x, [n, groups, 2], DType::F32));
    let (client, dtypes) = (x.client.clone(), [element(&x), element(&p.weight), element(p.per_sample())]);
    group_norm_kernel::launch(
        &client,
        tiling.count(),
        tiling.dim(),
        tiling.vector,
        x.into_buffer_arg(),
        p.weight.into_buffer_arg(),
        p.bias.into_buffer_arg(),
        p.shift_before.map(CubeTensor::into_buffer_arg).into(),
        p.scale_shift.map(CubeTensor::into_buffer_arg).into(),
        y.clone().into_buffer_arg(),
        stats.clone().into_buffer_arg(),
        h * w,
        c / tiling.vector,
        c / groups,
        eps,
        tiling.width,
        tiling.height,
        with_silu,
        dtypes,
    );
    (y, stats)
}
