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

/// The derivative of z * sigmoid(z): s * (1 + z * (1 - s)). 1 - s is e * s, with e = exp(-z): a device may divide with an
/// error in the last place, which a difference of 1 and s, times a large z, would show.
#[cube]
pub(crate) fn silu_derivative<N: Size>(z: Vector<f32, N>) -> Vector<f32, N> {
    let one = splat::<N>(1.0f32);
    // Below, the derivative is zero, and e would be infinite.
    let e = (-max(z, splat::<N>(-80.0f32))).exp();
    let s = one / (one + e);
    s * (one + z * (e * s))
}
