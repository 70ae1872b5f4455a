//! SiLU, and what makes vectors of numbers.

use cubecl::prelude::*;

/// The same value in every lane.
#[cube]
pub(crate) fn splat<N: Size>(value: f32) -> Vector<f32, N> {
    Vector::<f32, N>::cast_from(value)
}

#[cube]
fn sigmoid<N: Size>(z: Vector<f32, N>) -> Vector<f32, N> {
    let one = splat::<N>(1.0f32);
    one / (one + (-z).exp())
}

/// z times its sigmoid.
#[cube]
pub(crate) fn silu<N: Size>(z: Vector<f32, N>) -> Vector<f32, N> {
    z * sigmoid::<N>(z)
}

/// The derivative of z * sigmoid(z): s * (1 + z * (1 - s)).
#[cube]
pub(crate) fn silu_derivative<N: Size>(z: Vector<f32, N>) -> Vector<f32, N> {
    let one = splat::<N>(1.0f32);
    let s = sigmoid::<N>(z);
    s * (one + z * (one - s))
}
