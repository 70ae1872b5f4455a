//! Updates of flat tensors in place: Adam, interpolation.

use std::ops::Range;

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::prelude::*;

use crate::{
    flat::owned,
    launch::{cubes_for, dims},
};

/// The constants of one step.
#[derive(Clone, Copy)]
pub struct Constants {
    /// Decay of the first moment, and one minus it.
    pub beta1: [f32; 2],
    /// Decay of the second moment, and one minus it.
    pub beta2: [f32; 2],
    /// Learning rate over the first moment's bias correction.
    pub step: f32,
    /// Root of the second moment's bias correction.
    pub root_correction: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
}

#[cube(launch)]
fn adam_kernel(
    parameter: &mut [f32],
    moment1: &mut [f32],
    moment2: &mut [f32],
    gradient: &[f32],
    start: usize,
    length: usize,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    step: f32,
    root_correction: f32,
    eps: f32,
) {
    if ABSOLUTE_POS < length {
        let i = start + ABSOLUTE_POS;
        let g = gradient[i];
        let m = beta1 * moment1[i] + rest1 * g;
        let v = beta2 * moment2[i] + rest2 * g * g;
        moment1[i] = m;
        moment2[i] = v;
        parameter[i] -= m * step / (v.sqrt() / root_correction + eps);
    }
}

/// Adam's update of [parameters, first moments, second moments], of the values in `runs`: a launch for each. In place
/// where nobody else has the memory.
pub fn adam(
    state: [CubeTensor; 3],
    gradient: CubeTensor,
    runs: &[Range<usize>],
    constants: Constants,
) -> [CubeTensor; 3] {
    let state = state.map(owned);
    let gradient = into_contiguous(gradient);
    let Constants { beta1, beta2, step, root_correction, eps } = constants;
    for run in runs {
        let (cubes, units) = cubes_for(run.len());
        let [parameter, moment1, moment2] = state.clone().map(CubeTensor::into_buffer_arg);
        adam_kernel::launch(
            &gradient.client,
            cubes,
            units,
            parameter,
            moment1,
            moment2,
            gradient.clone().into_buffer_arg(),
            run.start,
            run.len(),
            beta1[0],
            beta1[1],
            beta2[0],
            beta2[1],
            step,
            root_correction,
            eps,
        );
    }
    state
}

#[cube(launch)]
fn lerp_kernel(from: &mut [f32], to: &[f32], length: usize, weight: f32) {
    if ABSOLUTE_POS < length {
        from[ABSOLUTE_POS] += (to[ABSOLUTE_POS] - from[ABSOLUTE_POS]) * weight;
    }
}

/// `from + (to - from) * weight`, in place where nobody else has the memory. `[m]`
pub fn lerp(from: CubeTensor, to: CubeTensor, weight: f32) -> CubeTensor {
    let (from, to) = (owned(from), into_contiguous(to));
    let [length] = dims(&from);
    let (cubes, units) = cubes_for(length);
    let client = from.client.clone();
    let buffers = (from.clone().into_buffer_arg(), to.into_buffer_arg());
    lerp_kernel::launch(&client, cubes, units, buffers.0, buffers.1, length, weight);
    from
}
