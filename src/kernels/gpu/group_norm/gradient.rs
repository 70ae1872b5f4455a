//! The gradients: one launch for x and what is per sample, one for weight and bias.

use burn_backend::DType;
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use super::{Parameters, Tiling, effective, or_zero, over_samples::over_samples};
use crate::{
    launch::{dims, element, empty, empty_like, empty_of},
    silu::{silu_derivative, splat},
    sum::column_sum,
};

/// A cube takes the channels that it took forward. x, gradient and dx `[n, hw, columns]` of vectors; parts
/// `[2, n, columns]`: what every sample adds to the gradients of weight and bias.
#[cube(launch)]
fn group_norm_gradient_kernel<F: Float, P: Float, S: Float, N: Size>(
    x: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    weight: &[Vector<P, N>],
    bias: &[Vector<P, N>],
    before: ComptimeOption<&[Vector<S, N>]>,
    scale_shift: ComptimeOption<&[Vector<S, N>]>,
    stats: &[f32],
    dx: &mut [Vector<F, N>],
    parts: ComptimeOption<&mut [Vector<f32, N>]>,
    dbefore: ComptimeOption<&mut [Vector<S, N>]>,
    dscale_shift: ComptimeOption<&mut [Vector<S, N>]>,
    hw: usize,
    columns: usize,
    group: usize,
    #[comptime] width: u32,
    #[comptime] height: u32,
    #[comptime] with_silu: bool,
    #[define(F, P, S)] _dtypes: [ElemType; 3],
) {
    let column = (CUBE_POS_X * width + UNIT_POS_X) as usize;
    let sample = CUBE_POS_Y as usize;
    let of_sample = sample * columns + column;
    let of_scale = sample * 2 * columns + column;
    let start = sample * hw * columns + column;
    let lanes = N::value();

    // y before SiLU = x * factor + offset; normalised = x * r + centre.
    let mut mu = splat::<N>(0.0f32);
    let mut r = splat::<N>(0.0f32);
    #[unroll]
    for i in 0..lanes {
        let at = (of_sample * lanes + i) / group * 2;
        mu.insert(i, stats[at]);
        r.insert(i, stats[at + 1]);
    }
    let from_mean = or_zero::<S, N>(&before, of_sample) - mu;
    let (gain, constant) = effective::<P, S, N>(weight, bias, &scale_shift, column, columns, sample);
    let factor = gain * r;
    let offset = from_mean * factor + constant;
    let centre = from_mean * r;

    let mut d_sum = splat::<N>(0.0f32);
    let mut dn_sum = splat::<N>(0.0f32);
    let mut n_sum = splat::<N>(0.0f32);
    let mut position = UNIT_POS_Y as usize;
    while position < hw {
        let at = start + position * columns;
        let x = Vector::<f32, N>::cast_from(x[at]);
        let mut d = Vector::<f32, N>::cast_from(gradient[at]);
        if with_silu {
            d *= silu_derivative::<N>(x * factor + offset);
        }
        let normalised = x * r + centre;
        d_sum += d;
        dn_sum += d * normalised;
        n_sum += normalised;
        position += height as usize;
    }
    let d_sum = column_sum::<N>(d_sum, width, height);
    let dn_sum = column_sum::<N>(dn_sum, width, height);

    // Means over the group of the gradient to the normalised values, and of its product with them.
    let mut all_d = Shared::<[f32]>::new_slice(comptime!(width as usize * lanes));
    let mut all_dn = Shared::<[f32]>::new_slice(comptime!(width as usize * lanes));
    let channel = UNIT_POS_X as usize * lanes;
    if UNIT_POS_Y == 0 {
        let d = gain * d_sum;
        let dn = gain * dn_sum;
        #[unroll]
        for i in 0..lanes {
            all_d[channel + i] = d.extract(i);
            all_dn[channel + i] = dn.extract(i);
        }
    }
    sync_cube();
    let share = 1.0f32 / f32::cast_from(group * hw);
    let mut mean_d = splat::<N>(0.0f32);
    let mut mean_dn = splat::<N>(0.0f32);
    #[unroll]
    for i in 0..lanes {
        let first = (channel + i) / group * group;
        let mut d = 0.0f32;
        let mut dn = 0.0f32;
        for j in 0..group {
            d += all_d[first + j];
            dn += all_dn[first + j];
        }
        mean_d.insert(i, d * share);
        mean_dn.insert(i, dn * share);
    }

    let mut position = UNIT_POS_Y as usize;
    while position < hw {
        let at = start + position * columns;
        let x = Vector::<f32, N>::cast_from(x[at]);
        let mut d = Vector::<f32, N>::cast_from(gradient[at]);
        if with_silu {
            d *= silu_derivative::<N>(x * factor + offset);
        }
        let normalised = x * r + centre;
        dx[at] = Vector::cast_from(d * factor - r * (mean_d + mean_dn * normalised));
        position += height as usize;
    }

    #[comptime]
    match dbefore {
        ComptimeOption::Some(dbefore) => {
            // The sum over positions of dx.
            let n_sum = column_sum::<N>(n_sum, width, height);
            if UNIT_POS_Y == 0 {
                let all = splat::<N>(f32::cast_from(hw)) * mean_d + mean_dn * n_sum;
                dbefore[of_sample] = Vector::cast_from(factor * d_sum - r * all);
            }
        }
        ComptimeOption::None => {}
    }
    if UNIT_POS_Y == 0 {
        #[comptime]
        match dscale_shift {
            ComptimeOption::Some(both) => {
                let weight = Vector::<f32, N>::cast_from(weight[column]);
                let bias = Vector::<f32, N>::cast_from(bias[column]);
                both[of_scale] = Vector::cast_from(dn_sum * weight + d_sum * bias);
                both[of_scale + columns] = Vector::cast_from(d_sum);
            }
            ComptimeOption::None => {}
        }
        #[comptime]
        match parts {
            ComptimeOption::Some(parts) => {
                let scale = splat::<N>(1.0f32) + or_zero::<S, N>(&scale_shift, of_scale);
                parts[of_sample] = dn_sum * scale;
                parts[CUBE_COUNT_Y as usize * columns + of_sample] = d_sum * scale;
            }
            ComptimeOption::None => {}
        }
    }
}

