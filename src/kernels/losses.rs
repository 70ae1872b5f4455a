//! Losses of images, value by value, and what becomes of them.

use burn::{backend::Flex, tensor::Tensor};

use super::{
    array::Array,
    cpu::{
        elementwise::scale,
        losses::{self as cpu, Identity, To},
        sums,
    },
    engine::{Engine, on_engine},
    meaning,
    samples::numbers,
    tape::{Operand, record},
};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use super::{engine::Cube, gpu::losses as gpu};

/// `(denoised - clean)^2 * weight` (EDM, equation 8). clean, denoised `[n, ..]`; weights `[n, 1, 1, 1]`, constants to the
/// gradient
pub fn squared_error(clean: Tensor<4>, denoised: Tensor<4>, weights: &Tensor<4>) -> Tensor<4> {
    on_engine!(clean, |clean| error(clean, denoised, weights), |clean| {
        meaning::squared_error(clean, denoised, weights)
    })
}

fn error<E: Losses>(clean: Operand<E>, denoised: Tensor<4>, weights: &Tensor<4>) -> Tensor<4> {
    let denoised = Operand::of(denoised);
    assert_eq!(clean.dims::<4>(), denoised.dims(), "an error needs equal extents");
    let weights = numbers(&clean, weights);
    let output = E::squared_error(&clean.array, &denoised.array, &weights);
    record([Some(clean), Some(denoised)], output, |[clean, denoised]| {
        let both = [clean, denoised].map(|array| array.expect("always given"));
        move |gradient: E::Array, wanted: [bool; 2]| {
            let to_denoised = E::squared_error_gradient(&gradient, &both[0], &both[1], &weights);
            [wanted[0].then(|| E::negative(&to_denoised)), wanted[1].then_some(to_denoised)]
        }
    })
}

/// SiD's score identity: `gap (real - generated - alpha gap) / divisor`, where the gap is `real - fake`. The generator's
/// images, the opinions of the teacher and of the fake score network `[n, ..]`; divisors `[n, 1, 1, 1]`, constants to the gradient
pub fn score_identity(
    generated: Tensor<4>,
    real: Tensor<4>,
    fake: Tensor<4>,
    divisors: &Tensor<4>,
    alpha: f64,
) -> Tensor<4> {
    on_engine!(
        generated,
        |generated| identity(generated, [real, fake], divisors, alpha as f32),
        |generated| { meaning::score_identity(generated, real, fake, divisors, alpha) }
    )
}

fn identity<E: Losses>(
    generated: Operand<E>,
    opinions: [Tensor<4>; 2],
    divisors: &Tensor<4>,
    alpha: f32,
) -> Tensor<4> {
    let [real, fake] = opinions.map(Operand::of);
    assert!([&real, &fake].iter().all(|x| x.dims::<4>() == generated.dims()), "equal extents");
    let divisors = numbers(&generated, divisors);
    let of = [&generated, &real, &fake].map(|operand| operand.array.clone());
    let output = E::score_identity(&of, &divisors, alpha);
    record([Some(generated), Some(real), Some(fake)], output, |_| {
        move |gradient: E::Array, wanted: [bool; 3]| {
            E::score_identity_gradients(&of, &divisors, alpha, &gradient, wanted)
        }
    })
}

/// The mean of `|a - b|` for every sample, off the tape. `[n, ..]` => `[n, 1, 1, 1]`
pub fn mean_distance(a: &Tensor<4>, b: &Tensor<4>) -> Tensor<4> {
    let [a, b] = [a, b].map(|tensor| tensor.clone().inner());
    on_engine!(a, |a| apart(a, b), |a| meaning::mean_distance(&a, &b))
}

fn apart<E: Losses>(a: Operand<E>, b: Tensor<4>) -> Tensor<4> {
    let b = Operand::<E>::of(b);
    assert_eq!(a.dims::<4>(), b.dims(), "a distance needs equal extents");
    a.context().constant::<E, 4>(E::mean_distance(&a.array, &b.array, a.dims()))
}

/// The sum of all values. => `[1]`
pub fn total(x: Tensor<4>) -> Tensor<1> {
    on_engine!(x, |x| summed(x), |x| meaning::total(x))
}

fn summed<E: Losses>(x: Operand<E>) -> Tensor<1> {
    let dims = x.dims::<4>();
    let output = E::total(&x.array);
    record([Some(x)], output, |_| move |gradient: E::Array, _: [bool; 1]| [Some(E::spread(&gradient, dims))])
}

/// What an engine computes.
trait Losses: Engine {
    fn squared_error(clean: &Self::Array, denoised: &Self::Array, weights: &Self::Array) -> Self::Array;

    /// To `denoised`.
    fn squared_error_gradient(
        gradient: &Self::Array,
        clean: &Self::Array,
        denoised: &Self::Array,
        weights: &Self::Array,
    ) -> Self::Array;

    fn negative(x: &Self::Array) -> Self::Array {
        Self::take(Self::float_neg(Self::give(x.clone())))
    }

    /// Of the generator's images and both opinions.
    fn score_identity(of: &[Self::Array; 3], divisors: &Self::Array, alpha: f32) -> Self::Array;

