//! What only EDM2 has: magnitude-preserving SiLU, weights that are normalised in use.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use super::{
    array::Array,
    cpu::{
        edm2 as cpu,
        normalized_rows::{self, Rows},
    },
    engine::{Engine, on_engine},
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{
    engine::Cube,
    gpu::{mp_silu as gpu, normalized_rows as gpu_rows},
};

/// Magnitude-preserving SiLU (EDM2): `silu(x * gain) / 0.596`, with an optional gain per sample and channel.
/// x `[n, h, w, c]`, gain `[n, c]` => `[n, h, w, c]`
pub fn mp_silu(x: Tensor<4>, gain: Option<Tensor<2>>) -> Tensor<4> {
    on_engine!(x, |x| mp_silu_on(x, gain), |x| {
        let dtype = x.dtype();
        mp_silu(x.cast(DType::F32), gain.map(|gain| gain.cast(DType::F32))).cast(dtype)
    })
}

fn mp_silu_on<E: Edm2>(x: Operand<E>, gain: Option<Tensor<2>>) -> Tensor<4> {
    let gain = gain.map(Operand::of);
    let output = E::mp_silu(&x.array, gain.as_ref().map(|gain| &gain.array));
    record([Some(x), gain], output, |[x, gain]| {
        let x = x.expect("always given");
        move |gradient: E::Array, _: [bool; 2]| {
            let (dx, dgain) = E::mp_silu_gradient(&x, gain.as_ref(), &gradient);
            [Some(dx), dgain]
        }
    })
}

/// Weights as EDM2 uses them: every row over `eps + its root mean square`, times a constant and an optional learned
/// gain. weight `[k, ...]`, gain `[1]` => `[k, ...]`
pub fn normalize_rows<const D: usize>(
    weight: Tensor<D>,
    eps: f64,
    factor: f64,
    gain: Option<Tensor<1>>,
) -> Tensor<D> {
    let rows = Rows { count: weight.dims()[0], eps: eps as f32, factor: factor as f32 };
    on_engine!(weight, |weight| normalize_rows_on(weight, rows, gain), |weight| {
        let dtype = weight.dtype();
        normalize_rows(weight.cast(DType::F32), eps, factor, gain.map(|gain| gain.cast(DType::F32)))
            .cast(dtype)
    })
}

fn normalize_rows_on<E: Edm2, const D: usize>(
    weight: Operand<E>,
    rows: Rows,
    gain: Option<Tensor<1>>,
) -> Tensor<D> {
    let gain = gain.map(Operand::of);
    let output = E::normalize_rows::<D>(&weight.array, rows, gain.as_ref().map(|gain| &gain.array));
    record([Some(weight), gain], output, |[weight, gain]| {
        let weight = weight.expect("always given");
        move |gradient: E::Array, _: [bool; 2]| {
            let (dw, dgain) = E::normalize_rows_gradient::<D>(&weight, rows, gain.as_ref(), &gradient);
            [Some(dw), dgain]
        }
    })
}

/// What an engine computes. A gradient to a gain is there where the gain is.
trait Edm2: Engine {
    fn mp_silu(x: &Self::Array, gain: Option<&Self::Array>) -> Self::Array;

    fn mp_silu_gradient(
        x: &Self::Array,
        gain: Option<&Self::Array>,
        gradient: &Self::Array,
    ) -> (Self::Array, Option<Self::Array>);

    fn normalize_rows<const D: usize>(
        weight: &Self::Array,
        rows: Rows,
        gain: Option<&Self::Array>,
    ) -> Self::Array;

    fn normalize_rows_gradient<const D: usize>(
        weight: &Self::Array,
        rows: Rows,
        gain: Option<&Self::Array>,
        gradient: &Self::Array,
    ) -> (Self::Array, Option<Self::Array>);
}

impl Edm2 for Flex {
    fn mp_silu(x: &Array, gain: Option<&Array>) -> Array {
        let dims @ [n, h, w, c] = x.dims();
        Array::build(dims, |y| cpu::mp_silu([n, h * w, c], x.values(), gain.map(Array::values), y))
    }

    fn mp_silu_gradient(x: &Array, gain: Option<&Array>, gradient: &Array) -> (Array, Option<Array>) {
        let dims @ [n, h, w, c] = x.dims();
        let mut dgain = vec![0.0; n * c];
        let dx = Array::build(dims, |dx| {
            let gain = gain.map(Array::values);
            cpu::mp_silu_gradient([n, h * w, c], x.values(), gain, gradient.values(), dx, &mut dgain);
        });
        (dx, gain.map(|_| Array::from_values(dgain, [n, c])))
    }

    fn normalize_rows<const D: usize>(weight: &Array, rows: Rows, gain: Option<&Array>) -> Array {
        let gain = gain.map_or(1.0, |gain| gain.values()[0]);
        Array::build(weight.dims::<D>(), |out| {
            normalized_rows::normalize(rows, gain, weight.values(), out);
        })
    }

    fn normalize_rows_gradient<const D: usize>(
        weight: &Array,
        rows: Rows,
        gain: Option<&Array>,
        gradient: &Array,
    ) -> (Array, Option<Array>) {
        let value = gain.map_or(1.0, |gain| gain.values()[0]);
        let mut to_gain = 0.0;
        let dw = Array::build(weight.dims::<D>(), |dw| {
            to_gain = normalized_rows::gradient(rows, value, weight.values(), gradient.values(), dw);
        });
        (dw, gain.map(|_| Array::from_values(vec![to_gain], [1])))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Edm2 for Cube {
    fn mp_silu(x: &Self::Array, gain: Option<&Self::Array>) -> Self::Array {
        gpu::mp_silu(x.clone(), gain.cloned())
    }

    fn mp_silu_gradient(
        x: &Self::Array,
        gain: Option<&Self::Array>,
        gradient: &Self::Array,
    ) -> (Self::Array, Option<Self::Array>) {
        gpu::mp_silu_gradient(x.clone(), gain.cloned(), gradient.clone())
    }

    fn normalize_rows<const D: usize>(
        weight: &Self::Array,
        Rows { eps, factor, .. }: Rows,
        gain: Option<&Self::Array>,
    ) -> Self::Array {
        gpu_rows::normalize_rows(weight.clone(), gpu_rows::Rows { eps, factor }, gain.cloned())
    }

    fn normalize_rows_gradient<const D: usize>(
        weight: &Self::Array,
        Rows { eps, factor, .. }: Rows,
        gain: Option<&Self::Array>,
        gradient: &Self::Array,
    ) -> (Self::Array, Option<Self::Array>) {
        let rows = gpu_rows::Rows { eps, factor };
        gpu_rows::normalize_rows_gradient(weight.clone(), rows, gain.cloned(), gradient.clone())
    }
}
