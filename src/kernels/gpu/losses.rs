//! Losses of images: a unit takes a value.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{cubes_for, element, empty, empty_like},
    samples::extents,
};

#[cube(launch)]
fn distance_kernel<F: Float>(a: &[F], b: &[F], y: &mut [F], count: usize, #[define(F)] _dtype: ElemType) {
    if ABSOLUTE_POS < count {
        let mut apart = f32::cast_from(a[ABSOLUTE_POS]) - f32::cast_from(b[ABSOLUTE_POS]);
        if apart < 0.0f32 {
            apart = -apart;
        }
        y[ABSOLUTE_POS] = F::cast_from(apart);
    }
}

/// `|a - b|`
pub fn distance(a: CubeTensor, b: CubeTensor) -> CubeTensor {
    let [a, b] = [a, b].map(into_contiguous);
    let (y, client, dtype) = (empty_like(&a), a.client.clone(), element(&a));
    let elements = a.meta.num_elements();
    let (cubes, dim) = cubes_for(elements);
    distance_kernel::launch(
        &client,
        cubes,
        dim,
        a.into_buffer_arg(),
        b.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        elements,
        dtype,
    );
    y
}

#[cube(launch)]
fn squared_error_kernel<F: Float>(
    gradient: ComptimeOption<&[F]>,
    clean: &[F],
    denoised: &[F],
    weights: &[f32],
    y: &mut [F],
    width: usize,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let error = f32::cast_from(denoised[ABSOLUTE_POS]) - f32::cast_from(clean[ABSOLUTE_POS]);
        let weight = weights[ABSOLUTE_POS / width];
        #[comptime]
        match gradient {
            ComptimeOption::Some(gradient) => {
                let passed = f32::cast_from(gradient[ABSOLUTE_POS]) * weight;
                y[ABSOLUTE_POS] = F::cast_from(passed * error * 2.0f32);
            }
            ComptimeOption::None => {
                y[ABSOLUTE_POS] = F::cast_from(error * error * weight);
            }
        }
    }
}

/// `(denoised - clean)^2 * weight`. `[n, ..]`, f32 `[n, 1, 1, 1]`
pub fn squared_error(clean: CubeTensor, denoised: CubeTensor, weights: CubeTensor) -> CubeTensor {
    error_or_gradient(None, clean, denoised, weights)
}

/// The gradient to `denoised`; that to `clean` is its negative.
pub fn squared_error_gradient(
    gradient: CubeTensor,
    clean: CubeTensor,
    denoised: CubeTensor,
    weights: CubeTensor,
) -> CubeTensor {
    error_or_gradient(Some(gradient), clean, denoised, weights)
}

fn error_or_gradient(
    gradient: Option<CubeTensor>,
    clean: CubeTensor,
    denoised: CubeTensor,
    weights: CubeTensor,
) -> CubeTensor {
    let [clean, denoised, weights] = [clean, denoised, weights].map(into_contiguous);
    let (y, client, dtype) = (empty_like(&clean), clean.client.clone(), element(&clean));
    let (elements, width) = extents(&clean, &weights);
    let (cubes, dim) = cubes_for(elements);
    squared_error_kernel::launch(
        &client,
        cubes,
        dim,
        gradient.map(|gradient| into_contiguous(gradient).into_buffer_arg()).into(),
        clean.into_buffer_arg(),
        denoised.into_buffer_arg(),
        weights.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        width,
        elements,
        dtype,
    );
    y
}

#[cube(launch)]
fn score_identity_kernel<F: Float>(
    generated: &[F],
    real: &[F],
    fake: &[F],
    divisors: &[f32],
    y: &mut [F],
    alpha: f32,
    width: usize,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let real = f32::cast_from(real[ABSOLUTE_POS]);
        let gap = real - f32::cast_from(fake[ABSOLUTE_POS]);
        let rest = (real - f32::cast_from(generated[ABSOLUTE_POS])) - gap * alpha;
        y[ABSOLUTE_POS] = F::cast_from(gap * rest / divisors[ABSOLUTE_POS / width]);
    }
}

