//! Samples, each with numbers of its own: preconditioning, noise on images, which of them have a NaN.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use super::{
    array::Array,
    cpu::samples as cpu,
    engine::{Engine, on_engine},
    meaning,
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::samples as gpu};

/// Every sample of x times its weight. x `[n, ..]`; weights `[n, 1, 1, 1]`, constants to the gradient
pub fn scale(x: Tensor<4>, weights: &Tensor<4>) -> Tensor<4> {
    on_engine!(x, |x| scaled(x, weights), |x| meaning::scale(x, weights))
}

fn scaled<E: Samples>(x: Operand<E>, weights: &Tensor<4>) -> Tensor<4> {
    let weights = numbers(&x, weights);
    let output = E::scale(&x.array, &weights);
    record([Some(x)], output, |_| {
        move |gradient: E::Array, _: [bool; 1]| [Some(E::scale(&gradient, &weights))]
    })
}

/// `a * weights_a + b * weights_b`, sample by sample; without `weights_a` they are 1. a, b `[n, ..]`; weights
/// `[n, 1, 1, 1]`, constants to the gradient
pub fn blend(a: Tensor<4>, weights_a: Option<&Tensor<4>>, b: Tensor<4>, weights_b: &Tensor<4>) -> Tensor<4> {
    on_engine!(a, |a| blended(a, weights_a, b, weights_b), |a| { meaning::blend(a, weights_a, b, weights_b) })
}

fn blended<E: Samples>(
    a: Operand<E>,
    weights_a: Option<&Tensor<4>>,
    b: Tensor<4>,
    weights_b: &Tensor<4>,
) -> Tensor<4> {
    let b = Operand::of(b);
    assert_eq!(a.dims::<4>(), b.dims(), "a sum needs equal extents");
    let weights_a = weights_a.map(|weights| numbers(&a, weights));
    let weights_b = numbers(&b, weights_b);
    let output = E::blend(&a.array, weights_a.as_ref(), &b.array, &weights_b);
    record([Some(a), Some(b)], output, |_| {
        move |gradient: E::Array, wanted: [bool; 2]| {
            let to_b = wanted[1].then(|| E::scale(&gradient, &weights_b));
            let to_a = wanted[0].then(|| match &weights_a {
                Some(weights) => E::scale(&gradient, weights),
                None => gradient,
            });
            [to_a, to_b]
        }
    })
}

/// Which samples have a NaN in any of the tensors: 1 for those, 0 for the others. Each `[n, ..]` => `[n, 1, 1, 1]`, off
/// the tape
pub fn have_nan<'a>(tensors: impl IntoIterator<Item = &'a Tensor<4>>) -> Tensor<4> {
    let tensors: Vec<Tensor<4>> = tensors.into_iter().map(|tensor| tensor.clone().inner()).collect();
    let first = tensors.first().expect("at least one tensor to judge").clone();
    on_engine!(first, |first| marked(first, tensors), |_| meaning::have_nan(tensors))
}

fn marked<E: Samples>(first: Operand<E>, tensors: Vec<Tensor<4>>) -> Tensor<4> {
    let context = first.context();
    let arrays: Vec<E::Array> = tensors.into_iter().map(|x| Operand::<E>::of(x).into_array()).collect();
    context.constant::<E, 4>(E::have_nan(&arrays))
}

/// Unmarked samples as they are; those of marked ones, which are not 0, are zeros, and pass no gradient.
/// x `[n, ..]`, marks `[n, 1, 1, 1]`
pub fn only(x: Tensor<4>, marks: &Tensor<4>) -> Tensor<4> {
    on_engine!(x, |x| unmarked(x, marks), |x| meaning::only(x, marks))
}

fn unmarked<E: Samples>(x: Operand<E>, marks: &Tensor<4>) -> Tensor<4> {
    let marks = numbers(&x, marks);
    let output = E::only(&x.array, &marks);
    record([Some(x)], output, |_| move |gradient: E::Array, _: [bool; 1]| [Some(E::only(&gradient, &marks))])
}

/// A number for each of the samples of x.
pub(super) fn numbers<E: Engine>(x: &Operand<E>, numbers: &Tensor<4>) -> E::Array {
    assert_eq!(numbers.dtype(), DType::F32, "the numbers of samples are f32");
    let numbers = Operand::<E>::of(numbers.clone());
    assert_eq!(numbers.dims(), [x.dims::<4>()[0], 1, 1, 1], "a number for each sample");
    assert!(!numbers.is_tracked(), "the numbers of samples are constants to the gradient");
    numbers.into_array()
}

/// What an engine computes.
trait Samples: Engine {
    fn scale(x: &Self::Array, weights: &Self::Array) -> Self::Array;

    fn blend(
        a: &Self::Array,
        weights_a: Option<&Self::Array>,
        b: &Self::Array,
        weights_b: &Self::Array,
    ) -> Self::Array;

    /// `[n, 1, 1, 1]`
    fn have_nan(arrays: &[Self::Array]) -> Self::Array;

    fn only(x: &Self::Array, marks: &Self::Array) -> Self::Array;
}

impl Samples for Flex {
    fn scale(x: &Array, weights: &Array) -> Array {
        Array::build(x.dims::<4>(), |out| cpu::scale(x.values(), weights.values(), out))
    }

    fn blend(a: &Array, weights_a: Option<&Array>, b: &Array, weights_b: &Array) -> Array {
        Array::build(a.dims::<4>(), |out| {
            cpu::blend(a.values(), weights_a.map(Array::values), b.values(), weights_b.values(), out);
        })
    }

    fn have_nan(arrays: &[Array]) -> Array {
        let [n, ..] = arrays[0].dims::<4>();
        Array::build([n, 1, 1, 1], |marks| {
            marks.fill(0.0);
            arrays.iter().for_each(|x| cpu::mark_nan(x.values(), marks));
        })
    }

    fn only(x: &Array, marks: &Array) -> Array {
        Array::build(x.dims::<4>(), |out| cpu::only(x.values(), marks.values(), out))
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Samples for Cube {
    fn scale(x: &Self::Array, weights: &Self::Array) -> Self::Array {
        gpu::scale(x.clone(), weights.clone())
    }

    fn blend(
        a: &Self::Array,
        weights_a: Option<&Self::Array>,
        b: &Self::Array,
        weights_b: &Self::Array,
    ) -> Self::Array {
        gpu::blend(a.clone(), weights_a.cloned(), b.clone(), weights_b.clone())
    }

    fn have_nan(arrays: &[Self::Array]) -> Self::Array {
        gpu::have_nan(arrays)
    }

    fn only(x: &Self::Array, marks: &Self::Array) -> Self::Array {
        gpu::only(x.clone(), marks.clone())
    }
}
