//! Activations: a unit, a vector of values.

use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{ir::ElemType, prelude::*};

use crate::{
    launch::{cubes_for, element, empty_like, vector},
    silu::{silu, silu_derivative},
};

/// What is done to every value alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x times its sigmoid.
    Silu,
    /// The larger of x and 0; NaN stays NaN.
    Relu,
}

#[cube(launch)]
fn activation_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    y: &mut [Vector<F, N>],
    count: usize,
    #[comptime] activation: Activation,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let mut value = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
        if comptime!(activation == Activation::Silu) {
            value = silu::<N>(value);
        } else {
            #[unroll]
            for i in 0..N::value() {
                if value.extract(i) < 0.0f32 {
                    value.insert(i, 0.0f32);
                }
            }
        }
        y[ABSOLUTE_POS] = Vector::cast_from(value);
    }
}

/// An activation of every value.
pub fn activation(activation: Activation, x: CubeTensor) -> CubeTensor {
    let x = into_contiguous(x);
    let y = empty_like(&x);
    let (elements, client, dtype) = (x.meta.num_elements(), x.client.clone(), element(&x));
    let n = vector(&[&x], elements);
    let (count, dim) = cubes_for(elements / n);
    activation_kernel::launch(
        &client,
        count,
        dim,
        n,
        x.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        elements / n,
        activation,
        dtype,
    );
    y
}

#[cube(launch)]
fn activation_gradient_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    dx: &mut [Vector<F, N>],
    count: usize,
    #[comptime] activation: Activation,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < count {
        let x = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
        let mut passed = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
        if comptime!(activation == Activation::Silu) {
            passed *= silu_derivative::<N>(x);
        } else {
            #[unroll]
            for i in 0..N::value() {
                let above = x.extract(i) > 0.0f32;
                passed.insert(i, select(above, passed.extract(i), 0.0f32));
            }
        }
        dx[ABSOLUTE_POS] = Vector::cast_from(passed);
    }
}

/// The gradient to x.
pub fn activation_gradient(activation: Activation, x: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let [x, gradient] = [x, gradient].map(into_contiguous);
    let dx = empty_like(&x);
    let (elements, client, dtype) = (x.meta.num_elements(), x.client.clone(), element(&x));
    let n = vector(&[&x], elements);
    let (count, dim) = cubes_for(elements / n);
    activation_gradient_kernel::launch(
        &client,
        count,
        dim,
        n,
        x.into_buffer_arg(),
        gradient.into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        elements / n,
        activation,
        dtype,
    );
    dx
}
