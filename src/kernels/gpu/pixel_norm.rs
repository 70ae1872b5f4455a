//! Pixel norm, which EDM2's blocks begin with.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{cubes, dims, element, empty},
    sum::row_sum,
};

/// Units that share a row, and rows of a cube.
const WIDTH: u32 = 32;
const HEIGHT: u32 = 8;

/// Every row over `eps` + its root mean square; x and y `[rows, c]`.
#[cube(launch)]
fn pixel_norm_kernel<F: Float>(
    x: &[F],
    y: &mut [F],
    rows: usize,
    c: usize,
    eps: f32,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS * HEIGHT as usize + UNIT_POS_Y as usize;
    let inside = row < rows;
    let at = row * c;
    let mut squares = 0.0f32;
    if inside {
        let mut i = UNIT_POS_X as usize;
        while i < c {
            let value = f32::cast_from(x[at + i]);
            squares += value * value;
            i += WIDTH as usize;
        }
    }
    let squares = row_sum(squares, WIDTH, HEIGHT);
    if inside {
        let factor = 1.0f32 / ((squares / f32::cast_from(c)).sqrt() + eps);
        let mut i = UNIT_POS_X as usize;
        while i < c {
            y[at + i] = F::cast_from(f32::cast_from(x[at + i]) * factor);
            i += WIDTH as usize;
        }
    }
}

/// Every position over `eps` + its root mean square over channels. `[n, h, w, c]` => `[n, h, w, c]`
pub fn pixel_norm(x: CubeTensor, eps: f32) -> CubeTensor {
    let x = into_contiguous(x);
    let shape @ [n, h, w, c] = dims(&x);
    let (y, dtype, client) = (empty(&x, shape), element(&x), x.client.clone());
    let rows = n * h * w;
    pixel_norm_kernel::launch(
        &client,
        cubes(rows.div_ceil(HEIGHT as usize)),
        CubeDim::new_2d(WIDTH, HEIGHT),
        x.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        rows,
        c,
        eps,
        dtype,
    );
    y
}

/// `gradient / (eps + rms) - x * (gradient . x) / (c * rms * (eps + rms)^2)`; all `[rows, c]`.
#[cube(launch)]
fn pixel_norm_gradient_kernel<F: Float>(
    x: &[F],
    gradient: &[F],
    dx: &mut [F],
    rows: usize,
    c: usize,
    eps: f32,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS * HEIGHT as usize + UNIT_POS_Y as usize;
    let inside = row < rows;
    let at = row * c;
    let mut squares = 0.0f32;
    let mut dots = 0.0f32;
    if inside {
        let mut i = UNIT_POS_X as usize;
        while i < c {
            let value = f32::cast_from(x[at + i]);
            squares += value * value;
            dots += value * f32::cast_from(gradient[at + i]);
            i += WIDTH as usize;
        }
    }
    let squares = row_sum(squares, WIDTH, HEIGHT);
    let dots = row_sum(dots, WIDTH, HEIGHT);
    if inside {
        let rms = (squares / f32::cast_from(c)).sqrt();
        let factor = 1.0f32 / (rms + eps);
        // Where all is zero, so is the direction in which the length would change.
        let mut along = 0.0f32;
        if rms > 0.0f32 {
            along = dots * factor * factor / (f32::cast_from(c) * rms);
        }
        let mut i = UNIT_POS_X as usize;
        while i < c {
            let straight = f32::cast_from(gradient[at + i]) * factor;
            dx[at + i] = F::cast_from(straight - f32::cast_from(x[at + i]) * along);
            i += WIDTH as usize;
        }
    }
}

/// The gradient to x. All `[n, h, w, c]`
pub fn pixel_norm_gradient(x: CubeTensor, eps: f32, gradient: CubeTensor) -> CubeTensor {
    let [x, gradient] = [x, gradient].map(into_contiguous);
    let shape @ [n, h, w, c] = dims(&x);
    let (dx, dtype, client) = (empty(&x, shape), element(&x), x.client.clone());
    let rows = n * h * w;
    pixel_norm_gradient_kernel::launch(
        &client,
        cubes(rows.div_ceil(HEIGHT as usize)),
        CubeDim::new_2d(WIDTH, HEIGHT),
        x.into_buffer_arg(),
        gradient.into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        rows,
        c,
        eps,
        dtype,
    );
    dx
}
