//! Magnitude-preserving SiLU with a gain per sample and channel (EDM2).

use burn_backend::DType;
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    column_sums::{HEIGHT, WIDTH, column_sums},
    launch::{cubes_for, dims, element, empty_like, empty_of, vector},
    silu::{silu, silu_derivative, splat},
    sum::column_sum,
};

/// What the output of SiLU is divided by to keep the magnitude of standard normal inputs.
const MAGNITUDE: f32 = 0.596;

/// y = silu(x * gain) / 0.596: a unit, a vector. x and y `[n, positions, columns]`, gain `[n, columns]`
#[cube(launch)]
fn mp_silu_kernel<F: Float, G: Float, N: Size>(
    x: &[Vector<F, N>],
    gain: ComptimeOption<&[Vector<G, N>]>,
    y: &mut [Vector<F, N>],
    positions: usize,
    columns: usize,
    count: usize,
    #[define(F, G)] _dtypes: [ElemType; 2],
) {
    if ABSOLUTE_POS < count {
        let mut z = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
        #[comptime]
        match gain {
            ComptimeOption::Some(gain) => {
                let image = ABSOLUTE_POS / (positions * columns);
                z *= Vector::cast_from(gain[image * columns + ABSOLUTE_POS % columns]);
            }
            ComptimeOption::None => {}
        }
        y[ABSOLUTE_POS] = Vector::cast_from(silu::<N>(z) * splat::<N>(1.0 / MAGNITUDE));
    }
}

/// `silu(x * gain) / 0.596`. x `[n, h, w, c]`, gain `[n, c]` => `[n, h, w, c]`
pub fn mp_silu(x: CubeTensor, gain: Option<CubeTensor>) -> CubeTensor {
    let (x, gain) = (into_contiguous(x), gain.map(into_contiguous));
    let [_, h, w, c] = dims(&x);
    let y = empty_like(&x);
    let (client, dtypes) = (x.client.clone(), [element(&x), element(gain.as_ref().unwrap_or(&x))]);
    let n = vector(&[&x, gain.as_ref().unwrap_or(&x)], c);
    let vectors = x.meta.num_elements() / n;
    let (count, dim) = cubes_for(vectors);
    mp_silu_kernel::launch(
        &client,
        count,
        dim,
        n,
        x.into_buffer_arg(),
        gain.map(CubeTensor::into_buffer_arg).into(),
        y.clone().into_buffer_arg(),
        h * w,
        c / n,
        vectors,
        dtypes,
    );
    y
}

/// A cube, `slice` positions of some columns of one sample: writes dx, and the sum of what the gain gets.
/// dgain `[slices, n, columns]`
#[cube(launch)]
fn mp_silu_gradient_kernel<F: Float, G: Float, S: Float, N: Size>(
    x: &[Vector<F, N>],
    gain: ComptimeOption<&[Vector<G, N>]>,
    gradient: &[Vector<F, N>],
    dx: &mut [Vector<F, N>],
    dgain: ComptimeOption<&mut [Vector<S, N>]>,
    positions: usize,
    columns: usize,
    slice: usize,
    #[define(F, G, S)] _dtypes: [ElemType; 3],
) {
    let column = (CUBE_POS_X * WIDTH + UNIT_POS_X) as usize;
    let sample = CUBE_POS_Y as usize;
    let inside = column < columns;
    let end = min((CUBE_POS_Z as usize + 1) * slice, positions);
    let mut factor = splat::<N>(1.0f32);
    #[comptime]
    match gain {
        ComptimeOption::Some(gain) => {
            if inside {
                factor = Vector::cast_from(gain[sample * columns + column]);
            }
        }
        ComptimeOption::None => {}
    }
    let mut sum = splat::<N>(0.0f32);
    if inside {
        let mut position = CUBE_POS_Z as usize * slice + UNIT_POS_Y as usize;
        while position < end {
            let at = (sample * positions + position) * columns + column;
            let x = Vector::<f32, N>::cast_from(x[at]);
            let slope = silu_derivative::<N>(x * factor) * splat::<N>(1.0 / MAGNITUDE);
            let dz = Vector::<f32, N>::cast_from(gradient[at]) * slope;
            sum += dz * x;
            dx[at] = Vector::cast_from(dz * factor);
            position += HEIGHT as usize;
        }
    }
    #[comptime]
    match dgain {
        ComptimeOption::Some(dgain) => {
            let sum = column_sum::<N>(sum, WIDTH, HEIGHT);
            if inside && UNIT_POS_Y == 0 {
                let part = (CUBE_POS_Z * CUBE_COUNT_Y) as usize + sample;
                dgain[part * columns + column] = Vector::cast_from(sum);
            }
        }
        ComptimeOption::None => {}
    }
}

/// The gradients to x, and to the gain where there is one.
pub fn mp_silu_gradient(
    x: CubeTensor,
    gain: Option<CubeTensor>,
    gradient: CubeTensor,
) -> (CubeTensor, Option<CubeTensor>) {
    let ([x, gradient], gain) = ([x, gradient].map(into_contiguous), gain.map(into_contiguous));
    let [samples, h, w, c] = dims(&x);
    let dx = empty_like(&x);
    let n = vector(&[&x, gain.as_ref().unwrap_or(&x)], c);
    let cubes = samples * (c / n).div_ceil(WIDTH as usize);
    // Few samples of few channels leave a GPU idle, unless their positions are taken in slices.
    let slices = 256usize.div_ceil(cubes).min((h * w).div_ceil(256)).max(1);
    let dtype = gain.as_ref().map(|gain| if slices == 1 { gain.dtype } else { DType::F32 });
    let sums = dtype.map(|dtype| empty_of(&x, [slices * samples, c], dtype));
    let (client, some) = (x.client.clone(), gain.as_ref().unwrap_or(&x));
    let dtypes = [element(&x), element(some), element(sums.as_ref().unwrap_or(&x))];
    mp_silu_gradient_kernel::launch(
        &client,
        CubeCount::new_3d((c / n).div_ceil(WIDTH as usize) as u32, samples as u32, slices as u32),
        CubeDim::new_2d(WIDTH, HEIGHT),
        n,
        x.into_buffer_arg(),
        gain.clone().map(CubeTensor::into_buffer_arg).into(),
        gradient.into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        sums.clone().map(CubeTensor::into_buffer_arg).into(),
        h * w,
        c / n,
        (h * w).div_ceil(slices),
        dtypes,
    );
    let dgain = sums.zip(gain).map(|(sums, gain)| match slices {
        1 => sums,
        _ => column_sums(sums, [slices, samples * c], 1, &[samples, c], gain.dtype),
    });
    (dx, dgain)
}
