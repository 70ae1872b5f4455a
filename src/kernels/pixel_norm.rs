//! Pixel norm, which EDM2's blocks begin with.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use super::{
    array::Array,
    cpu::edm2 as cpu,
    engine::{Engine, on_engine},
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::pixel_norm as gpu};

/// Pixel norm (EDM2): every position divided by `eps + rms over channels`, computed in f32 whatever the type of x:
/// squares overflow in half precision. x `[n, h, w, c]` => `[n, h, w, c]`
pub fn pixel_norm(x: Tensor<4>, eps: f64) -> Tensor<4> {
    on_engine!(x, |x| normalized(x, eps as f32), |x| {
        let dtype = x.dtype();
        pixel_norm(x.cast(DType::F32), eps).cast(dtype)
    })
}

fn normalized<E: PixelNorm>(x: Operand<E>, eps: f32) -> Tensor<4> {
    let output = E::pixel_norm(&x.array, eps);
    record([Some(x)], output, |[x]| {
        let x = x.expect("always given");
        move |gradient: E::Array, _: [bool; 1]| [Some(E::pixel_norm_gradient(&x, eps, &gradient))]
    })
}

/// What an engine computes.
trait PixelNorm: Engine {
    fn pixel_norm(x: &Self::Array, eps: f32) -> Self::Array;

    fn pixel_norm_gradient(x: &Self::Array, eps: f32, gradient: &Self::Array) -> Self::Array;
}

impl PixelNorm for Flex {
    fn pixel_norm(x: &Array, eps: f32) -> Array {
        let dims: [usize; 4] = x.dims();
        Array::build(dims, |y| cpu::pixel_norm(dims[3], eps, x.values(), y))
    }

    fn pixel_norm_gradient(x: &Array, eps: f32, gradient: &Array) -> Array {
        let dims: [usize; 4] = x.dims();
        let (x, dy) = (x.values(), gradient.values());
        Array::build(dims, |dx| cpu::pixel_norm_gradient(dims[3], eps, x, dy, dx))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl PixelNorm for Cube {
    fn pixel_norm(x: &Self::Array, eps: f32) -> Self::Array {
        gpu::pixel_norm(x.clone(), eps)
    }

    fn pixel_norm_gradient(x: &Self::Array, eps: f32, gradient: &Self::Array) -> Self::Array {
        gpu::pixel_norm_gradient(x.clone(), eps, gradient.clone())
    }
}