/// The gradients to x, weight, bias, shift before, scale with shift: x's, and of the others those that are `wanted`.
pub fn group_norm_gradients(
    x: CubeTensor,
    groups: usize,
    with_silu: bool,
    parameters: Parameters,
    stats: CubeTensor,
    gradient: CubeTensor,
    wanted: [bool; 5],
) -> [Option<CubeTensor>; 5] {
    let ([x, gradient], p) = ([x, gradient].map(into_contiguous), parameters.contiguous());
    let [n, h, w, c] = dims(&x);
    let tiling = Tiling::of(&x, groups, &p);
    let dx = empty_like(&x);
    let parts = (wanted[1] || wanted[2]).then(|| empty_of(&x, [2, n, c], DType::F32));
    let (client, per_sample) = (x.client.clone(), p.per_sample().clone());
    let dtypes = [element(&x), element(&p.weight), element(&per_sample)];
    let rows = |wanted: bool, channels: usize| wanted.then(|| empty(&per_sample, [n, channels]));
    let dbefore = rows(wanted[3] && p.shift_before.is_some(), c);
    let dscale_shift = rows(wanted[4] && p.scale_shift.is_some(), 2 * c);
    let argument = |tensor: &Option<CubeTensor>| tensor.clone().map(CubeTensor::into_buffer_arg);
    group_norm_gradient_kernel::launch(
        &client,
        tiling.count(),
        tiling.dim(),
        tiling.vector,
        x.into_buffer_arg(),
        gradient.into_buffer_arg(),
        p.weight.clone().into_buffer_arg(),
        p.bias.into_buffer_arg(),
        argument(&p.shift_before).into(),
        argument(&p.scale_shift).into(),
        stats.into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        argument(&parts).into(),
        argument(&dbefore).into(),
        argument(&dscale_shift).into(),
        h * w,
        c / tiling.vector,
        c / groups,
        tiling.width,
        tiling.height,
        with_silu,
        dtypes,
    );
    let (dweight, dbias) = parts.map(|parts| over_samples(parts, &p.weight)).unzip();
    [Some(dx), dweight, dbias, dbefore, dscale_shift]
}
