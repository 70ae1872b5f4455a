//! Curves of what was drawn, which every device computes alike, to a millionth: a device's own may be off by more.

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
    engine::{Engine, on_engine},
    meaning,
    tape::Operand,
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::curve as gpu};

/// `exp(slope * x + offset)` of normals, or others between -8 and 8, off the tape; as long as `slope * x + offset` is between
/// -80 and 80.
pub fn exponential<const D: usize>(x: Tensor<D>, slope: f64, offset: f64) -> Tensor<D> {
    let line = Line { slope, offset };
    on_engine!(x, |x| computed(x, line, Curve::Exponential), |x| meaning::exponential(x, slope, offset))
}

/// `(slope * x + offset)^exponent` of uniforms in [0, 1), which have 24 bits, off the tape. Slope and offset are not
/// below zero, the offset not much smaller than the slope; the exponent is at least 1.
pub fn power<const D: usize>(x: Tensor<D>, slope: f64, offset: f64, exponent: u32) -> Tensor<D> {
    let line = Line { slope, offset };
    on_engine!(x, |x| computed(x, line, Curve::Power(exponent)), |x| {
        meaning::power(x, slope, offset, exponent)
    })
}

#[derive(Clone, Copy)]
enum Curve {
    Exponential,
    Power(u32),
}

/// What a curve is computed of.
#[derive(Clone, Copy)]
struct Line {
    slope: f64,
    offset: f64,
}

fn computed<E: Curved, const D: usize>(x: Operand<E>, line: Line, curve: Curve) -> Tensor<D> {
    let (context, x) = x.into_parts();
    context.constant::<E, D>(E::curve::<D>(x, line, curve))
}

/// What an engine computes.
trait Curved: Engine {
    fn curve<const D: usize>(x: Self::Array, line: Line, curve: Curve) -> Self::Array;
}

impl Curved for Flex {
    fn curve<const D: usize>(x: Array, Line { slope, offset }: Line, curve: Curve) -> Array {
        let of = |x: &f32| {
            let x = slope * f64::from(*x) + offset;
            match curve {
                Curve::Exponential => x.exp() as f32,
                Curve::Power(exponent) => x.powi(exponent as i32) as f32,
            }
        };
        Array::from_values(x.values().iter().map(of).collect(), x.dims::<D>())
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Curved for Cube {
    fn curve<const D: usize>(x: Self::Array, Line { slope, offset }: Line, curve: Curve) -> Self::Array {
        match curve {
            Curve::Exponential => gpu::exponential(x, slope, offset),
            Curve::Power(exponent) => gpu::power(x, slope, offset, exponent),
        }
    }
}