    fn score_identity_gradients(
        of: &[Self::Array; 3],
        divisors: &Self::Array,
        alpha: f32,
        gradient: &Self::Array,
        wanted: [bool; 3],
    ) -> [Option<Self::Array>; 3];

    /// Of these extents. => `[n, 1, 1, 1]`
    fn mean_distance(a: &Self::Array, b: &Self::Array, dims: [usize; 4]) -> Self::Array;

    fn total(x: &Self::Array) -> Self::Array {
        Self::take(Self::float_sum(Self::give(x.clone())))
    }

    /// An array of these extents, full of the one value of x.
    fn spread(x: &Self::Array, dims: [usize; 4]) -> Self::Array;
}

impl Losses for Flex {
    fn squared_error(clean: &Array, denoised: &Array, weights: &Array) -> Array {
        Array::build(clean.dims::<4>(), |out| {
            cpu::squared_error(clean.values(), denoised.values(), weights.values(), out);
        })
    }

    fn squared_error_gradient(gradient: &Array, clean: &Array, denoised: &Array, weights: &Array) -> Array {
        let dims = gradient.dims::<4>();
        let [gradient, clean, denoised, weights] = [gradient, clean, denoised, weights].map(Array::values);
        Array::build(dims, |out| cpu::squared_error_gradient(gradient, clean, denoised, weights, out))
    }

    fn negative(x: &Array) -> Array {
        Array::build(x.dims::<4>(), |out| scale(x.values(), -1.0, out))
    }

    fn score_identity(of: &[Array; 3], divisors: &Array, alpha: f32) -> Array {
        Array::build(of[0].dims::<4>(), |out| cpu::score_identity(values(of, divisors, alpha), out))
    }

    fn score_identity_gradients(
        of: &[Array; 3],
        divisors: &Array,
        alpha: f32,
        gradient: &Array,
        wanted: [bool; 3],
    ) -> [Option<Array>; 3] {
        let dims = gradient.dims::<4>();
        let gradient_to = |to: To| {
            let of = values(of, divisors, alpha);
            Array::build(dims, |out| cpu::score_identity_gradient(to, of, gradient.values(), out))
        };
        let to = [To::Generated, To::Real, To::Fake];
        std::array::from_fn(|i| wanted[i].then(|| gradient_to(to[i])))
    }

    fn mean_distance(a: &Array, b: &Array, [n, c, h, w]: [usize; 4]) -> Array {
        let width = c * h * w;
        let samples = a.values().chunks_exact(width).zip(b.values().chunks_exact(width));
        let means = samples.map(|(a, b)| (sums::distance(a, b) / width as f64) as f32);
        Array::from_values(means.collect(), [n, 1, 1, 1])
    }

    fn total(x: &Array) -> Array {
        Array::from_values(vec![sums::sum(x.values()) as f32], [1])
    }

    fn spread(x: &Array, dims: [usize; 4]) -> Array {
        Array::build(dims, |out| out.fill(x.values()[0]))
    }
}

/// What the CPU's kernel takes.
fn values<'a>([generated, real, fake]: &'a [Array; 3], divisors: &'a Array, alpha: f32) -> Identity<'a> {
    Identity {
        generated: generated.values(),
        real: real.values(),
        fake: fake.values(),
        divisors: divisors.values(),
        alpha,
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn means_of_samples<E: Engine>(x: E::Array, [n, c, h, w]: [usize; 4]) -> E::Array {
    use burn::tensor::Shape;

    let means = E::float_mean_dim(E::float_reshape(E::give(x), Shape::from([n, c * h * w])), 1);
    E::take(E::float_reshape(means, Shape::from([n, 1, 1, 1])))
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Losses for Cube {
    fn squared_error(clean: &Self::Array, denoised: &Self::Array, weights: &Self::Array) -> Self::Array {
        gpu::squared_error(clean.clone(), denoised.clone(), weights.clone())
    }

    fn squared_error_gradient(
        gradient: &Self::Array,
        clean: &Self::Array,
        denoised: &Self::Array,
        weights: &Self::Array,
    ) -> Self::Array {
        gpu::squared_error_gradient(gradient.clone(), clean.clone(), denoised.clone(), weights.clone())
    }

    fn score_identity(of: &[Self::Array; 3], divisors: &Self::Array, alpha: f32) -> Self::Array {
        gpu::score_identity(of.clone(), divisors.clone(), alpha)
    }

    fn score_identity_gradients(
        of: &[Self::Array; 3],
        divisors: &Self::Array,
        alpha: f32,
        gradient: &Self::Array,
        wanted: [bool; 3],
    ) -> [Option<Self::Array>; 3] {
        gpu::score_identity_gradients(of.clone(), divisors.clone(), alpha, gradient.clone(), wanted)
    }

    fn mean_distance(a: &Self::Array, b: &Self::Array, dims: [usize; 4]) -> Self::Array {
        means_of_samples::<Self>(gpu::distance(a.clone(), b.clone()), dims)
    }

    fn spread(x: &Self::Array, dims: [usize; 4]) -> Self::Array {
        gpu::spread(x.clone(), dims)
    }
}
