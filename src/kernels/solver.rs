//! The arithmetic of an ODE's solver, off the tape. In f64 on the host it is a loop of ours; elsewhere it is Burn's, and
//! the same number: every operation is rounded, in the order in which it stands here.

use burn::tensor::{DType, Element, Tensor, TensorData};

use super::host::is_host;

/// Where the way leads: `(x - denoised) / sigma`. All `[n, ..]`
pub fn slope(x: Tensor<4>, denoised: Tensor<4>, sigma: f64) -> Tensor<4> {
    match doubles([x, denoised]) {
        Ok((home, [x, denoised])) => home.filled(x.iter().zip(&denoised).map(|(x, d)| (x - d) / sigma)),
        Err([x, denoised]) => (x - denoised) / sigma,
    }
}

/// A step along it: `x + slope * by`. All `[n, ..]`
pub fn advance(x: Tensor<4>, slope: Tensor<4>, by: f64) -> Tensor<4> {
    match doubles([x, slope]) {
        Ok((home, [x, slope])) => home.filled(x.iter().zip(&slope).map(|(x, slope)| x + slope * by)),
        Err([x, slope]) => x + slope * by,
    }
}

/// A step along both: `x + (slope + other) * by`. All `[n, ..]`
pub fn advance_between(x: Tensor<4>, slope: Tensor<4>, other: Tensor<4>, by: f64) -> Tensor<4> {
    match doubles([x, slope, other]) {
        Ok((home, [x, slope, other])) => {
            let slopes = slope.iter().zip(&other).map(|(slope, other)| slope + other);
            home.filled(x.iter().zip(slopes).map(|(x, slope)| x + slope * by))
        }
        Err([x, slope, other]) => x + (slope + other) * by,
    }
}

/// The same values in another type.
pub fn cast(x: Tensor<4>, dtype: DType) -> Tensor<4> {
    let home = Home::of(&x);
    match (x.dtype(), dtype) {
        (from, to) if from == to => x,
        (DType::F32, DType::F64) if home.is_host => home.filled(values::<f32>(x).into_iter().map(f64::from)),
        (DType::F64, DType::F32) if home.is_host => {
            home.filled(values::<f64>(x).into_iter().map(|x| x as f32))
        }
        _ => x.cast(dtype),
    }
}

/// Where values came from, and go.
struct Home {
    device: burn::tensor::Device,
    dims: [usize; 4],
    is_host: bool,
}

impl Home {
    fn of(x: &Tensor<4>) -> Self {
        let device = x.device();
        let is_host = is_host(&device);
        Self { device, dims: x.dims(), is_host }
    }

    fn filled<E: Element>(&self, values: impl Iterator<Item = E>) -> Tensor<4> {
        let data = TensorData::new(values.collect(), self.dims);
        Tensor::from_data(data, (&self.device, E::dtype()))
    }
}

fn values<E: Element>(x: Tensor<4>) -> Vec<E> {
    x.into_data().try_into_vec().expect("of this type")
}

/// The values of tensors that are all in f64 and on the host; gives others back.
#[allow(clippy::result_large_err, reason = "tensors given back are not an error but the other path")]
fn doubles<const N: usize>(tensors: [Tensor<4>; N]) -> Result<(Home, [Vec<f64>; N]), [Tensor<4>; N]> {
    let home = Home::of(&tensors[0]);
    if !home.is_host || tensors.iter().any(|x| x.dtype() != DType::F64 || x.dims() != home.dims) {
        return Err(tensors);
    }
    Ok((home, tensors.map(values)))
}