/// `gap (real - generated - alpha gap) / divisor` of the generator's images, the teacher's opinion and the fake score
/// network's; the gap is that of the opinions. `[n, ..]`, f32 `[n, 1, 1, 1]`
pub fn score_identity(of: [CubeTensor; 3], divisors: CubeTensor, alpha: f32) -> CubeTensor {
    let ([generated, real, fake], divisors) = (of.map(into_contiguous), into_contiguous(divisors));
    let (y, client, dtype) = (empty_like(&generated), generated.client.clone(), element(&generated));
    let (elements, width) = extents(&generated, &divisors);
    let (cubes, dim) = cubes_for(elements);
    score_identity_kernel::launch(
        &client,
        cubes,
        dim,
        generated.into_buffer_arg(),
        real.into_buffer_arg(),
        fake.into_buffer_arg(),
        divisors.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        alpha,
        width,
        elements,
        dtype,
    );
    y
}

#[cube(launch)]
fn score_identity_gradients_kernel<F: Float>(
    gradient: &[F],
    generated: &[F],
    real: &[F],
    fake: &[F],
    divisors: &[f32],
    to_generated: &mut [F],
    to_real: &mut [F],
    to_fake: &mut [F],
    alpha: f32,
    width: usize,
    count: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let real = f32::cast_from(real[ABSOLUTE_POS]);
        let gap = real - f32::cast_from(fake[ABSOLUTE_POS]);
        let rest = (real - f32::cast_from(generated[ABSOLUTE_POS])) - gap * alpha;
        let passed = f32::cast_from(gradient[ABSOLUTE_POS]) / divisors[ABSOLUTE_POS / width];
        let to_rest = passed * gap;
        let to_gap = passed * rest - to_rest * alpha;
        to_generated[ABSOLUTE_POS] = F::cast_from(-to_rest);
        to_real[ABSOLUTE_POS] = F::cast_from(to_gap + to_rest);
        to_fake[ABSOLUTE_POS] = F::cast_from(-to_gap);
    }
}

/// The gradients to the three, those that are wanted.
pub fn score_identity_gradients(
    of: [CubeTensor; 3],
    divisors: CubeTensor,
    alpha: f32,
    gradient: CubeTensor,
    wanted: [bool; 3],
) -> [Option<CubeTensor>; 3] {
    let [generated, real, fake] = of.map(into_contiguous);
    let [gradient, divisors] = [gradient, divisors].map(into_contiguous);
    let (client, dtype) = (generated.client.clone(), element(&generated));
    let (elements, width) = extents(&generated, &divisors);
    let to: [CubeTensor; 3] = std::array::from_fn(|_| empty_like(&generated));
    let [to_generated, to_real, to_fake] = to.each_ref().map(|to| to.clone().into_buffer_arg());
    let (cubes, dim) = cubes_for(elements);
    score_identity_gradients_kernel::launch(
        &client,
        cubes,
        dim,
        gradient.into_buffer_arg(),
        generated.into_buffer_arg(),
        real.into_buffer_arg(),
        fake.into_buffer_arg(),
        divisors.into_buffer_arg(),
        to_generated,
        to_real,
        to_fake,
        alpha,
        width,
        elements,
        dtype,
    );
    let mut to = to.into_iter();
    wanted.map(|wanted| to.next().filter(|_| wanted))
}

#[cube(launch)]
fn spread_kernel<F: Float>(x: &[F], y: &mut [F], count: usize, #[define(F)] _dtype: ElemType) {
    if ABSOLUTE_POS < count {
        y[ABSOLUTE_POS] = x[0];
    }
}

/// A tensor of these extents, full of the one value of x.
pub fn spread(x: CubeTensor, extents: [usize; 4]) -> CubeTensor {
    let x = into_contiguous(x);
    let (y, client, dtype) = (empty(&x, extents), x.client.clone(), element(&x));
    let elements = y.meta.num_elements();
    let (cubes, dim) = cubes_for(elements);
    spread_kernel::launch(
        &client,
        cubes,
        dim,
        x.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        elements,
        dtype,
    );
    y
}
